"""Arrays as bytes: as numpy writes them, and packed by bitshuffle and LZ4 behind numpy's header.

The packed form is ``b"VXBL\\x01"``, the header of a ``.npy`` file, and one or more Blosc 1 chunks, each of
which says its own size. Blosc gives the interpreter free while it works.
"""

from __future__ import annotations

import ast
import io
import re
import struct
from functools import lru_cache
from math import prod
from typing import Any

import imagecodecs
import numpy as np

from voxloom.errors import DataError
from voxloom.formats.pixels import Data, placed
from voxloom.sample import Array

__all__ = [
    "BLOSC",
    "NPY",
    "array_header",
    "from_blosc",
    "from_npy",
    "is_whole_blosc",
    "to_blosc",
    "to_npy",
]

NPY = b"\x93NUMPY"
BLOSC = b"VXBL\x01"
"""What a packed array begins with; the last byte is the version."""

_CHUNK = 2**30  # Blosc 1 takes less than 2 GiB at once
_TYPE = re.compile(r"[<>|=]?[?biufcSUmM]\d*(\[\w+\])?")
_LONGEST_HEADER = 10_000  # numpy's own limit

Facts = tuple[tuple[int, ...], bool, np.dtype[np.generic]]


def array_header(data: Data, start: int = 0) -> tuple[Facts, int]:
    """Return (shape, whether in Fortran's order, type), and where the elements begin.

    Raises
    ------
    ValueError, struct.error
        If the header is cut, or not one that numpy reads without unpickling.
    """
    wide = data[start + 6] > 1
    (length,) = struct.unpack("<I" if wide else "<H", data[start + 8 : start + (12 if wide else 10)])
    end = start + (12 if wide else 10) + length
    if length > _LONGEST_HEADER or end > len(data):
        raise ValueError(f"its header should end at byte {end}, the data ends at {len(data)}")
    return _facts(bytes(data[start:end])), end


@lru_cache(maxsize=1024)  # thousands of frames share a header, and it takes 20 microseconds to read one
def _facts(header: bytes) -> Facts:
    version = header[6:8]
    if version not in (b"\1\0", b"\2\0"):
        raise ValueError(f"numpy's format {tuple(version)}, expected (1, 0) or (2, 0)")
    facts = ast.literal_eval(header[10 if version == b"\1\0" else 12 :].decode("latin-1").strip())
    text, fortran, shape = facts["descr"], facts["fortran_order"], facts["shape"]
    if text == "|O":
        raise ValueError("it holds Python objects, which are never unpickled; save an array of numbers")
    if not isinstance(text, str) or not _TYPE.fullmatch(text):
        raise ValueError(f"elements of type {text!r}, expected numbers, flags, dates or text")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"shape {shape!r}")
    return shape, bool(fortran), np.dtype(text)


def from_npy(data: Data, out: Array | None = None, *, name: str = "") -> Array:
    """Return a copy of the array in a ``.npy`` file, or copy it to `out`.

    Examples
    --------
    >>> from_npy(to_npy(np.arange(3)))
    array([0, 1, 2])
    """
    (shape, fortran, dtype), start = array_header(data)
    count = prod(shape)
    if count * dtype.itemsize > len(data) - start:
        raise ValueError(f"{len(data) - start} bytes of elements, expected {count * dtype.itemsize}")
    flat = np.frombuffer(data, dtype, count, start) if count and dtype.itemsize else np.empty(count, dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), "C") if out is None else placed(array, out, name=name)


def to_npy(array: Array) -> bytes:
    """Return an array as numpy writes it to a file, in C order."""
    array = _plain(array)
    return _header(array) + array.tobytes()


def _plain(array: Array) -> Array:
    if array.dtype.hasobject:
        raise DataError(f"an array of {array.dtype}: expected numbers or text, nothing that needs pickle.")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _header(array: Array) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    return file.getvalue()


def to_blosc(array: Array) -> bytes:
    """Return an array packed by bitshuffle and LZ4.

    Examples
    --------
    >>> frame = np.arange(10000, dtype=np.uint16)
    >>> len(to_blosc(frame)) < frame.nbytes / 4, bool((from_blosc(to_blosc(frame)) == frame).all())
    (True, True)
    """
    array = _plain(array)
    # imagecodecs shuffles by the element size of what it is given, whatever `typesize` says
    flat = array.reshape(-1) if array.dtype.kind in "buif" else np.frombuffer(array.tobytes(), np.uint8)
    step = _CHUNK // max(1, flat.itemsize)
    parts: list[Any] = [flat[start : start + step] for start in range(0, flat.size, step)]
    chunks = [imagecodecs.blosc_encode(part, compressor="lz4", shuffle=2, numthreads=1) for part in parts]
    return b"".join([BLOSC, _header(array), *chunks])


def from_blosc(data: Data, out: Array | None = None, *, name: str = "") -> Array:
    """Return a packed array, or unpack it straight into `out`."""
    (shape, fortran, dtype), place = array_header(data, len(BLOSC))
    if fortran:
        raise ValueError("an order that voxloom does not write")
    size = prod(shape) * dtype.itemsize
    chunks = _chunks(data, place)
    if sum(length for _, length in chunks) != size:
        raise ValueError(f"its chunks hold {sum(n for _, n in chunks)} bytes, its header says {size}")
    direct = out is not None and out.shape == shape and out.dtype == dtype and out.flags.c_contiguous
    target = out if out is not None and direct else np.empty(shape, dtype)
    if size:
        _unpack(chunks, target.reshape(-1).view(np.uint8))
    if direct:
        return target
    return placed(target.astype(dtype.newbyteorder("="), copy=False), out, name=name)


def is_whole_blosc(data: Data) -> bool:
    """Whether all chunks of a packed array are there; raises as `array_header` does.

    Examples
    --------
    >>> packed = to_blosc(np.arange(9))
    >>> is_whole_blosc(packed)
    True
    """
    (shape, _, dtype), place = array_header(data, len(BLOSC))
    return sum(length for _, length in _chunks(data, place)) == prod(shape) * dtype.itemsize


def _chunks(data: Data, place: int) -> list[tuple[Any, int]]:
    """Return each Blosc chunk with the size of what it holds."""
    chunks = []
    while place < len(data):
        size, _, packed = struct.unpack("<III", data[place + 4 : place + 16])
        if packed < 16 or place + packed > len(data):
            raise ValueError(f"a chunk should end at byte {place + packed}, the data ends at {len(data)}")
        chunks.append((data[place : place + packed], size))
        place += packed
    return chunks


def _unpack(chunks: list[tuple[Any, int]], raw: Any) -> None:
    place = 0
    for chunk, size in chunks:
        imagecodecs.blosc_decode(chunk, out=raw[place : place + size], numthreads=1)
        place += size
