"""Samples whose images and masks are files as they come from cameras, scanners and the web."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.formats.encoding import As, as_value, decode
from voxloom.sample import Array, Cell, Field, Kind, Sample, Schema
from voxloom.source import Source
from voxloom.sources.columns import Files, Values, kind_of, size_of, told_by
from voxloom.sources.images import stem_of
from voxloom.sources.listing import IMAGE_SUFFIXES, Ignored, Listing, key_of, list_folder, list_tree, unique
from voxloom.sources.pairing import Unmatched, match

__all__ = ["FileSource", "class_folder", "flat_folder", "paired_folders"]

_log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]


class FileSource(Source):
    """Samples made of files and of values; nothing is opened before it is read.

    Parameters
    ----------
    keys
        One key a sample.
    columns
        The fields in order: `Files` or `Values`, each with one item a sample.
    origin
        Where they come from, for messages.
    ignored
        What lies there too and was left out.
    folders
        The folder of each field, where all files of one are taken.

    Raises
    ------
    DataError
        If the columns differ in length, or two samples have one key.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = mkdtemp()
    >>> Image.new("RGB", (5, 4)).save(f"{root}/a.png")
    >>> source = FileSource(["a.png"], {"image": Files(["a.png"], root=root)})
    >>> source[0]["image"].shape, source.cells(0)["image"][1:4]
    ((4, 5, 3), b'PNG')
    """

    def __init__(
        self,
        keys: Sequence[str],
        columns: Mapping[str, Files | Values],
        *,
        origin: str = "",
        ignored: Ignored | None = None,
        folders: Mapping[str, StrPath] | None = None,
    ) -> None:
        self.folders = {name: Path(folder) for name, folder in (folders or {}).items()}
        self.origin = origin
        self.ignored = ignored or Ignored()
        self._columns = dict(columns)
        self._at_least: tuple[int, int] | None = None
        self._schema: Schema | None = None
        lengths = {name: len(column) for name, column in columns.items()}
        if set(lengths.values()) - {len(keys)} or not columns:
            raise DataError(f"{origin}: {len(keys)} keys and columns of {lengths} samples; expected the same")
        self._keys = keys

    def __repr__(self) -> str:
        return f"{len(self)} samples of {self.origin}" if self.origin else super().__repr__()

    @property
    def schema(self) -> Schema:
        """Image fields have the type of the first file that can be read; others may differ."""
        if self._schema is None:
            self._schema = Schema([column.typed(name) for name, column in self._columns.items()])
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The key of each sample."""
        return self._keys

    @property
    def columns(self) -> Mapping[str, Files | Values]:
        """What each field is read from."""
        return self._columns

    @property
    def at_least(self) -> tuple[int, int] | None:
        """Height and width in pixels that suffice, or None where images are decoded at their own size."""
        return self._at_least

    def path(self, index: int, name: str = "image") -> Path:
        """Return the file of one field of sample `index`.

        Raises
        ------
        ConfigError
            If the field lies in no file.
        """
        column = self._columns.get(name)
        if not isinstance(column, Files):
            known = ", ".join(self._columns)
            raise ConfigError(f"field {name!r} of {self!r} lies in no file. Fields: {known}.")
        return Path(column.path(index))

    def nbytes(self, index: int) -> int:
        """Return the size of the files of sample `index`, without reading them."""
        return sum(size_of(c.path(index)) for c in self._columns.values() if isinstance(c, Files))

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index` at rest: the bytes of each file, and the values.

        Raises
        ------
        MissingDataError, UnreadableImageError
            If a file is not there or cannot be read.
        """
        return {name: column.cell(index) for name, column in self._columns.items()}

    def read(self, index: int) -> Sample:
        """Return sample `index`: images with axes yxc, masks with axes yx if they have one channel.

        Raises
        ------
        MissingDataError, UnreadableImageError, DataError
            If a file is not there or cannot be read.
        """
        arrays: dict[str, Array] = {}
        schema = self.schema
        for name, column in self._columns.items():
            if isinstance(column, Files):
                arrays[name] = self._decoded(column, index, schema[name])
            else:
                arrays[name] = column.cell(index)
        return Sample(self._keys[index], told_by(arrays, schema), arrays)

    def select(self, *names: str) -> FileSource:
        """Return the same samples with these fields alone; the files of the others are not opened."""
        _ = Schema(Field(name=name) for name in self._columns).only(*names)  # refuses what is not there
        chosen = copy.copy(self)
        chosen._columns = {name: self._columns[name] for name in names}
        chosen._schema = None
        return chosen

    def scaled(self, height: int, width: int) -> FileSource:
        """Return the same samples, with JPEGs decoded at 1/2, 1/4 or 1/8 of their size where that suffices.

        Both sides stay at least `height` and `width` pixels. Several times faster for large photographs,
        but not exactly what decoding and resizing gives. Masks and files of other kinds keep their size.

        Raises
        ------
        ConfigError
            If a side is less than one pixel.
        """
        if height < 1 or width < 1:
            raise ConfigError(f"scaled({height}, {width}): expected a height and a width of at least 1 pixel")
        scaled = copy.copy(self)
        scaled._at_least = (height, width)
        return scaled

    def get(self, index: int, name: str, as_: As = "array") -> Any:
        """Return one field of one sample; no other is read.

        Parameters
        ----------
        index, name
            Which sample and which field.
        as_
            ``bytes``: those of the file, or of the value. ``array``: numpy. ``tensor``: torch, of the
            array's axes. ``pil``: an image that Pillow decodes when it is used, with its mode and palette.

        Raises
        ------
        IndexError, SchemaError
            If there is no such sample, field or form.
        MissingDataError, UnreadableImageError, DataError
            If the file is not there or cannot be read.

        Examples
        --------
        >>> from tempfile import mkdtemp
        >>> from PIL import Image
        >>> root = mkdtemp()
        >>> Image.new("L", (5, 4)).save(f"{root}/a.png")
        >>> flat_folder(root).get(0, "image", "pil").size
        (5, 4)
        """
        index, field = self.place(index), self.schema[name]
        column = self._columns[name]
        place = column.path(index) if isinstance(column, Files) else f"{self._keys[index]} ({name})"
        if isinstance(column, Files) and as_ in ("array", "tensor"):
            return as_value(self._decoded(column, index, field), field, as_, name=place)
        return as_value(column.cell(index), field, as_, name=place)

    def _decoded(self, column: Files, index: int, field: Field) -> Array:
        data, at_least = column.cell(index), self._at_least if field.kind == "image" else None
        return decode(data, field.axes, name=column.path(index), kind=field.kind, at_least=at_least)


def class_folder(root: StrPath) -> FileSource:
    """Open ``<root>/<class>/...``: images at any depth below the folder that names their class.

    Parameters
    ----------
    root
        Folder of the classes. An empty folder is a class without samples. Files of other kinds, hidden
        files and files directly in `root` are left out and counted in `ignored`.

    Returns
    -------
    FileSource
        Fields ``image`` and ``label``; keys are the paths below `root`. Samples and labels have the order
        and numbers that torchvision's ImageFolder gives.

    Raises
    ------
    MissingDataError
        If there is no such folder, no folder in it, or no image in those.
    DataError
        If a folder cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = Path(mkdtemp())
    >>> for name in ("dog/1.png", "cat/a/2.png"):
    ...     (root / name).parent.mkdir(parents=True)
    ...     Image.new("L", (5, 4)).save(root / name)
    >>> source = class_folder(root)
    >>> source.keys, source[1]["label"], source.schema["label"].categories
    (['cat/a/2.png', 'dog/1.png'], array(1), ('cat', 'dog'))
    """
    root = os.fspath(root)
    listing = list_tree(root)
    if not listing.files:
        raise MissingDataError(
            f"{root}: no image in the {len(listing.folders)} folders here. Expected a folder for each class, "
            f"with files that end in {', '.join(IMAGE_SUFFIXES)}; found {listing.ignored} beside them."
        )
    names = tuple(key_of(folder) for folder in listing.folders)
    numbers = {folder: number for number, folder in enumerate(listing.folders)}
    labels = np.fromiter((numbers[path.partition("/")[0]] for path in listing.files), np.int64)
    empty = [names[i] for i in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)]
    if empty:
        _log.warning("%s: %d classes without images: %s", root, len(empty), ", ".join(empty[:10]))
    label = Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=names)
    return _listed(root, listing, {"label": Values(labels, label)})


def flat_folder(root: StrPath) -> FileSource:
    """Open the images that lie directly in a folder, field ``image``; keys are the names of the files.

    Raises
    ------
    MissingDataError
        If there is no such folder or no image in it.
    DataError
        If it cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = mkdtemp()
    >>> Image.new("L", (5, 4)).save(f"{root}/a.png")
    >>> flat_folder(root).keys
    ['a.png']
    """
    root = os.fspath(root)
    return _listed(root, _filled(root), {})


def paired_folders(
    folders: Mapping[str, StrPath], kinds: Mapping[str, Kind] | None = None, *, unmatched: Unmatched = "error"
) -> FileSource:
    """Open folders whose files belong together by their stems: images and their masks, for instance.

    Parameters
    ----------
    folders
        The folder of each field, in the order of the fields.
    kinds
        ``image`` or ``mask`` for a field; where it is not said, the name decides (see `kind_of`).
    unmatched
        What to do with files without a partner: refuse, or leave them out and count them in `ignored`.

    Returns
    -------
    FileSource
        One field a folder; keys are the stems.

    Raises
    ------
    MissingDataError, DataError
        If a folder is missing, empty or unreadable, or holds two files of one stem.
    PairingError
        If files lack a partner, or none has one.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = Path(mkdtemp())
    >>> for name in ("images/1.jpg", "masks/1.png"):
    ...     (root / name).parent.mkdir()
    ...     Image.new("L", (5, 4)).save(root / name)
    >>> pairs = paired_folders({"image": root / "images", "mask": root / "masks"})
    >>> pairs.keys, pairs[0]["image"].shape, pairs[0]["mask"].shape
    (['1'], (4, 5, 1), (4, 5))
    """
    if not folders:
        raise ConfigError("paired_folders of no folder: expected a folder for each field")
    unknown = sorted(set(kinds or {}) - set(folders))
    if unknown:
        raise ConfigError(f"kinds for {unknown}, and the fields are {sorted(folders)}")
    listings = {name: _filled(os.fspath(folder)) for name, folder in folders.items()}
    listed = {name: _by_stem(listing.files, os.fspath(folders[name])) for name, listing in listings.items()}
    stems, dropped = match({name: PurePath(folder) for name, folder in folders.items()}, listed, unmatched)
    ignored = Ignored()
    for name in dropped:
        ignored.add(name)
    for name, listing in listings.items():
        ignored.join(listing.ignored, PurePath(folders[name]).name)
    kinds = {name: kind_of(name) for name in folders} | dict(kinds or {})
    columns = {
        name: Files([files[stem] for stem in stems], kinds[name], _root(folders[name]))
        for name, files in listed.items()
    }
    return FileSource(
        stems,
        columns,
        origin=" and ".join(str(folder) for folder in folders.values()),
        ignored=ignored,
        folders=folders,
    )


def _root(folder: StrPath) -> str:
    """Return a folder's absolute path, so that a source survives a change of the working folder."""
    return os.path.abspath(folder)


def _filled(root: str) -> Listing:
    listing = list_folder(root)
    if not listing.files:
        raise MissingDataError(
            f"{root}: no image in this folder. Expected files that end in {', '.join(IMAGE_SUFFIXES)}; "
            f"found {listing.ignored}."
        )
    return listing


def _listed(root: str, listing: Listing, values: Mapping[str, Values]) -> FileSource:
    """Return the source of a listing, keyed by its paths."""
    keys = unique([key_of(path) for path in listing.files], root)
    if listing.ignored.count:
        _log.info("%s: %s left out", root, listing.ignored)
    columns: dict[str, Files | Values] = {"image": Files(listing.files, root=_root(root)), **values}
    return FileSource(keys, columns, origin=root, ignored=listing.ignored)


def _by_stem(names: Sequence[str], folder: str) -> dict[str, str]:
    files: dict[str, str] = {}
    for name in sorted(names, key=stem_of):
        stem = key_of(stem_of(name))
        if stem in files:
            raise DataError(
                f"{folder}: {files[stem]!r} and {name!r} differ only in what follows the name. "
                "Files are matched by their stem: rename one or take it out."
            )
        files[stem] = name
    return files
