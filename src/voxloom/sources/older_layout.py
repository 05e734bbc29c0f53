"""Folders that the Dataset Conversion Library wrote: ``images/``, ``labels/`` and ``metadata/``."""

from __future__ import annotations

import copy
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic import Field as Setting

from voxloom.errors import DataError, MissingDataError
from voxloom.formats.encoding import cell_array
from voxloom.keys import Keys
from voxloom.sample import Cell, Field, Kind, Sample, Schema
from voxloom.source import Source
from voxloom.sources.columns import file_field, told_by
from voxloom.sources.older_files import (
    JsonColumn,
    OlderColumn,
    RawColumn,
    mismatch,
    open_hdf5,
    open_raw,
    open_tars,
)
from voxloom.sources.older_packed import open_packed

__all__ = ["OlderFolder", "is_older"]

_log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]

_METADATA = "metadata/metadata.json"
_MAPPING = "metadata/class_to_integer_mapping.json"
_NAME = re.compile(r"(?:images|labels)_(\d+)\.(npy|h5|parquet|tar|json)")
_PACKED = {"images": ("images", "image_data"), "labels": ("labels", "label")}
_MOST_CLASSES = 10**6
_PLAIN_MODES = {None, "1", "L", "RGB", "RGBA"}


class _Metadata(BaseModel):
    """What ``metadata.json`` says that is needed; other keys are left alone."""

    num_images_per_array: Annotated[int, Setting(gt=0)]
    len: Annotated[int, Setting(gt=0)]
    mode: str | None = None
    shape: tuple[Annotated[int, Setting(gt=0)], Annotated[int, Setting(gt=0)]] | None = None


