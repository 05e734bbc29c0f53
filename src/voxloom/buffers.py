"""Memory to copy into: where it begins decides how fast it fills."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voxloom.sample import Array

__all__ = ["aligned_empty"]

_LINE = 64  # bytes of a cache line


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike | None) -> Array:
    """Return an uninitialised array that begins at a cache line.

    numpy's own memory begins 16 bytes after one, and copying rows of some 100 kB there took 1.5 times
    as long on an AMD EPYC.

    Examples
    --------
    >>> array = aligned_empty((3, 5), np.uint16)
    >>> array.shape, array.ctypes.data % 64
    ((3, 5), 0)
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array
