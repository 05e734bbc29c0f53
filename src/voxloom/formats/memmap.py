"""Shards of ``.npy`` files, one a column, which numpy opens by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voxloom.formats.format import Column, Format, Row, Rows, Shard, ShardWriter
from voxloom.formats.mapped import (
    Blobs,
    array_at,
    bytes_of,
    checked_columns,
    checked_compression,
    checked_row,
    copy_rows,
    damaged,
    map_file,
    quoted,
    saving,
    stream,
    sync,
)
from voxloom.sample import Array

__all__ = ["Memmap", "npy_header"]

_MAGIC = b"\x93NUMPY\x01\x00"
_DIGITS = 20  # room for any count, so that the header can be written before the count is known


class Memmap(Format):
    """One ``.npy`` file a column; a column of bytes has a second one with the offsets of its strings.

    ``00000.image.npy`` opens with ``np.load(path, mmap_mode="r")``, (samples, *shape). A column of
    bytes is ``00000.caption.npy``, one uint8 array, and ``00000.caption.offsets.npy``, int64, one more
    than there are samples.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder, columns = Path(mkdtemp()), [Column("image", "uint8", (2, 2)), Column("caption")]
    >>> writer = Memmap().writer(folder, "00000", columns, samples=1)
    >>> writer.append({"image": np.eye(2, dtype="uint8"), "caption": b"a diagonal"})
    >>> writer.close()
    >>> np.load(folder / "00000.image.npy", mmap_mode="r")[0].tolist()
    [[1, 0], [0, 1]]
    >>> shard = Memmap().open(folder, "00000", columns, samples=1)
    >>> bytes(shard.blob("caption", 0))
    b'a diagonal'
    """

    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:
        """Return a name for each column, and a second one for each column of bytes."""
        return [name for column in columns for name in _names(stem, column)]

    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard; its files grow row by row."""
        checked_compression(compression, self.compressions, "memmap")
        return _Writer(folder, stem, checked_columns(columns), samples)

    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Map the files of a shard."""
        return _Shard(folder, stem, checked_columns(columns), samples)


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of a ``.npy`` file, as long for any extent of the first axis.

    Parameters
    ----------
    dtype, shape
        Of the array behind it, in C order.

    Examples
    --------
    >>> len(npy_header("uint8", (3, 2))), len(npy_header("uint8", (10**9, 2)))
    (128, 128)
    """
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    spare = _DIGITS - len(str(shape[0])) if shape else 0
    total = -(-(len(_MAGIC) + 3 + len(text) + spare) // 64) * 64
    filled = text.encode().ljust(total - len(_MAGIC) - 3) + b"\n"
    return _MAGIC + len(filled).to_bytes(2, "little") + filled


def _names(stem: str, column: Column) -> list[str]:
    name = f"{stem}.{quoted(column.name)}"
    return [f"{name}.npy"] if column.is_fixed else [f"{name}.npy", f"{name}.offsets.npy"]


class _Array:
    """One ``.npy`` file that grows."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...] = ()) -> None:
        self._path, self._dtype, self._shape = path, dtype, shape
        self._file = stream(path)
        self._file.write(npy_header(dtype, (0, *shape)))

    def write(self, data: bytes | memoryview) -> None:
        with saving(self._path):
            self._file.write(data)

    def close(self, count: int) -> None:
        with saving(self._path):
            self._file.seek(0)
            self._file.write(npy_header(self._dtype, (count, *self._shape)))
            sync(self._file)
            self._file.close()

    def discard(self) -> None:
        try:
            self._file.close()
        except OSError:  # a full disk: what it still held is not wanted
            self._file.close()


class _Fixed:
    def __init__(self, folder: Path, stem: str, column: Column) -> None:
        self._column = column
        (name,) = _names(stem, column)
        self.files = [_Array(folder / name, str(column.dtype), column.shape)]
        self.counts = [0]

    def write(self, data: memoryview) -> None:
        self.files[0].write(data)
        self.counts[0] += 1


class _Bytes:
    def __init__(self, folder: Path, stem: str, column: Column) -> None:
        data, offsets = (folder / name for name in _names(stem, column))
        self.files = [_Array(data, "|u1"), _Array(offsets, "<i8")]
        self.counts = [0, 1]
        self.files[1].write(bytes(8))

    def write(self, data: memoryview) -> None:
        self.files[0].write(data)
        self.counts[0] += len(data)
        self.counts[1] += 1
        self.files[1].write(self.counts[0].to_bytes(8, "little"))


class _Writer(ShardWriter):
    def __init__(self, folder: Path, stem: str, columns: tuple[Column, ...], samples: int) -> None:
        self._columns, self._samples, self._count, self._closed = columns, samples, 0, False
        self._parts: dict[str, _Fixed | _Bytes] = {}
        with saving(folder / stem):
            for column in columns:
                kind = _Fixed if column.is_fixed else _Bytes
                self._parts[column.name] = kind(folder, stem, column)

    def append(self, row: Row) -> None:
        checked_row(row, self._columns, self._count, self._samples)
        for column in self._columns:
            self._parts[column.name].write(bytes_of(row[column.name], column))
        self._count += 1

    def close(self) -> None:
        if self._closed:
            return
        for part in self._parts.values():
            for file, count in zip(part.files, part.counts, strict=True):
                file.close(count)
        self._closed = True

    def discard(self) -> None:
        self._closed = True
        for part in self._parts.values():
            for file in part.files:
                file.discard()


class _Shard(Shard):
    def __init__(self, folder: Path, stem: str, columns: tuple[Column, ...], samples: int) -> None:
        self._arrays: dict[str, Array] = {}
        self._blobs: dict[str, Blobs] = {}
        for column in columns:
            paths = [folder / name for name in _names(stem, column)]
            if column.is_fixed:
                self._arrays[column.name] = _mapped(paths[0], column, samples)
            else:
                offsets = _mapped(paths[1], Column(column.name, "<i8"), samples + 1)
                data = _mapped(paths[0], Column(column.name, "|u1"), None)
                self._blobs[column.name] = Blobs(data, offsets, paths[1])

    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        copy_rows(self._arrays[name], rows, out, places)

    def view(self, name: str) -> Array | None:
        return self._arrays[name]

    def blob(self, name: str, row: int) -> memoryview:
        return self._blobs[name][row]

    def close(self) -> None:
        self._arrays, self._blobs = {}, {}


def _mapped(path: Path, column: Column, samples: int | None) -> Array:
    """Return the array of a file; without `samples`, as many as it holds."""
    data = map_file(path)
    dtype = str(column.dtype)
    start = len(npy_header(dtype, (0, *column.shape)))
    samples = max(len(data) - start, 0) if samples is None else samples
    expected = npy_header(dtype, (samples, *column.shape))
    if data[:start].tobytes() != expected:
        raise damaged(path, f"its header is not that of {samples} samples of {dtype} {column.shape}")
    if len(data) != start + samples * column.row_bytes:
        size = start + samples * column.row_bytes
        raise damaged(path, f"has {len(data)} bytes: expected {size} for {samples} samples")
    return array_at(data, start, column, samples, path)
