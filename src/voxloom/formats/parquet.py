"""Shards of Parquet files in small row groups, for interchange."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.formats.columnar import Gathered, arrow_schema, pyarrow, table_columns
from voxloom.formats.format import KEY, Column, Format, Row, Rows, Shard, ShardWriter
from voxloom.formats.mapped import (
    Blobs,
    checked_compression,
    checked_row,
    checked_rows,
    copy_rows,
    damaged,
    map_file,
    saving,
    stream,
    sync,
)
from voxloom.sample import Array

__all__ = ["Parquet"]

_GROUP = 2**20  # bytes
_GROUP_ROWS = 512
_KEPT = 8  # decoded columns of row groups, by thread


class Parquet(Format):
    """One Parquet file a shard: a row a sample, row groups of about 1 MiB.

    Arrays of one shape are fixed-length byte arrays, whose type and shape the Arrow schema tells; scalars
    are numbers, columns of bytes byte arrays, and keys strings. To read one sample, one row group of the
    columns asked for is decoded; each thread keeps the last few.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from pyarrow import parquet
    >>> folder, columns = Path(mkdtemp()), [Column("image", "uint8", (2, 2)), Column("caption")]
    >>> writer = Parquet().writer(folder, "00000", columns, samples=1, compression="zstd")
    >>> writer.append({"image": np.eye(2, dtype="uint8"), "caption": b"a diagonal"})
    >>> writer.close()
    >>> parquet.read_table(folder / "00000.parquet").to_pylist()
    [{'image': b'\\x01\\x00\\x00\\x01', 'caption': b'a diagonal'}]
    """

    compressions = ("none", "zstd")

    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:  # noqa: ARG002
        """Return the one name ``<stem>.parquet``."""
        return [f"{stem}.parquet"]

    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard; no more than one row group is held in memory."""
        checked_compression(compression, self.compressions, "parquet")
        return _Writer(folder / f"{stem}.parquet", table_columns(columns), samples, compression)

    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Map the file of a shard and read its footer."""
        return _Shard(folder / f"{stem}.parquet", table_columns(columns), samples)


class _Writer(ShardWriter):
    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int, compression: str) -> None:
        self._path, self._columns, self._samples = path, columns, samples
        self._count, self._closed = 0, False
        self._waiting = Gathered(columns)
        with saving(path):
            self._file = stream(path)
            self._table = pyarrow().parquet.ParquetWriter(
                self._file,
                arrow_schema(columns),
                compression=compression,
                use_dictionary=False,
                write_statistics=[KEY],  # of images they would be images
                write_page_checksum=True,
            )

    def append(self, row: Row) -> None:
        checked_row(row, self._columns, self._count, self._samples)
        self._waiting.append(row)
        self._count += 1
        if self._waiting.rows >= _GROUP_ROWS or self._waiting.nbytes >= _GROUP:
            self._write()

    def _write(self) -> None:
        with saving(self._path):
            rows = self._waiting.rows
            self._table.write_batch(self._waiting.batch(), row_group_size=rows)

    def close(self) -> None:
        if self._closed:
            return
        if self._waiting.rows:
            self._write()
        with saving(self._path):
            self._table.close()
            sync(self._file)
            self._file.close()
        self._closed = True

    def discard(self) -> None:
        self._closed = True
        self._table.is_open = False  # else it would write its footer when it is collected
        with suppress(OSError):
            self._file.close()


class _Kept(threading.local):
    """What a thread has open and decoded: neither the file object nor its reader may be shared."""

    def __init__(self) -> None:
        self.file: Any = None
        self.groups: OrderedDict[tuple[str, int], Array | Blobs] = OrderedDict()


class _Shard(Shard):
    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int) -> None:
        self._path, self._samples, self._data = path, samples, map_file(path)
        self._columns = {column.name: column for column in columns}
        self._pa = pyarrow()
        self._foreign = (self._pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError)
        self._kept, self._metadata = _Kept(), None
        try:
            self._metadata = self._opened().metadata
            found = self._opened().schema_arrow
            rows = [self._metadata.row_group(n).num_rows for n in range(self._metadata.num_row_groups)]
        except self._foreign as error:
            raise damaged(path, f"is no whole Parquet file ({error})") from error
        if not found.equals(arrow_schema(columns)):
            raise damaged(path, f"holds other columns than {list(self._columns)}")
        if sum(rows) != samples or min(rows, default=0) < 0:
            raise damaged(path, f"holds {sum(rows)} samples: expected {samples}")
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._firsts = self._ends - np.array(rows, np.int64)

    def _opened(self) -> Any:
        if self._kept.file is None:
            self._kept.file = self._pa.parquet.ParquetFile(
                self._pa.py_buffer(self._data),
                metadata=self._metadata,
                pre_buffer=False,
                page_checksum_verification=True,
            )
        return self._kept.file

    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        rows = checked_rows(rows, self._samples)
        if not out[:1].nbytes or not len(rows):
            return
        groups = np.searchsorted(self._ends, rows, side="right")
        order = np.argsort(groups, kind="stable")
        places = np.arange(len(rows)) if places is None else places
        for some in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
            number = groups.item(some[0])
            decoded = self._group(name, number)
            assert isinstance(decoded, np.ndarray)
            copy_rows(decoded, rows[some] - self._firsts[number], out, places[some])

    def blob(self, name: str, row: int) -> memoryview:
        if not 0 <= row < self._samples:
            raise IndexError(f"row {row} of a shard of {self._samples} samples")
        number = int(np.searchsorted(self._ends, row, side="right"))
        decoded = self._group(name, number)
        assert isinstance(decoded, Blobs)
        return decoded[row - self._firsts.item(number)]

    def _group(self, name: str, number: int) -> Array | Blobs:
        """Return a column of a row group, decoded now or a little while ago by the same thread."""
        groups = self._kept.groups
        if (name, number) not in groups:
            decoded = self._decoded(name, number)
            while len(groups) >= _KEPT:
                groups.popitem(last=False)
            groups[name, number] = decoded
        groups.move_to_end((name, number))
        return groups[name, number]

    def _decoded(self, name: str, number: int) -> Array | Blobs:
        column = self._columns[name]
        count = int(self._ends[number] - self._firsts[number])
        try:
            table = self._opened().read_row_group(number, columns=[name], use_threads=False)
            array = table[name].combine_chunks()
            if len(array) != count or array.null_count or array.type != arrow_schema([column]).field(0).type:
                raise ValueError(f"{len(array)} values of {array.type}")
        except self._foreign as error:
            told = f"row group {number} of column {name!r} does not decode"
            raise damaged(self._path, f"{told} ({error})") from error
        return self._array(column, array) if column.is_fixed else self._blobs(array)

    def _array(self, column: Column, array: Any) -> Array:
        start = array.offset * column.row_bytes
        values: Array = np.ndarray((len(array), *column.shape), column.dtype, array.buffers()[1], start)
        return values

    def _blobs(self, array: Any) -> Blobs:
        _, ends, data = array.buffers()
        offsets = np.frombuffer(ends, "<i8")[array.offset : array.offset + len(array) + 1]
        data = np.frombuffer(data if data is not None else b"", np.uint8)
        return Blobs(data[offsets[0] : offsets[-1]], offsets - offsets[0], self._path)

    def close(self) -> None:
        self._kept = _Kept()
