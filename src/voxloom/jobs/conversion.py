"""Convert: open what a person names, bring it into a store, and say how to go on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from voxloom.amounts import counted
from voxloom.component import Component
from voxloom.conversion import Conversion, Report, convert
from voxloom.conversion.journal import Journal
from voxloom.conversion.target import apart
from voxloom.errors import DataError, Interrupted
from voxloom.formats.manifest import JOURNAL
from voxloom.jobs.reading import SourceOptions, open_named
from voxloom.jobs.stopping import interrupted_by_sigterm

__all__ = ["ConvertOptions", "Progress", "convert_data", "progress_of"]


class ConvertOptions(SourceOptions):
    """How a source is found and a conversion is run; what it makes, the settings of `Conversion` say."""

    workers: int = 0
    """Processes that work beside this one."""
    resume: bool = False
    """Finish a store that was begun with the same settings."""
    overwrite: bool = False
    """Replace a store that is there already."""
    dask: str | None = None
    """Address of a Dask scheduler, or ``local``."""


class Progress(Component):
    """How far an unfinished store is."""

    finished: int
    """Shards that are written and recorded."""
    planned: int | None
    """Shards that it will have; None where no plan can be read."""
    checkpoint: str | None = None
    """What `voxloom.jobs.encode` makes its latents with; None for any other conversion."""

    @property
    def verb(self) -> str:
        """What follows it: is, or are."""
        return "is" if (self.finished if self.planned is None else self.planned) == 1 else "are"

    def __str__(self) -> str:
        if self.planned is None:
            return counted(self.finished, "shard")
        return f"{self.finished} of {counted(self.planned, 'shard')}"


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
        On Ctrl-C, and on SIGTERM; it says how much is kept.
    """
    Conversion.of(**settings)  # a slip is told before a million files are listed
    path = Path(path)
    folders = [Path(source)] if source is not None else [*options.images.values(), *options.masks.values()]
    for folder in folders:
        apart(path, folder)
    try:
        with interrupted_by_sigterm():
            return convert(
                open_named(source, options),
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


def progress_of(path: Path) -> Progress:
    """Say how far the conversion of an unfinished store is.

    Parameters
    ----------
    path
        A folder that opens with `UnfinishedStoreError`.
    """
    journal = Journal(path)
    try:
        begun = journal.plan()
    except DataError:
        begun = None
    if begun is None:
        return Progress(finished=0, planned=None)
    plan, _ = begun
    finished = sum(journal.record(plan.stem(number)) is not None for number in range(plan.shards))
    encoded = plan.facts().get("encoded")
    checkpoint = encoded.get("checkpoint") if isinstance(encoded, dict) else None
    return Progress(finished=finished, planned=plan.shards, checkpoint=checkpoint)


def _state(path: Path) -> str:
    if not (path / JOURNAL).is_dir():
        return "stopped before anything was written."
    progress = progress_of(path)
    return f"stopped: {progress} of {path} {progress.verb} finished and kept."
