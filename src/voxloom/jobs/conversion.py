"""Convert: open what a person names, bring it into a store, and say how to go on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from voxloom.component import Component
from voxloom.conversion import Conversion, Report, convert
from voxloom.conversion.target import apart
from voxloom.errors import ConfigError, Interrupted
from voxloom.formats.manifest import JOURNAL
from voxloom.sample import Kind, Source
from voxloom.sources.files import paired_folders
from voxloom.sources.opening import open_source

__all__ = ["ConvertOptions", "convert_data"]


class ConvertOptions(Component):
    """How a conversion is run; what it makes is said by the settings of `Conversion`."""

    layout: str = "auto"
    """How the source lies on disk, as `open_source` knows it."""
    images: Mapping[str, Path] = {}
    """Folders of images by the name of their field, in the place of a source."""
    masks: Mapping[str, Path] = {}
    """Folders of masks that go with the images, matched by the stems of the files."""
    workers: int = 0
    """Processes that work beside this one."""
    resume: bool = False
    """Finish a store that was begun with the same settings."""
    overwrite: bool = False
    """Replace a store that is there already."""
    dask: str | None = None
    """Address of a Dask scheduler, or ``local``."""


def convert_data(
    source: str | Path | None,
    path: str | Path,
    settings: Mapping[str, Any],
    *,
    options: ConvertOptions,
    progress: Callable[[int, int, int], object] | None = None,
) -> Report:
    """Convert what lies at a path, or in the named folders, into a store.

    Parameters
    ----------
    source
        A folder, a table, a store; None where `options` names folders of images.
    path
        Folder of the store.
    settings
        Those of `Conversion`, by name.
    options
        How to run it.
    progress
        Told (samples, total, bytes).

    Raises
    ------
    ConfigError
        For settings that cannot be meant, before anything is read.
    OutputExistsError
        When the store would lie within its source, or hold it.
    Interrupted
        On Ctrl-C; it says how much is kept.
    """
    Conversion.of(**settings)  # a slip is told before a million files are listed
    path = Path(path)
    folders = [Path(source)] if source is not None else [*options.images.values(), *options.masks.values()]
    for folder in folders:
        apart(path, folder)
    try:
        return convert(
            _opened(source, options),
            path,
            resume=options.resume,
            overwrite=options.overwrite,
            workers=options.workers,
            progress=progress,
            dask=options.dask,
            **settings,
        )
    except KeyboardInterrupt as stop:
        raise Interrupted(_state(path)) from stop


def _opened(source: str | Path | None, options: ConvertOptions) -> Source:
    if source is not None:
        return open_source(source, layout=options.layout)  # type: ignore[arg-type]
    if not options.images:
        raise ConfigError("no source to convert: name one, or folders of images as NAME=FOLDER.")
    kinds: dict[str, Kind] = {name: "image" for name in options.images}
    kinds |= {name: "mask" for name in options.masks}
    return paired_folders({**options.images, **options.masks}, kinds)


def _state(path: Path) -> str:
    journal = path / JOURNAL
    if not journal.is_dir():
        return "stopped before anything was written."
    finished = sum(1 for entry in journal.glob("[0-9]*.json"))
    return f"stopped: {finished} shards of {path} are finished and kept."
