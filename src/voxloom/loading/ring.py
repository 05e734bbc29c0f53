"""Memory that batches lie in, used again once nobody holds it."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from voxloom.buffers import aligned_empty
from voxloom.sample import Array

__all__ = ["Memory", "PinnedMemory", "Ring"]


class Memory(Protocol):
    """Gives room for the rows of one field; several threads may ask."""

    def take(self, rows: int) -> Array:
        """Return a C-contiguous array (rows, *shape) that nobody else holds."""


class Ring:
    """Buffers that go round: fresh memory costs the system more than filling it does.

    A buffer is used again when the array that `take` gave is gone. A tensor made of it by
    `torch.from_numpy` keeps it alive, and so does all that shares the tensor's memory: slices,
    views, ``numpy()``. Who keeps all batches gets a buffer for each.

    Parameters
    ----------
    rows
        Most rows that will be asked for.
    shape, dtype
        Those of one row.
    most
        Buffers that are kept for later; more are made where more are held, and then forgotten.

    Examples
    --------
    >>> ring = Ring(4, (2,), np.uint8, most=2)
    >>> one = ring.take(4)
    >>> address = one.ctypes.data
    >>> ring.take(3).ctypes.data == address  # `one` is held
    False
    >>> del one
    >>> both = [ring.take(4), ring.take(4)]
    >>> address in [array.ctypes.data for array in both]
    True
    """

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: npt.DTypeLike, *, most: int) -> None:
        self._shape, self._dtype, self._most = (rows, *shape), np.dtype(dtype), most
        self._slots: deque[tuple[Array, weakref.ref[Array]]] = deque()  # whose ends are safe in threads

    def __reduce__(self) -> tuple[Any, ...]:
        return _ring, (self._shape, self._dtype, self._most)

    def take(self, rows: int) -> Array:
        """Return the first rows of a buffer that nobody holds."""
        buffer = self._unheld()
        view = buffer[:rows]
        self._slots.append((buffer, weakref.ref(view)))
        while len(self._slots) > self._most:
            self._slots.popleft()
        return view

    def _unheld(self) -> Array:
        for _ in range(len(self._slots)):
            try:
                buffer, view = self._slots.pop()  # the last one given back is still in the processor's cache
            except IndexError:  # other threads are looking through them too
                break
            if view() is None:
                return buffer
            self._slots.appendleft((buffer, view))
        return aligned_empty(self._shape, self._dtype)


def _ring(shape: tuple[int, ...], dtype: np.dtype[Any], most: int) -> Ring:
    return Ring(shape[0], shape[1:], dtype, most=most)


class PinnedMemory:
    """Page-locked memory, from which a copy to the device may run beside the host.

    It is torch that uses it again: it knows which copies have ended, and we do not.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._shape = shape
        self._dtype = torch.from_numpy(np.empty(0, dtype)).dtype

    def take(self, rows: int) -> Array:
        """Return page-locked rows."""
        pinned = torch.empty((rows, *self._shape), dtype=self._dtype, pin_memory=True)
        array: Array = pinned.numpy()
        return array
