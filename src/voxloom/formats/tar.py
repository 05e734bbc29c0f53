"""Shards of tar files as WebDataset names them, each with an index, so that none is ever scanned."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from voxloom.errors import SchemaError
from voxloom.formats.format import KEY, Column, Format, Row, Rows, Shard, ShardWriter, Spread
from voxloom.formats.mapped import (
    bytes_of,
    checked_columns,
    checked_compression,
    checked_row,
    checked_rows,
    copy_scattered,
    damaged,
    map_file,
    saving,
    stream,
    sync,
)
from voxloom.formats.members import BLOCK, base_name, header, suffixes
from voxloom.formats.memmap import Memmap, npy_header
from voxloom.sample import Array

__all__ = ["Tar"]

_MEMBERS = "__members__"
_RECORD = 20 * BLOCK  # what a tar file is a multiple of


class Tar(Format):
    """One tar file a shard, as WebDataset reads it, and ``.npy`` files with the places of its members.

    Each field of a sample is a member; those of one sample share their name up to the first dot, which
    is the key with its dots escaped. ``image`` becomes ``<key>.jpg`` (or what its bytes are), a class
    label ``<key>.cls`` with the number as text, a caption ``<key>.txt``, any other field
    ``<key>.<field>.<type>``; arrays are ``npy``. ``voxloom.formats.members.suffixes`` has the rules.

    The keys, the scalars, and where each member lies stand in ``.npy`` files beside the tar file, which
    WebDataset does not need.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import tarfile
    >>> folder = Path(mkdtemp())
    >>> columns = [Column("image"), Column("label", "int64"), Column(KEY)]
    >>> writer = Tar().writer(folder, "00000", columns, samples=1)
    >>> writer.append({"image": b"\\xff\\xd8\\xff...", "label": np.array(3), KEY: b"cat/1.jpg"})
    >>> writer.close()
    >>> with tarfile.open(folder / "00000.tar") as archive:
    ...     archive.getnames()
    ['cat/1%2Ejpg.jpg', 'cat/1%2Ejpg.cls']
    """

    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:
        """Return the name of the tar file, and those of its index."""
        return [f"{stem}.tar", *Memmap().files(stem, _beside(columns))]

    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard; its files grow row by row."""
        checked_compression(compression, self.compressions, "tar")
        return _Writer(folder, stem, checked_columns(columns), samples)

    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Map the files of a shard."""
        return _Shard(folder, stem, checked_columns(columns), samples)


def _members(columns: Sequence[Column]) -> list[Column]:
    """Return the columns whose cells are members."""
    return [column for column in columns if column.name != KEY]


def _beside(columns: Sequence[Column]) -> list[Column]:
    """Return the columns of the index: places of members, (members, begin and size), scalars, keys."""
    if any(column.name == _MEMBERS for column in columns):
        raise SchemaError(f"a field is called {_MEMBERS!r}, which is the name of a tar file's index")
    small = [column for column in columns if column.name == KEY or (column.is_fixed and not column.shape)]
    return [Column(_MEMBERS, "<i8", (len(_members(columns)), 2)), *small]


class _Writer(ShardWriter):
    def __init__(self, folder: Path, stem: str, columns: tuple[Column, ...], samples: int) -> None:
        self._path, self._columns, self._samples = folder / f"{stem}.tar", columns, samples
        self._beside = _beside(columns)
        self._count, self._closed, self._size = 0, False, 0
        self._suffixes = suffixes(columns)
        self._headers = {
            column.name: npy_header(str(column.dtype), column.shape) for column in columns if column.is_fixed
        }
        with saving(self._path):
            self._file = stream(self._path)
        self._index = Memmap().writer(folder, stem, self._beside, samples)

    def append(self, row: Row) -> None:
        checked_row(row, self._columns, self._count, self._samples)
        base = base_name(bytes(row[KEY]) if KEY in row else b"%09d" % self._count)
        places = []
        with saving(self._path):
            for column in _members(self._columns):
                cell = bytes_of(row[column.name], column)
                places.append(self._member(base, column, cell, row))
        small = {column.name: row[column.name] for column in self._beside[1:]}
        self._index.append({_MEMBERS: np.array(places, "<i8").reshape(-1, 2), **small})
        self._count += 1

    def _member(self, base: str, column: Column, cell: memoryview, row: Row) -> tuple[int, int]:
        """Write one member; return where its data begins and its size."""
        suffix = self._suffixes[column.name]
        if not column.is_fixed:
            parts: list[bytes | memoryview] = [cell]
        elif suffix.is_number:
            parts = [b"%d" % int(row[column.name])]
        else:
            parts = [self._headers[column.name], cell]
        size = sum(len(part) for part in parts)
        head = header(f"{base}.{suffix.of(cell)}", size)
        start = self._size + len(head)
        for part in (head, *parts, bytes(-size % BLOCK)):
            self._file.write(part)
        self._size = start + size + -size % BLOCK
        return start, size

    def close(self) -> None:
        if self._closed:
            return
        with saving(self._path):
            self._file.write(bytes(_file_size(self._size) - self._size))
            sync(self._file)
            self._file.close()
        self._index.close()
        self._closed = True

    def discard(self) -> None:
        self._closed = True
        with suppress(OSError):
            self._file.close()
        self._index.discard()


def _file_size(members: int) -> int:
    """Return the size of a tar file with so many bytes of members: two empty blocks, whole records."""
    return -(-(members + 2 * BLOCK) // _RECORD) * _RECORD


class _Shard(Shard):
    def __init__(self, folder: Path, stem: str, columns: tuple[Column, ...], samples: int) -> None:
        self._path, self._samples = folder / f"{stem}.tar", samples
        self._data = map_file(self._path)
        self._index = Memmap().open(folder, stem, _beside(columns), samples)
        self._small = {column.name for column in _beside(columns)}
        self._columns = {column.name: column for column in columns}
        self._which = {column.name: number for number, column in enumerate(_members(columns))}
        places = self._index.view(_MEMBERS)
        assert places is not None
        self._places = places
        if self._which:
            self._check_size()

    def _check_size(self) -> None:
        start, size = self._places[-1, -1].tolist() if self._samples else (0, 0)
        expected = _file_size(start + size + -size % BLOCK)
        if min(start, size) < 0 or len(self._data) != expected:
            raise damaged(self._path, f"has {len(self._data)} bytes: expected {expected}")

    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        if name in self._small:
            self._index.take(name, rows, out, places)
            return
        copy_scattered(self._data, self._firsts_of(name, checked_rows(rows, self._samples)), out, places)

    def _firsts_of(self, name: str, rows: Rows) -> Rows:
        """Return the first byte of each of these samples, behind the header of its member."""
        column, members = self._columns[name], self._places[rows, self._which[name]]
        before = len(npy_header(str(column.dtype), column.shape))
        size, starts = before + column.row_bytes, members[:, 0]
        if ((members[:, 1] != size) | (starts < 0) | (starts > len(self._data) - size)).any():
            raise damaged(self._path, f"its index does not fit column {name!r} of {size} bytes a sample")
        firsts: Rows = starts + before
        return firsts

    def view(self, name: str) -> Array | None:
        return self._index.view(name) if name in self._small else None

    def spread(self, name: str) -> Spread | None:
        if name in self._small or not self._columns[name].row_bytes:
            return super().spread(name)
        return self._data.data, array("q", self._firsts_of(name, np.arange(self._samples)).tobytes())

    def blob(self, name: str, row: int) -> bytes | memoryview:
        if name in self._small:
            return self._index.blob(name, row)
        if not 0 <= row < self._samples:
            raise IndexError(f"row {row} of a shard of {self._samples} samples")
        start, size = self._places[row, self._which[name]].tolist()
        if size < 0 or not 0 <= start <= len(self._data) - size:
            raise damaged(self._path, f"row {row} lies at {size} bytes from {start} of {len(self._data)}")
        return self._data.data[start : start + size]