class OlderFolder(Source):
    """Samples of a folder of the Dataset Conversion Library: memmap, HDF5, Parquet, Arrow or tar.

    Fields are ``image`` and ``label``: a class, or a mask where the library's dense converters wrote it.
    Pixels of the formats of one size are uint8 arrays, (height, width, channels), in the mode that
    `mode` tells; the others are image files. Keys are the numbers of the samples.

    Parameters
    ----------
    path
        The folder that holds ``images``, ``labels`` and ``metadata``.

    Attributes
    ----------
    folder, mode
        The folder, and Pillow's mode of the stored pixels where the library noted it.

    Raises
    ------
    MissingDataError
        If it is no such folder, or a file of it is missing.
    DataError
        If a file does not hold what the metadata say.
    MissingExtraError
        If the library that reads its files is not installed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> root = Path(mkdtemp())
    >>> for name in ("images", "labels", "metadata"):
    ...     (root / name).mkdir()
    >>> np.zeros((3, 4, 4), np.uint8).tofile(root / "images/images_0.npy")
    >>> np.arange(3).tofile(root / "labels/labels_0.npy")
    >>> facts = {"num_images_per_array": 5, "len": 3, "mode": "L", "shape": [4, 4]}
    >>> _ = (root / "metadata/metadata.json").write_text(json.dumps(facts))
    >>> source = OlderFolder(root)
    >>> len(source), source[-1]["image"].shape, source[-1]["label"]
    (3, (4, 4, 1), array(2))
    """

    def __init__(self, path: StrPath) -> None:
        self.folder = Path(os.path.abspath(path))
        facts = _metadata(self.folder)
        self.mode = facts.mode
        self._names: tuple[str, ...] = ("image", "label")
        self._each = facts.num_images_per_array
        self._count, self._digits = facts.len, len(str(facts.len - 1))
        self._images = _column(self.folder, "images", facts)
        self._masks = _column(self.folder, "labels", facts)
        self._labels = self._masks.numbers()
        if self._labels is not None and len(self._labels) != facts.len:  # a damaged file may claim more
            raise mismatch(str(self.folder / "labels"), len(self._labels), facts.len)
        self._categories = _categories(self.folder / _MAPPING)
        if self.mode not in _PLAIN_MODES:
            _log.warning("%s: pixels are stored in mode %s, as uint8", path, self.mode)

    def __repr__(self) -> str:
        return f"{len(self)} samples of {self.folder}, written by the Dataset Conversion Library"

    @cached_property
    def schema(self) -> Schema:
        """Fields image and label."""
        return Schema([self._field(name) for name in self._names])

    @property
    def keys(self) -> Sequence[str]:
        """The number of each sample, with leading zeros: the library kept no names."""
        return Keys(self._count, self._key)

    @property
    def files(self) -> list[Path]:
        """All files that samples are read from."""
        columns = (*self._images.paths, *self._masks.paths)
        facts = (self.folder / _METADATA, self.folder / _MAPPING)
        return [*map(Path, columns), *(path for path in facts if path.exists())]

    def __len__(self) -> int:
        return self._count

    def _key(self, index: int) -> str:
        return f"{index:0{self._digits}d}"

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index` as it lies there: bytes where a file was stored, arrays otherwise."""
        return {name: self._cell(name, index) for name in self._names}

    def read(self, index: int) -> Sample:
        """Return sample `index`: image with axes yxc, label a number or a mask.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        schema = self.schema
        arrays = {
            name: cell_array(cell, schema[name], name=self._place(name, index))
            for name, cell in self.cells(index).items()
        }
        return Sample(self._key(index), told_by(arrays, schema), arrays)

    def select(self, *names: str) -> Source:
        """Return the same samples with these fields alone; the other is not read."""
        _ = Schema(Field(name=name) for name in self._names).only(*names)  # refuses what is not there
        chosen = copy.copy(self)
        chosen.__dict__.pop("schema", None)
        chosen._names = names
        return chosen

    def _cell(self, name: str, index: int) -> Cell:
        if name == "label" and self._labels is not None:
            return np.array(self._labels[index])
        column = self._images if name == "image" else self._masks
        cell = column.cell(*divmod(index, self._each))
        # a mask of one channel has axes yx
        return (
            cell[..., 0] if isinstance(cell, np.ndarray) and name == "label" and cell.shape[-1] == 1 else cell
        )

    def _field(self, name: str) -> Field:
        if name == "label" and self._labels is not None:
            return Field(
                name=name, kind="class", axes="", dtype="int64", shape=(), categories=self._categories
            )
        kind: Kind = "image" if name == "image" else "mask"
        column = self._images if name == "image" else self._masks
        if isinstance(column, RawColumn):
            shape = column.shape[:2] if kind == "mask" and column.shape[-1] == 1 else column.shape
            return Field(name=name, kind=kind, axes="yxc"[: len(shape)], dtype=str(column.dtype), shape=shape)
        return file_field(name, kind, len(self), lambda i: (bytes(self._cell(name, i)), self._place(name, i)))

    def _place(self, name: str, index: int) -> str:
        return f"{self.folder}: {name} {index}"


def is_older(path: StrPath) -> bool:
    """Whether a folder is laid out as the Dataset Conversion Library does it.

    Examples
    --------
    >>> is_older("no-such-folder")
    False
    """
    folders = all(os.path.isdir(os.path.join(path, part)) for part in ("images", "labels"))
    return folders and os.path.exists(os.path.join(path, _METADATA))


def _metadata(folder: Path) -> _Metadata:
    path = folder / _METADATA
    if not is_older(folder):
        raise MissingDataError(
            f"{folder}: no folder of the Dataset Conversion Library. Expected images, labels, {_METADATA}."
        )
    try:
        return _Metadata.model_validate(_json(path))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DataError(f"{path}: not the metadata of the Dataset Conversion Library ({wrong}).") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file that can be read ({error}).") from error


def _column(folder: Path, name: str, facts: _Metadata) -> OlderColumn:
    """Open the files of one column, and check that they hold as many rows as the metadata say."""
    each = facts.num_images_per_array
    # total_num_arrays is not asked: it is one too low in some folders that are whole
    suffix, paths = _files(folder / name, name, -(-facts.len // each))
    # behind the check of the files: damaged metadata may speak of any number of samples
    rows = [min(each, facts.len - start) for start in range(0, facts.len, each)]
    if suffix == "npy":
        if facts.shape is None:
            raise DataError(f"{folder / _METADATA}: no shape, and arrays without a header beside it.")
        return open_raw(paths, rows, facts.shape, labels=name == "labels")
    if suffix == "h5":
        return open_hdf5(paths, rows, name)
    if suffix == "tar":
        return open_tars(paths, rows)
    return JsonColumn(paths, rows) if suffix == "json" else open_packed(paths, rows, _PACKED[name])


def _files(folder: Path, name: str, count: int) -> tuple[str, list[str]]:
    """Return the ending of a column's files and their paths in the order of their numbers."""
    found: dict[str, dict[int, str]] = {}
    for entry in os.listdir(folder):
        match = _NAME.fullmatch(entry)  # whatever else lies there is no part of the data
        if match is not None and entry.startswith(name):
            found.setdefault(match[2], {})[int(match[1])] = str(folder / entry)
    if len(found) != 1:
        what = " and ".join(f".{suffix}" for suffix in sorted(found)) or "none"
        raise MissingDataError(f"{folder}: expected files {name}_0 and so on of one kind; found {what}.")
    ((suffix, files),) = found.items()
    missing = list(islice((f"{name}_{number}.{suffix}" for number in range(count) if number not in files), 5))
    if missing:
        raise MissingDataError(
            f"{folder}: {', '.join(missing)} is missing, and the metadata speak of {count} files. "
            "Restore it, or convert the images again."
        )
    if len(files) > count:
        raise DataError(
            f"{folder}: {len(files)} files, and the metadata speak of {count}. Is one of another conversion?"
        )
    return suffix, [files[number] for number in range(count)]


def _categories(path: Path) -> tuple[str, ...]:
    """Return the class names by number, from ``{name: number}`` or ``{"number": name}``."""
    if not path.exists():
        return ()
    mapping = _json(path)
    if not isinstance(mapping, dict):
        raise DataError(f"{path}: {type(mapping).__name__}. Expected an object of class names and numbers.")
    try:
        if all(type(number) is int for number in mapping.values()):
            names = {number: name for name, number in mapping.items()}
        else:
            names = {int(number): str(name) for number, name in mapping.items()}
    except ValueError as error:
        raise DataError(f"{path}: neither the names nor the values are all integers ({error}).") from error
    if len(names) < len(mapping) or min(names, default=0) < 0 or max(names, default=0) > _MOST_CLASSES:
        raise DataError(f"{path}: two classes of one number, or a number outside 0 to {_MOST_CLASSES}.")
    return tuple(names.get(number, str(number)) for number in range(max(names, default=-1) + 1))
