"""Reads a shard in HDF5 through a map, without the HDF5 library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import xxhash

from voxloom.formats.chunks import CODECS
from voxloom.formats.format import Column, Rows, Shard
from voxloom.formats.mapped import Blobs, array_at, checked_rows, copy_rows, damaged, map_file
from voxloom.sample import Array

__all__ = ["CHUNK", "HEAD", "MAGIC", "Hdf5Shard", "digest_of_chunk"]

MAGIC = b"voxloom hdf5 1\n"
"""What the user block begins with."""
HEAD = len(MAGIC) + 16 + 8
"""Bytes before the index: the magic, its digest and its length, both hexadecimal."""
CHUNK = 3
"""Numbers of a chunk, int64: where it begins, its size, and its digest."""


def digest_of_chunk(chunk: bytes | memoryview) -> int:
    """Return the digest of a chunk, 63 bits of its XXH3, which an int64 holds."""
    return xxhash.xxh3_64_intdigest(chunk) >> 1


class Hdf5Shard(Shard):
    """The columns of one file."""

    def __init__(self, path: Path, columns: tuple[Column, ...], samples: int) -> None:
        data = map_file(path)
        index = _index(data, path, samples)
        self._arrays: dict[str, Array] = {}
        self._compressed: dict[str, _Compressed] = {}
        self._blobs: dict[str, Blobs] = {}
        try:
            for column in columns:
                self._add(column, index[column.name], data, samples, path)
        except (KeyError, TypeError) as error:
            raise damaged(path, f"its index does not hold the expected columns ({error})") from error

    def _add(self, column: Column, facts: Any, data: Array, samples: int, path: Path) -> None:
        if not column.is_fixed:
            offsets = array_at(data, facts["offsets"], Column(column.name, "<i8"), samples + 1, path)
            blob = array_at(data, facts["at"], Column(column.name, "u1"), facts["size"], path)
            self._blobs[column.name] = Blobs(blob, offsets, path)
        elif "codec" in facts:
            self._compressed[column.name] = _Compressed(column, facts, data, samples, path)
        else:
            self._arrays[column.name] = array_at(data, facts["at"], column, samples, path)

    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        """Copy mapped rows, or decode compressed ones into their slots."""
        if name in self._compressed:
            self._compressed[name].take(rows, out, places)
        else:
            copy_rows(self._arrays[name], rows, out, places)

    def view(self, name: str) -> Array | None:
        """Return a contiguous column."""
        return self._arrays.get(name)

    def blob(self, name: str, row: int) -> memoryview:
        """Return a view of the map."""
        return self._blobs[name][row]

    def close(self) -> None:
        """Let go of the map."""
        self._arrays, self._compressed, self._blobs = {}, {}, {}


class _Compressed:
    """Reads a column of one chunk a sample."""

    def __init__(self, column: Column, facts: Any, data: Array, samples: int, path: Path) -> None:
        self._column, self._path, self._data = column, path, data.data
        self._itemsize = np.dtype(column.dtype).itemsize
        self._codec = CODECS[facts["codec"]]
        chunk = Column(column.name, "<i8", (CHUNK,))
        self._chunks = array_at(data, facts["chunks"], chunk, samples, path)

    def take(self, rows: Rows, out: Array, places: Rows | None = None) -> None:
        rows = checked_rows(rows, len(self._chunks))
        where = range(len(rows)) if places is None else places.tolist()
        for place, row in zip(where, rows.tolist(), strict=True):
            slot = out[place : place + 1]
            whole = slot if slot.flags.c_contiguous else np.empty_like(slot, order="C")
            self._decode(row, whole.reshape(-1).view(np.uint8))
            if whole is not slot:
                slot[...] = whole

    def _decode(self, row: int, out: Array) -> None:
        start, size, digest = self._chunks[row].tolist()
        told = f"sample {row} of column {self._column.name!r}"
        if not 0 <= size <= len(self._data) or not 0 <= start <= len(self._data) - size:
            raise damaged(self._path, f"{told} lies at {size} bytes from {start} of {len(self._data)}")
        chunk = self._data[start : start + size]
        if digest_of_chunk(chunk) != digest:  # a damaged frame could make a decoder do anything
            raise damaged(self._path, f"{told} was changed: its digest differs")
        try:
            self._codec.decode(chunk, out, self._itemsize)
        except ValueError as error:
            raise damaged(self._path, f"{told} does not decode ({error})") from error


def _index(data: Array, path: Path, samples: int) -> dict[str, Any]:
    """Return what the user block says of each column."""
    head = data[:HEAD].tobytes()
    try:
        size = int(head[-8:], 16)
        text = data[HEAD : HEAD + size].tobytes()
        digest = xxhash.xxh3_64_hexdigest(text).encode()
        if not head.startswith(MAGIC) or head[len(MAGIC) : -8] != digest:
            raise ValueError("another digest")
        index = json.loads(text)
    except ValueError as error:
        raise damaged(path, f"has no index of ours in its user block ({error})") from error
    if index["samples"] != samples:
        raise damaged(path, f"holds {index['samples']} samples: expected {samples}")
    if index["bytes"] != len(data):
        raise damaged(path, f"has {len(data)} bytes: expected {index['bytes']}")
    return cast(dict[str, Any], index["columns"])
