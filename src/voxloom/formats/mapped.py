"""What the formats share: checked columns, streams to files, and mapped files seen as arrays."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from voxloom.errors import ConfigError, DamagedStoreError, MissingDataError, SaveError, SchemaError
from voxloom.formats.format import Column, Row, Rows
from voxloom.sample import Array

__all__ = [
    "BUFFER",
    "Blobs",
    "Spool",
    "array_at",
    "bytes_of",
    "checked_columns",
    "checked_compression",
    "checked_row",
    "checked_rows",
    "copy_rows",
    "copy_scattered",
    "damaged",
    "map_file",
    "quoted",
    "saving",
    "stream",
    "sync",
    "windows",
]

BUFFER = 2**18
"""Bytes that a stream gathers before it writes them."""

_LARGE_ROW = 2**14  # bytes; from here on rows are copied one by one where they lie at odd distances
_KINDS = "biufcmMSUV"  # of numpy's types: all whose values are their bytes


def checked_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns, or refuse names that repeat and types whose values are not their bytes.

    Raises
    ------
    SchemaError
        If a column cannot be stored.
    """
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise SchemaError(f"columns {names}: a name stands twice; names must differ")
    for column in columns:
        if column.is_fixed:
            _check_type(column)
    return tuple(columns)


def _check_type(column: Column) -> None:
    told = f"column {column.name!r} of type {column.dtype!r} and shape {column.shape}"
    try:
        dtype = np.dtype(column.dtype)
    except TypeError as error:
        raise SchemaError(f"{told}: numpy knows no such type ({error})") from error
    if dtype.kind not in _KINDS or dtype.hasobject or dtype.fields or not dtype.itemsize:
        raise SchemaError(
            f"{told}: expected numbers, booleans, times or strings of a fixed length. "
            "Store anything else as bytes, for instance as text or JSON."
        )
    if any(extent < 0 for extent in column.shape):
        raise SchemaError(f"{told}: expected no negative extent")


def checked_compression(compression: str, known: Sequence[str], kind: str) -> str:
    """Return the name of a compression, or raise ConfigError with those that the format has."""
    if compression not in known:
        raise ConfigError(f"compression {compression!r} of {kind}: expected one of {', '.join(known)}")
    return compression


def checked_row(row: Row, columns: Sequence[Column], count: int, samples: int) -> None:
    """Raise SchemaError unless a row holds what the columns promise, and there is room for it."""
    if count >= samples:
        raise SchemaError(f"sample {count} of a shard planned for {samples}: expected no more than planned")
    if set(row) != {column.name for column in columns}:
        raise SchemaError(f"a row with {sorted(row)}: expected {sorted(c.name for c in columns)}")
    for column in columns:
        value = row[column.name]
        if not column.is_fixed:
            if isinstance(value, np.ndarray):
                raise SchemaError(f"column {column.name!r} of bytes was given an array {value.shape}")
            continue
        dtype = np.dtype(column.dtype)
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != column.shape:
            given = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise SchemaError(
                f"column {column.name!r} was given {given}: expected an array {dtype} {column.shape}"
            )


def bytes_of(value: Any, column: Column) -> memoryview:
    """Return the bytes of one cell without copying a C-contiguous array."""
    if not column.is_fixed:
        return memoryview(value).cast("B")
    # Any type, also those that have no buffer of their own, such as times
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def quoted(name: str) -> str:
    """Return a column's name as a part of a file name between two dots.

    Examples
    --------
    >>> quoted("image"), quoted("a/b.c")
    ('image', 'a%2Fb%2Ec')
    """
    return quote(name, safe="").replace(".", "%2E")


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn an OSError of the block, for instance of a full disk, into a SaveError that names the file."""
    try:
        yield
    except SaveError:
        raise
    except OSError as error:
        raise SaveError(
            f"could not write {path}: {error.strerror or error}. "
            "Free some space or name another folder, then go on with --resume."
        ) from error


def stream(path: Path, position: int | None = None) -> IO[bytes]:
    """Open a new file for writing, or an existing one at a position."""
    file = path.open("wb" if position is None else "r+b", buffering=BUFFER)
    if position:
        file.seek(position)
    return file


def sync(file: IO[bytes]) -> None:
    """Bring all that was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


class Spool:
    """Strings of bytes of unknown total size, kept in an unnamed file beside the shard until it closes."""

    def __init__(self, folder: Path) -> None:
        self._data = tempfile.TemporaryFile(dir=folder, buffering=BUFFER)  # noqa: SIM115
        self._ends = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._ends.write(bytes(8))
        self.size = 0

    def write(self, data: memoryview) -> None:
        """Add one string."""
        self._data.write(data)
        self.size += len(data)
        self._ends.write(self.size.to_bytes(8, "little"))

    def copy(self, data: IO[bytes] | None, offsets: IO[bytes]) -> None:
        """Write all strings to `data`, and where each begins and ends, int64 little-endian, to `offsets`."""
        if data is not None:
            self._data.seek(0)
            shutil.copyfileobj(self._data, data, 2**20)
        self._ends.seek(0)
        shutil.copyfileobj(self._ends, offsets, 2**20)

    def close(self) -> None:
        """Forget all."""
        for file in (self._data, self._ends):
            try:
                file.close()
            except OSError:  # a full disk: what was gathered is not wanted any more
                file.close()


