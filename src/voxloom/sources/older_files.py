"""The files in which the Dataset Conversion Library kept one column of samples: pixels, or labels."""

from __future__ import annotations

import json
import os
import re
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.errors import DataError, MissingExtraError, SchemaError
from voxloom.sample import Array, Cell

__all__ = [
    "DAMAGE",
    "JsonColumn",
    "OlderColumn",
    "RawColumn",
    "TarColumn",
    "as_classes",
    "mismatch",
    "named",
    "open_hdf5",
    "open_raw",
    "open_tars",
]

# What the libraries raise on damaged files beside their own errors, as found by changing bytes.
DAMAGE = (ValueError, TypeError, LookupError, RuntimeError, AttributeError, ArithmeticError, MemoryError)


class OlderColumn(ABC):
    """One column of samples, in several files."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)

    @abstractmethod
    def cell(self, file: int, row: int) -> Cell:
        """Return what lies in a row of a file."""

    def numbers(self) -> Array | None:
        """Return the column as (samples,) int64, or None where its rows are no numbers."""
        return None


class RawColumn(OlderColumn):
    """uint8 arrays of one shape behind each other; a labels column may be int64.

    Parameters
    ----------
    paths
        One file a part.
    starts
        Where the first row of each file begins, in bytes.
    rows
        Rows of each file.
    shape, dtype
        Of a row.
    """

    def __init__(
        self,
        paths: Sequence[str],
        starts: Sequence[int],
        *,
        rows: Sequence[int],
        shape: tuple[int, ...],
        dtype: str,
    ) -> None:
        super().__init__(paths)
        self.starts, self.rows = tuple(starts), tuple(rows)
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._items = int(np.prod(shape, dtype=np.int64))

    def cell(self, file: int, row: int) -> Array:
        """Return a row as an array of its own."""
        start = self.starts[file] + row * self._items * self.dtype.itemsize
        found: Array = np.fromfile(self.paths[file], self.dtype, self._items, offset=start)
        if found.size != self._items:
            raise DataError(f"{self.paths[file]}: cut before row {row}. Copy the file again.")
        return found.reshape(self.shape)

    def numbers(self) -> Array | None:
        """Return a column of labels."""
        if self.shape:
            return None
        parts = [
            np.fromfile(path, self.dtype, rows, offset=start)
            for path, start, rows in zip(self.paths, self.starts, self.rows, strict=True)
        ]
        return as_classes(np.concatenate(parts), self.paths[0])


def open_raw(paths: Sequence[str], rows: Sequence[int], size: tuple[int, int], *, labels: bool) -> RawColumn:
    """Open files of arrays without any header; how many channels they have, their sizes tell.

    Raises
    ------
    DataError
        If a file's size does not fit its rows.
    """
    sizes = [os.stat(path).st_size for path in paths]
    if labels and all(each == 8 * count for each, count in zip(sizes, rows, strict=True)):
        return RawColumn(paths, [0] * len(paths), rows=rows, shape=(), dtype="int64")
    pixels = size[0] * size[1]
    channels = max(1, round(sizes[0] / (rows[0] * pixels)))
    for path, each, count in zip(paths, sizes, rows, strict=True):
        if each != count * pixels * channels or channels > 4:
            what = "8 bytes each, or " if labels else ""
            raise DataError(
                f"{path} has {each} bytes, and the metadata speak of {count} rows of {size[0]} x {size[1]} "
                f"pixels: expected {what}{count * pixels} bytes times 1, 3 or 4 channels. "
                "Was its conversion ended?"
            )
    return RawColumn(paths, [0] * len(paths), rows=rows, shape=(*size, channels), dtype="uint8")


def open_hdf5(paths: Sequence[str], rows: Sequence[int], name: str) -> RawColumn:
    """Open HDF5 files with one contiguous dataset each; they are then read by the places of their rows.

    Raises
    ------
    DataError
        If a dataset is not there, has another number of rows, or is compressed.
    MissingExtraError
        If h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            f'{paths[0]}: reading HDF5 needs h5py. pip install "voxloom[hdf5]"'
        ) from error
    starts: list[int] = []
    shapes: set[tuple[tuple[int, ...], str]] = set()
    for path, count in zip(paths, rows, strict=True):
        with named(path, DAMAGE), h5py.File(path, "r") as file:
            data = file[name]
            if len(data) != count:
                raise mismatch(path, len(data), count)
            start = data.id.get_offset()
            shapes.add((data.shape[1:], data.dtype.str))
        if start is None:
            raise DataError(f"{path}: {name} is in chunks or was never written. Expected it in one piece.")
        starts.append(start)
    if len(shapes) > 1:
        raise DataError(f"{paths[0]} and its siblings differ in shape or type: {sorted(shapes)}")
    shape, dtype = shapes.pop()
    return RawColumn(paths, starts, rows=rows, shape=(*shape, 1) if len(shape) == 2 else shape, dtype=dtype)


