"""Open what a person names: a path and how it lies on disk, columns of a table, or folders by field."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from voxloom.component import Component
from voxloom.errors import ConfigError, MissingDataError
from voxloom.formats.manifest import MANIFEST
from voxloom.ranks import Rank
from voxloom.registry import did_you_mean
from voxloom.sample import Kind
from voxloom.source import Source
from voxloom.sources.files import FileSource, paired_folders
from voxloom.sources.opening import open_source
from voxloom.sources.table import table

__all__ = [
    "SourceOptions",
    "near_name",
    "open_named",
    "require_checkpoint",
    "require_source",
    "require_store",
]

logger = logging.getLogger(__name__)

_FEW_STORES = 8  # that an error names
_FEW = range(
    3, 9
)  # folders of one sample each; more of them with files 1, 2, 3 are classes. Two are told before


class SourceOptions(Component):
    """How a source is found."""

    layout: str = "auto"
    """How it lies on disk, as `open_source` knows it."""
    images: Mapping[str, Path] = {}
    """Folders of images by the name of their field, in the place of a path."""
    masks: Mapping[str, Path] = {}
    """Folders of masks that go with the images, matched by the stems of the files."""
    image_columns: Sequence[str] = ()
    """Columns of a table that hold the paths of images; without any, the first rows tell."""
    mask_columns: Sequence[str] = ()
    """Columns of a table that hold the paths of masks."""

    @property
    def columns(self) -> Sequence[str]:
        """All columns of paths that are named."""
        return [*self.image_columns, *self.mask_columns]


def open_named(path: str | Path | None, options: SourceOptions | None = None) -> Source:
    """Open a source.

    Of several ranks only the main one says what was left out.

    Parameters
    ----------
    path
        A folder, a table, a store; None where `options` names folders.
    options
        How it is found.

    Raises
    ------
    ConfigError
        If nothing is named, or columns of what is no table.
    MissingDataError
        If there is nothing; a near name is told.
    DataError
        As `open_source` and `paired_folders` tell.

    Examples
    --------
    >>> open_named(None)
    Traceback (most recent call last):
    voxloom.errors.ConfigError: no source: name one, or folders of images and masks as NAME=FOLDER.
    """
    options = options or SourceOptions()
    with _said_once():
        if path is None:
            return _folders(options)
        require_source(path)
        if options.columns:
            return _table(path, options)
        source = open_source(path, layout=options.layout)  # type: ignore[arg-type]
        if options.layout == "auto":
            _hint_at_pairs(source, Path(path))
        return source


def near_name(path: str | Path) -> str:
    """Return `` Did you mean 'x'?`` for what lies where a missing path leads, or an empty string.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> (folder / "s_arrow").mkdir()
    >>> near_name(folder / "s_arow" / "shards")
    " Did you mean 's_arrow'?"
    """
    missing = Path(path)
    while not os.path.exists(missing.parent):
        missing = missing.parent
    try:
        return did_you_mean(missing.name, os.listdir(missing.parent))
    except OSError:  # a file where a folder is expected, or one that is not ours
        return ""


def require_checkpoint(path: str | Path) -> None:
    """Raise MissingDataError where nothing lies at the path of a checkpoint; a near name is told.

    Here, so that a command may ask before it loads what computes.
    """
    if not os.path.exists(path):
        near = near_name(path) or " Expected a run's folder or a file such as RUN/checkpoints/best.pt."
        raise MissingDataError(f"checkpoint {path} does not exist.{near}")


def require_store(path: str | Path) -> None:
    """Raise MissingDataError where no store of latents lies; a near name, or stores below, are told."""
    if not os.path.exists(path):
        beside = [str(each) for each in _stores_in(Path(path).parent)]
        told = f" There are {_some(beside)}." if beside else " Make one of images with voxloom encode."
        raise MissingDataError(f"{path}: no such store.{near_name(path) or told}")
    if os.path.isdir(path) and not os.path.exists(Path(path) / MANIFEST):
        below = [str(each) for each in _stores_in(Path(path))]
        told = f"It holds stores; name one: {_some(below)}" if below else "Make one with voxloom encode"
        raise MissingDataError(f"{path} is no store: expected a file {Path(path) / MANIFEST}. {told}.")


def _stores_in(folder: Path) -> list[Path]:
    return sorted(each.parent for each in folder.glob(f"*/{MANIFEST}"))


def _some(names: Sequence[str]) -> str:
    few = ", ".join(names[:_FEW_STORES])
    return f"{few} and {len(names) - _FEW_STORES} more" if len(names) > _FEW_STORES else few


def require_source(path: str | Path) -> None:
    """Raise MissingDataError where nothing lies at the path of a source; a near name is told."""
    if os.path.exists(path):
        return
    if near := near_name(path):
        raise MissingDataError(f"{path}: no such file or folder.{near}")
    raise MissingDataError(
        f"{path}: no such file or folder. Expected a store, images, a table, tars or a volume."
    )


def _folders(options: SourceOptions) -> Source:
    kinds: dict[str, Kind] = {name: "image" for name in options.images}
    kinds |= {name: "mask" for name in options.masks}
    if not kinds:
        raise ConfigError("no source: name one, or folders of images and masks as NAME=FOLDER.")
    folders = {**options.images, **options.masks}
    for folder in folders.values():
        require_source(folder)
    return paired_folders(folders, kinds)


def _table(path: str | Path, options: SourceOptions) -> Source:
    if options.layout not in ("auto", "table"):
        names = ", ".join(options.columns)
        raise ConfigError(f"columns {names} with layout {options.layout!r}: columns are those of a table.")
    return table(path, images=options.image_columns, masks=options.mask_columns)


@contextmanager
def _said_once() -> Iterator[None]:
    """Let only the main rank say what a source leaves out: the others would say the same."""
    sources = logging.getLogger("voxloom.sources")
    before = sources.level
    if not Rank.from_environment().is_main:
        sources.setLevel(logging.ERROR)
    try:
        yield
    finally:
        sources.setLevel(before)


def _hint_at_pairs(source: Source, path: Path) -> None:
    """Say that a few classes whose files have the same names may be the fields of one sample."""
    names = _folders_alike(source) if isinstance(source, FileSource) and path.is_dir() else []
    if len(names) not in _FEW or not Rank.from_environment().is_main:
        return
    fields = ", ".join(f'"{name}": "{name}"' for name in names)
    logger.warning(
        "%s: its %d folders are taken as classes, and their files have the same names. If those belong "
        "together, as images and their masks do, open them as pairs: fields={%s}.",
        path, len(names), fields,
    )  # fmt: skip


def _folders_alike(source: Source) -> list[str]:
    """Return the folders of the keys where all hold the same stems; the first that differs ends it."""
    first: set[str] | None = None
    names: list[str] = []
    for name, keys in groupby(source.keys, key=lambda key: key.partition("/")[0]):
        stems = {os.path.splitext(key.partition("/")[2])[0] for key in keys}
        if stems == {""} or stems != (first or stems) or len(names) == _FEW.stop:
            return []
        first = stems
        names.append(name)
    return names