def damaged(path: Path, what: str) -> DamagedStoreError:
    """Return the error of a file that is not what was written."""
    return DamagedStoreError(f"{path}: {what}. Restore it from a copy, or convert the data again.")


def map_file(path: Path) -> Array:
    """Return a file as a mapped, read-only array of bytes.

    Raises
    ------
    MissingDataError
        When it is not there.
    DamagedStoreError
        When it is empty or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
                raise damaged(path, "is empty")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError as error:
        raise MissingDataError(
            f"{path} is missing. Restore it from a copy, or convert the data again."
        ) from error
    except DamagedStoreError:
        raise
    except OSError as error:
        raise damaged(path, f"could not be read ({error.strerror or error})") from error


def array_at(data: Array, start: int, column: Column, samples: int, path: Path) -> Array:
    """Return the samples of a column that begin at byte `start` of a mapped file, (samples, *shape).

    Raises
    ------
    DamagedStoreError
        When the file ends before they do: touching what is not there would kill the process.
    """
    size = samples * column.row_bytes
    if not 0 <= start <= len(data) - size:
        raise damaged(path, f"column {column.name!r} ends at byte {start + size} of {len(data)}")
    array: Array = np.ndarray((samples, *column.shape), column.dtype, data.data, start)
    return array


def windows(data: Array, row_bytes: int) -> Array:
    """Return every run of `row_bytes` bytes of a mapped file as one element, by its first byte."""
    return np.ndarray((len(data) - row_bytes + 1,), f"V{row_bytes}", data.data, 0, (1,))


def checked_rows(rows: Rows, samples: int) -> Rows:
    """Return the numbers, or raise IndexError if one is not that of a sample."""
    rows = np.asarray(rows, dtype=np.int64)
    if rows.size and not (rows.min() >= 0 and rows.max() < samples):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of a shard of {samples} samples")
    return rows


def copy_rows(view: Array, rows: Rows, out: Array, places: Rows | None = None) -> None:
    """Copy rows of a C-contiguous column to `out`, of the same type and shape, or to some places of it."""
    rows = checked_rows(rows, len(view))
    if not view[:1].nbytes or not rows.size:
        return
    if not (out.flags.c_contiguous and view.flags.c_contiguous and view.dtype == out.dtype):
        out[slice(None) if places is None else places] = view[rows]
        return
    # As bytes: numpy would copy a whole column that is big-endian or not aligned
    flat, slots = view.reshape(len(view), -1).view(np.uint8), out.reshape(len(out), -1).view(np.uint8)
    if places is None:
        np.take(flat, rows, axis=0, out=slots, mode="clip")
    else:
        whole = f"V{flat.shape[1]}"  # one element a row, which numpy finds faster than rows of a matrix
        slots.view(whole)[places, 0] = flat.view(whole)[rows, 0]


def copy_scattered(data: Array, starts: Rows, out: Array, places: Rows | None = None) -> None:
    """Copy the rows that begin at these bytes of a mapped file to `out`, or to some places of it.

    They lie inside the file.
    """
    size = out[:1].nbytes
    if not size or not len(starts):
        return
    where = range(len(starts)) if places is None else places.tolist()
    if not out.flags.c_contiguous:
        for place, start in zip(where, starts.tolist(), strict=True):
            out[place] = np.ndarray(out.shape[1:], out.dtype, data.data, start)
        return
    slots = out.reshape(len(out), -1).view(np.uint8)
    if size < _LARGE_ROW:
        every = slice(None) if places is None else places
        slots.view(f"V{size}")[every, 0] = windows(data, size)[starts]
        return
    for place, start in zip(where, starts.tolist(), strict=True):
        slots[place] = data[start : start + size]


class Blobs:
    """Strings of bytes in one piece, found by int64 offsets.

    Parameters
    ----------
    data
        The bytes of all strings.
    offsets
        Where each begins, and where the last ends: one more than there are strings.
    path
        The file, for messages.
    """

    def __init__(self, data: Array, offsets: Array, path: Path) -> None:
        self._data, self._offsets, self._path = data.data, offsets, path
        if offsets.item(0) != 0 or offsets.item(-1) != len(data):
            raise damaged(path, f"its offsets end at {offsets.item(-1)} of {len(data)} bytes")

    def __getitem__(self, row: int) -> memoryview:
        if not 0 <= row < len(self._offsets) - 1:
            raise IndexError(f"row {row} of a shard of {len(self._offsets) - 1} samples")
        start, stop = self._offsets.item(row), self._offsets.item(row + 1)
        if not 0 <= start <= stop <= len(self._data):
            raise damaged(self._path, f"row {row} lies at bytes {start} to {stop} of {len(self._data)}")
        return self._data[start:stop]
