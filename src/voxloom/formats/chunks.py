"""How one sample is compressed inside an HDF5 file: bytes of a chunk, and back into an array."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import Any

import imagecodecs
import numpy as np

from voxloom.sample import Array

__all__ = ["CODECS", "Blosc", "Codec", "Gzip"]

_BLOSC_FILTER = 32001  # as registered with the HDF Group
_BLOSC_HEADER = 16


class Codec(ABC):
    """One pipeline of HDF5 filters, run by us: the library would hold its one lock meanwhile."""

    @abstractmethod
    def filters(self, itemsize: int, row_bytes: int) -> dict[str, Any]:
        """Return what h5py's ``create_dataset`` takes, so that others can read the chunks."""

    @abstractmethod
    def encode(self, data: memoryview, itemsize: int) -> bytes:
        """Return the chunk of one sample."""

    @abstractmethod
    def decode(self, chunk: memoryview, out: Array, itemsize: int) -> None:
        """Fill `out`, the bytes of one sample.

        Raises
        ------
        ValueError
            When the chunk does not hold that many bytes.
        """


class Gzip(Codec):
    """The built-in shuffle and deflate: every HDF5 library reads it."""

    def filters(self, itemsize: int, row_bytes: int) -> dict[str, Any]:  # noqa: ARG002
        """Return shuffle and gzip at level 4."""
        return {"shuffle": True, "compression": "gzip", "compression_opts": 4}

    def encode(self, data: memoryview, itemsize: int) -> bytes:
        """Bring bytes of one rank together, then deflate."""
        shuffled = np.frombuffer(data, np.uint8).reshape(-1, itemsize).T
        return zlib.compress(np.ascontiguousarray(shuffled).data, 4)

    def decode(self, chunk: memoryview, out: Array, itemsize: int) -> None:
        """Inflate no more than fits, and put the bytes back in their order."""
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(chunk, len(out))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(data) != len(out):
            raise ValueError(f"{len(data)} bytes")
        out.reshape(-1, itemsize)[...] = np.frombuffer(data, np.uint8).reshape(itemsize, -1).T


class Blosc(Codec):
    """Bitshuffle and LZ4 in a Blosc frame; elsewhere ``import hdf5plugin`` reads it."""

    def filters(self, itemsize: int, row_bytes: int) -> dict[str, Any]:
        """Return the filter with the options that hdf5plugin writes."""
        return {
            "compression": _BLOSC_FILTER,
            # revision of the filter and of the frame, size of an item and of a chunk, level, bitshuffle, LZ4
            "compression_opts": (2, 2, _typesize(itemsize), row_bytes, 5, 2, 1),
            "allow_unknown_filter": True,
        }

    def encode(self, data: memoryview, itemsize: int) -> bytes:
        """Return a frame of one thread, so that it is the same everywhere."""
        source: Any = data  # any buffer, whatever its types say
        frame = imagecodecs.blosc_encode(
            source, level=5, compressor="lz4", shuffle=2, typesize=_typesize(itemsize), numthreads=1
        )
        return bytes(frame)

    def decode(self, chunk: memoryview, out: Array, itemsize: int) -> None:  # noqa: ARG002
        """Decode a frame whose own sizes are what they must be."""
        sizes = np.frombuffer(chunk[:_BLOSC_HEADER], "<u4").tolist() if len(chunk) >= _BLOSC_HEADER else []
        if sizes[1::2] != [len(out), len(chunk)]:
            raise ValueError("its header is not that of a Blosc frame of one sample")
        source, slot = chunk, out  # type: Any, Any
        try:
            imagecodecs.blosc_decode(source, numthreads=1, out=slot)
        except imagecodecs.BloscError as error:
            raise ValueError(str(error)) from error


def _typesize(itemsize: int) -> int:
    """Return what a frame's header has one byte for."""
    return itemsize if itemsize < 256 else 1


CODECS: dict[str, Codec] = {"gzip": Gzip(), "blosc": Blosc()}
