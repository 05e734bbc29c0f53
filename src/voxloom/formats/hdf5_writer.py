"""Writes a shard in HDF5: h5py makes the datasets, plain streams fill them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import xxhash

from voxloom.errors import MissingExtraError, SaveError
from voxloom.formats.chunks import CODECS, Codec
from voxloom.formats.format import Column, Row, ShardWriter
from voxloom.formats.hdf5_reader import CHUNK, HEAD, MAGIC, Hdf5Shard, digest_of_chunk
from voxloom.formats.mapped import Spool, bytes_of, checked_row, quoted, saving, stream, sync

__all__ = ["Hdf5Writer"]

_SMALL_ROW = 1024  # bytes; below this a chunk a sample costs more than it saves
_LARGE_ROW = 2**31 - 64  # the most that one Blosc frame holds


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            'writing HDF5 needs h5py, which is not installed. Run: pip install "voxloom[hdf5]"'
        ) from error
    return h5py


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Turn also what h5py raises where the library fails to write."""
    with saving(path):
        try:
            yield
        except RuntimeError as error:
            raise SaveError(f"could not write {path}: {error}. Free some space, then go on.") from error


def _block_bytes(columns: Sequence[Column]) -> int:
    """Return the size of the user block, a power of two with room for the index."""
    room = HEAD + 80 + sum(160 + len(json.dumps(column.name)) for column in columns)
    return max(512, 1 << (room - 1).bit_length())


