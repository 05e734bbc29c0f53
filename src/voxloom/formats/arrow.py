"""Shards of Arrow IPC files, mapped and read without a copy."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.formats.columnar import Gathered, arrow_schema, pyarrow, table_columns
from voxloom.formats.format import Column, Format, Row, Rows, Shard, ShardWriter, Spread
from voxloom.formats.mapped import (
    checked_compression,
    checked_row,
    checked_rows,
    copy_rows,
    copy_scattered,
    damaged,
    map_file,
    saving,
    stream,
    sync,
)
from voxloom.sample import Array

__all__ = ["Arrow"]

_BATCH = 2**23  # bytes
_ENDS = struct.Struct("<qq")  # where a string begins, and where it ends


class Arrow(Format):
    """One Arrow IPC file a shard, in record batches of about 8 MiB.

    Arrays of one shape are fixed-size binary, scalars numbers, columns of bytes large binary, and keys
    strings. The type and the shape of an array stand in the metadata of its field.
    Other programs open the file as any Arrow (Feather 2) file.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import pyarrow
    >>> folder, columns = Path(mkdtemp()), [Column("image", "uint8", (2, 2)), Column("caption")]
    >>> writer = Arrow().writer(folder, "00000", columns, samples=1)
    >>> writer.append({"image": np.eye(2, dtype="uint8"), "caption": b"a diagonal"})
    >>> writer.close()
    >>> pyarrow.ipc.open_file(folder / "00000.arrow").read_all()["caption"][0].as_py()
    b'a diagonal'
    >>> Arrow().open(folder, "00000", columns, samples=1).view("image")[0].tolist()
    [[1, 0], [0, 1]]
    """

    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:  # noqa: ARG002
        """Return the one name ``<stem>.arrow``."""
        return [f"{stem}.arrow"]

    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard; no more than one record batch is held in memory."""
        checked_compression(compression, self.compressions, "arrow")
        return _Writer(folder / f"{stem}.arrow", table_columns(columns), samples)

    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Map the file of a shard."""
        return _Shard(folder / f"{stem}.arrow", table_columns(columns), samples)


class _Writer(ShardWriter):
    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int) -> None:
        self._path, self._columns, self._samples = path, columns, samples
        self._count, self._closed = 0, False
        self._waiting = Gathered(columns)
        fixed = sum(column.row_bytes for column in columns if column.is_fixed)
        self._most = max(1, _BATCH // max(fixed, 1))  # rows: equal batches where nothing varies
        pa = pyarrow()
        with saving(path):
            self._file = stream(path)
            # Not its own file: pyarrow's does not tell what went wrong, and cannot be synced
            options = pa.ipc.IpcWriteOptions(use_threads=False)
            self._ipc = pa.ipc.new_file(self._file, arrow_schema(columns), options=options)

    def append(self, row: Row) -> None:
        checked_row(row, self._columns, self._count, self._samples)
        self._waiting.append(row)
        self._count += 1
        if self._waiting.rows >= self._most or self._waiting.nbytes >= _BATCH:
            self._write()

    def _write(self) -> None:
        with saving(self._path):
            self._ipc.write_batch(self._waiting.batch())

    def close(self) -> None:
        if self._closed:
            return
        if self._waiting.rows:
            self._write()
        with saving(self._path):
            self._ipc.close()
            sync(self._file)
            self._file.close()
        self._closed = True

    def discard(self) -> None:
        self._closed = True
        with suppress(OSError):
            self._file.close()


class _Shard(Shard):
    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int) -> None:
        self._path, self._samples, self._data = path, samples, map_file(path)
        self._columns = {column.name: column for column in columns}
        batches = _batches(self._data, path, columns)
        rows = np.array([batch.num_rows for batch in batches], np.int64)
        if rows.sum() != samples or (rows < 0).any():
            raise damaged(path, f"holds {rows.sum()} samples: expected {samples}")
        self._firsts = np.concatenate([[0], np.cumsum(rows)[:-1]]).astype(np.int64)
        self._places = {column.name: self._placed(batches, column) for column in columns}
        # As plain numbers, which one string is found with faster
        self._starts: list[int] = self._firsts.tolist()
        self._strings = {c.name: self._places[c.name].tolist() for c in columns if not c.is_fixed}
        self._views = {column.name: self._regular(column, rows) for column in columns if column.is_fixed}

    def _placed(self, batches: list[Any], column: Column) -> Array:
        """Return where the buffers of a column begin in the file, (batches, 1 or 2)."""
        places = []
        for batch in batches:
            array = batch.column(batch.schema.get_field_index(column.name))
            # of the offsets and of the strings, which are checked one by one when they are read
            least = [batch.num_rows * column.row_bytes] if column.is_fixed else [(batch.num_rows + 1) * 8, 0]
            places.append([self._place(array, which, size) for which, size in enumerate(least, 1)])
        return np.array(places, np.int64).reshape(len(batches), 1 if column.is_fixed else 2)

    def _place(self, array: Any, which: int, size: int) -> int:
        """Return where a buffer begins, once it is sure that it lies in the map and is long enough."""
        buffers = array.buffers()
        if not size and (which >= len(buffers) or buffers[which] is None or not buffers[which].size):
            return 0
        if array.null_count or array.offset or which >= len(buffers) or buffers[which] is None:
            raise damaged(self._path, "a buffer of a record batch is missing")
        start = buffers[which].address - self._data.ctypes.data
        if buffers[which].size < size or not 0 <= start <= len(self._data) - buffers[which].size:
            raise damaged(self._path, "a buffer of a record batch lies outside the file")
        return int(start)

    def _regular(self, column: Column, rows: Array) -> Array | None:
        """Return one view of all batches where their rows lie at equal distances."""
        starts = self._places[column.name][:, 0]
        if len(starts) > 1 and (np.diff(starts) != rows[:-1] * column.row_bytes).any():
            return None
        start = int(starts[0]) if len(starts) else 0
        view: Array = np.ndarray((self._samples, *column.shape), column.dtype, self._data.data, start)
        return view

    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        view = self._views[name]
        if view is not None:
            copy_rows(view, rows, out, places)
            return
        copy_scattered(self._data, self._firsts_of(name, checked_rows(rows, self._samples)), out, places)

    def _firsts_of(self, name: str, rows: Rows) -> Rows:
        """Return the first byte of each of these samples of a column of one shape."""
        batch = np.searchsorted(self._firsts, rows, side="right") - 1
        within = rows - self._firsts[batch]
        starts: Rows = self._places[name][batch, 0] + within * self._columns[name].row_bytes
        return starts

    def view(self, name: str) -> Array | None:
        return self._views[name]

    def spread(self, name: str) -> Spread | None:
        if self._views[name] is not None or not self._columns[name].row_bytes:
            return super().spread(name)
        return self._data.data, array("q", self._firsts_of(name, np.arange(self._samples)).tobytes())

    def blob(self, name: str, row: int) -> memoryview:
        if not 0 <= row < self._samples:
            raise IndexError(f"row {row} of a shard of {self._samples} samples")
        batch = bisect_right(self._starts, row) - 1
        ends, start = self._strings[name][batch]
        first, last = _ENDS.unpack_from(self._data.data, ends + (row - self._starts[batch]) * 8)
        if not 0 <= first <= last <= len(self._data) - start:
            raise damaged(self._path, f"row {row} lies at bytes {first} to {last} of {len(self._data)}")
        return self._data.data[start + first : start + last]


def _batches(data: Array, path: Path, columns: Sequence[Column]) -> list[Any]:
    """Return the record batches of a mapped file; only their buffers' places are used."""
    pa = pyarrow()
    try:
        options = pa.ipc.IpcReadOptions(use_threads=False)
        reader = pa.ipc.open_file(pa.py_buffer(data), options=options)
        found = reader.schema
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise damaged(path, f"is no whole Arrow file ({error})") from error
    if not found.equals(arrow_schema(columns)):
        raise damaged(path, f"holds other columns than {[column.name for column in columns]}")
    return batches