class TarColumn(OlderColumn):
    """Files in tars, found by one scan; ``places`` is (rows, 2) for each tar: offset and size."""

    def __init__(self, paths: Sequence[str], places: Sequence[Array]) -> None:
        super().__init__(paths)
        self.places = tuple(places)

    def cell(self, file: int, row: int) -> bytes:
        """Return a member's bytes."""
        offset, size = self.places[file][row].tolist()
        with open(self.paths[file], "rb", buffering=0) as tar:
            data = os.pread(tar.fileno(), size, offset)
        if len(data) != size:
            raise DataError(f"{self.paths[file]}: cut before image {row}. Copy the file again.")
        return data


def open_tars(paths: Sequence[str], rows: Sequence[int]) -> TarColumn:
    """Scan tars whose members are ``image_0``, ``image_1`` and so on.

    Raises
    ------
    DataError
        If one is cut, or has another number of images.
    """
    places = []
    for path, count in zip(paths, rows, strict=True):
        with named(path, (tarfile.TarError, EOFError, *DAMAGE)), tarfile.open(path, "r:") as tar:
            found = {
                int(match[1]): (info.offset_data, info.size)
                for info in tar
                if (match := re.fullmatch(r"image_(\d+)", info.name)) and info.isreg()
            }
        if len(found) != count or sorted(found) != list(range(count)):
            raise mismatch(path, len(found), count)
        place = np.array([found[row] for row in range(count)], np.int64).reshape(count, 2)
        if count and place.sum(axis=1).max() > os.stat(path).st_size:
            raise DataError(f"{path}: cut. Copy the file again.")
        places.append(place)
    return TarColumn(paths, places)


class JsonColumn(OlderColumn):
    """Lists in JSON files."""

    def __init__(self, paths: Sequence[str], rows: Sequence[int]) -> None:
        super().__init__(paths)
        self.values: list[Any] = []
        for path, count in zip(paths, rows, strict=True):
            with named(path, (ValueError, RecursionError)):
                part = json.loads(Path(path).read_bytes())
            if not isinstance(part, list) or len(part) != count:
                raise mismatch(path, len(part) if isinstance(part, list) else 0, count)
            self.values += part

    def cell(self, file: int, row: int) -> Cell:
        """Not asked for: labels are read as numbers."""
        raise NotImplementedError

    def numbers(self) -> Array:
        """Return the labels."""
        odd = next((value for value in self.values if type(value) is not int), None)
        if odd is not None:
            raise DataError(f"{self.paths[0]}: a label {odd!r} among the labels. Expected integers.")
        return as_classes(self.values, self.paths[0])


def as_classes(values: Array | Sequence[int], path: str) -> Array:
    """Return labels as int64, or refuse what it cannot hold."""
    most = np.iinfo(np.int64).max
    labels = np.asarray(values)
    if labels.dtype.kind in "uO" and len(labels) and not -most - 1 <= min(labels) <= max(labels) <= most:
        raise SchemaError(f"{path}: a label of {max(labels)}. Expected numbers of classes, up to 2**63 - 1.")
    return labels.astype(np.int64)


def mismatch(path: str, found: int, expected: int) -> DataError:
    """Return the error of a file with another number of rows than the metadata say."""
    return DataError(
        f"{path} has {found} rows, and the metadata speak of {expected}. Was its conversion ended? "
        "Convert the images again, or restore the file."
    )


@contextmanager
def named(path: str, errors: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Say which file a library's error is about."""
    damage: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except DataError:
        raise
    except damage as error:
        raise DataError(
            f"{path}: cut or damaged ({type(error).__name__}: {error}). Copy the file again."
        ) from error