class Hdf5Writer(ShardWriter):
    """Writes one file."""

    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int, compression: str) -> None:
        self._path, self._columns, self._planned, self._compression = path, columns, samples, compression
        self._count, self._closed = 0, False
        self._h5py = _h5py()
        with _saving(path):
            # Dataset creation with times off and the old superblock gives the same bytes every time.
            self._file = self._h5py.File(
                path,
                "w",
                libver=("earliest", "v110"),
                locking=False,
                userblock_size=_block_bytes(columns),
                alignment_threshold=512,
                alignment_interval=64,
            )
            self._parts = {column.name: self._part(column) for column in columns}

    def _part(self, column: Column) -> _Fixed | _Chunked | _Bytes:
        if not column.is_fixed:
            return _Bytes(self, column.name)
        if self._compression != "none" and _SMALL_ROW <= column.row_bytes < _LARGE_ROW and self._planned:
            return _Chunked(self, column, self._planned, CODECS[self._compression])
        return _Fixed(self, column, self._planned)

    def stored(self, dtype: npt.DTypeLike) -> Any:
        """Return the type of a dataset: numpy's, or opaque where HDF5 has none of its kind."""
        dtype = np.dtype(dtype)
        opaque = dtype.kind in "mMU" or (dtype.kind in "fc" and dtype.itemsize in (12, 16, 24, 32))
        opaque = opaque and dtype.str[1:] != "c16"
        return np.dtype(f"V{dtype.itemsize}") if opaque else dtype

    def dataset(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> int:
        """Create a contiguous dataset whose place is fixed at once; return where it begins."""
        low = self._h5py.h5p.create(self._h5py.h5p.DATASET_CREATE)
        low.set_alloc_time(self._h5py.h5d.ALLOC_TIME_EARLY)
        low.set_fill_time(self._h5py.h5d.FILL_TIME_NEVER)
        low.set_obj_track_times(False)
        kind = self._h5py.h5t.py_create(self.stored(dtype), logical=True)
        space = self._h5py.h5s.create_simple(shape)
        made = self._h5py.h5d.create(self._file.id, name.encode(), kind, space, low)
        return int(made.get_offset() or 0)

    def chunked(self, name: str, column: Column, samples: int, codec: Codec) -> Any:
        """Create a dataset of one chunk a sample."""
        shape, dtype = (samples, *column.shape), np.dtype(column.dtype)
        return self._file.create_dataset(
            name,
            shape,
            self.stored(dtype),
            chunks=(1, *column.shape),
            track_times=False,
            fill_time="never",
            **codec.filters(dtype.itemsize, column.row_bytes),
        ).id

    def at(self, position: int) -> IO[bytes]:
        """Open the file once more, to write what belongs into a dataset."""
        return stream(self._path, position)

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self._path.parent

    @property
    def block(self) -> int:
        """Size of the user block."""
        return _block_bytes(self._columns)

    def append(self, row: Row) -> None:
        """Add one sample to each dataset."""
        checked_row(row, self._columns, self._count, self._planned)
        with _saving(self._path):
            for column in self._columns:
                self._parts[column.name].write(bytes_of(row[column.name], column), self._count)
        self._count += 1

    def close(self) -> None:
        """Write the columns of bytes, then the index."""
        if self._closed:
            return
        with _saving(self._path):
            finishing = [(name, part.finish(self._count)) for name, part in self._parts.items()]
            self._file.close()  # all places are fixed
            index = {name: fill() for name, fill in finishing}
            self._write_index(index)
        self._closed = True
        if self._count < self._planned:
            self._shorten()

    def _write_index(self, columns: dict[str, Any]) -> None:
        facts = {"samples": self._count, "bytes": self._path.stat().st_size, "columns": columns}
        text = json.dumps(facts, separators=(",", ":")).encode()
        with self.at(0) as file:
            file.write(MAGIC + xxhash.xxh3_64_hexdigest(text).encode() + f"{len(text):08x}".encode() + text)
            sync(file)

    def _shorten(self) -> None:
        """Write the file again for the samples that came: a contiguous dataset cannot shrink."""
        longer = self._path.with_name(f".{self._path.name}.longer")
        with saving(self._path):
            self._path.replace(longer)
        shard = Hdf5Shard(longer, self._columns, self._count)
        writer = Hdf5Writer(self._path, self._columns, self._count, self._compression)
        for row in range(self._count):
            writer.append({column.name: _cell(shard, column, row) for column in self._columns})
        writer.close()
        longer.unlink()

    def discard(self) -> None:
        """Let go of the file and of what is spooled."""
        self._closed = True
        for part in self._parts.values():
            part.discard()
        with suppress(OSError, RuntimeError):
            self._file.close()


def _cell(shard: Hdf5Shard, column: Column, row: int) -> Any:
    if not column.is_fixed:
        return shard.blob(column.name, row)
    out = np.empty((1, *column.shape), column.dtype)
    shard.take(column.name, np.array([row]), out)
    return out[0, ...]


Fill = Callable[[], dict[str, Any]]
"""Writes what a column still holds to its place, and returns what the index says of the column."""


class _Fixed:
    """A contiguous dataset, filled through a stream."""

    def __init__(self, writer: Hdf5Writer, column: Column, samples: int) -> None:
        self._at = writer.dataset(quoted(column.name), str(column.dtype), (samples, *column.shape))
        self._file = writer.at(self._at)

    def write(self, data: memoryview, row: int) -> None:  # noqa: ARG002
        self._file.write(data)

    def finish(self, count: int) -> Fill:  # noqa: ARG002
        self._file.close()
        return lambda: {"at": self._at}

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()


class _Bytes:
    """Strings of bytes: spooled until their size is known."""

    def __init__(self, writer: Hdf5Writer, name: str) -> None:
        self._writer, self._name, self._spool = writer, name, Spool(writer.folder)

    def write(self, data: memoryview, row: int) -> None:  # noqa: ARG002
        self._spool.write(data)

    def finish(self, count: int) -> Fill:
        name, size = quoted(self._name), self._spool.size
        data = self._writer.dataset(name, "u1", (size,))
        offsets = self._writer.dataset(f"{name}.offsets", "<i8", (count + 1,))
        return lambda: self._fill(data, offsets)

    def _fill(self, at: int, offsets_at: int) -> dict[str, Any]:
        with self._writer.at(at) as data, self._writer.at(offsets_at) as offsets:
            self._spool.copy(data if self._spool.size else None, offsets)
        self.discard()
        return {"at": at, "size": self._spool.size, "offsets": offsets_at}

    def discard(self) -> None:
        self._spool.close()


class _Chunked:
    """A dataset of compressed samples, and a second one of where they lie."""

    def __init__(self, writer: Hdf5Writer, column: Column, samples: int, codec: Codec) -> None:
        self._writer, self._column, self._codec = writer, column, codec
        self._itemsize = np.dtype(column.dtype).itemsize
        self._data = writer.chunked(quoted(column.name), column, samples, codec)
        self._chunks = np.zeros((samples, CHUNK), "<i8")

    def write(self, data: memoryview, row: int) -> None:
        chunk = self._codec.encode(data, self._itemsize)
        self._data.write_direct_chunk((row, *(0 for _ in self._column.shape)), chunk)
        self._chunks[row, 1:] = len(chunk), digest_of_chunk(chunk)

    def finish(self, count: int) -> Fill:
        self._data.chunk_iter(self._placed)
        at = self._writer.dataset(f"{quoted(self._column.name)}.chunks", "<i8", (count, CHUNK))
        name = next(name for name, codec in CODECS.items() if codec is self._codec)
        return lambda: self._fill(at, count, name)

    def _placed(self, chunk: Any) -> None:
        if chunk.chunk_offset[0] < len(self._chunks):
            self._chunks[chunk.chunk_offset[0], 0] = chunk.byte_offset

    def _fill(self, at: int, count: int, codec: str) -> dict[str, Any]:
        self._chunks[:count, 0] += self._shift(count)
        with self._writer.at(at) as file:
            file.write(self._chunks[:count].tobytes())
        return {"codec": codec, "chunks": at}

    def _shift(self, count: int) -> int:
        """Return what the places lack: some HDF5 libraries count them from the end of the user block."""
        with self._writer.at(0) as file:
            for shift in (0, self._writer.block):
                file.seek(int(self._chunks[0, 0]) + shift if count else 0)
                if not count or digest_of_chunk(file.read(int(self._chunks[0, 1]))) == self._chunks[0, 2]:
                    return shift
        raise SaveError(f"{self._column.name!r}: h5py does not tell where it wrote its chunks. Update h5py.")

    def discard(self) -> None:
        self._data = None
