"""Voxels on their way: a buffer that TensorStore fills, and how to wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore as ts

from voxloom.sample import Array
from voxloom.volumes import engine
from voxloom.volumes.placement import Copy, Window

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = ["Fetch", "fetch_copy", "fetch_windows"]


@dataclass(frozen=True)
class Fetch:
    """A buffer (c, z, y, x) that reads in flight fill.

    Attributes
    ----------
    buffer
        The voxels, once `wait` has returned; what no window holds is not set.
    first
        Index of its first voxel along z, y, x in the level.
    """

    volume: Volume
    level: int
    buffer: Array
    first: tuple[int, int, int]
    futures: Sequence[tuple[Any, Window]]

    def wait(self) -> Array:
        """Return the buffer when it is filled.

        Raises
        ------
        VolumeReadError
            If a read failed: names the volume, the level and the voxels.
        """
        for future, window in self.futures:
            engine.finish(future, partial(self._what, window))
        return self.buffer

    def _what(self, window: Window) -> str:
        box = ", ".join(f"{part.start}:{part.stop}" for part in window)
        return f"{self.volume.path}: level {self.level}, voxels [{box}] (z, y, x) cannot be read"


def fetch_windows(volume: Volume, level: int, whole: Window, parts: Iterable[Window]) -> Fetch:
    """Begin to read parts of a box of voxels into one buffer."""
    source = volume.array(level)
    shape = (source.shape[0], *(part.stop - part.start for part in whole))
    first = (whole[0].start, whole[1].start, whole[2].start)
    buffer = np.empty(shape, source.dtype.numpy_dtype)
    futures = []
    for part in parts:
        there = tuple(slice(s.start - a, s.stop - a) for s, a in zip(part, first, strict=True))
        futures.append((_begin(source[(slice(None), *part)], buffer[(slice(None), *there)]), part))
    return Fetch(volume, level, buffer, first, futures)


def fetch_copy(volume: Volume, level: int, copy: Copy, *, shape: Sequence[int], fill: Any) -> Fetch:
    """Begin to read a patch voxel by voxel, right into place; what the level has not is filled."""
    source = volume.array(level)
    buffer = np.empty((source.shape[0], *shape), source.dtype.numpy_dtype)
    there, here, turned = [slice(None)], [slice(None)] * 4, [slice(None)]
    for place, start, step, count in zip(copy.axes, copy.start, copy.step, shape, strict=True):
        begin, end = _met(start, step, count, volume.levels[level].grid.shape[place])
        there.append(slice(begin, end))
        ends = start + step * begin, start + step * (end - 1)
        here[1 + place] = slice(min(ends), max(ends) + 1, abs(step))
        turned.append(slice(None, None, 1 if step > 0 else -1))
    _fill_around(buffer, there, fill)
    inner = buffer[tuple(there)]
    if not inner.size:
        return Fetch(volume, level, buffer, (0, 0, 0), [])
    order = [0, *(1 + copy.axes.index(axis) for axis in range(3))]
    future = _begin(source[tuple(here)], inner[tuple(turned)].transpose(order))
    return Fetch(volume, level, buffer, (0, 0, 0), [(future, (here[1], here[2], here[3]))])


def _begin(source: Any, target: Array) -> Any:
    return ts.array(target).write(source.translate_to[0, 0, 0, 0])


def _met(start: int, step: int, count: int, extent: int) -> tuple[int, int]:
    """Return between which ``i`` of ``range(count)`` the index ``start + step * i`` lies in an extent."""
    if step < 0:  # the same, looked at from the other end
        start, step = extent - 1 - start, -step
    begin, end = max(0, -(start // step)), min(count, (extent - 1 - start) // step + 1)
    return (begin, end) if begin < end else (0, 0)


def _fill_around(buffer: Array, inner: Sequence[slice], fill: Any) -> None:
    """Set what lies outside a part of an array, axis by axis; the part itself is not touched."""
    rest = [slice(None)] * buffer.ndim
    for axis in range(1, buffer.ndim):
        for outside in (slice(0, inner[axis].start), slice(inner[axis].stop, None)):
            buffer[(*rest[:axis], outside)] = fill
        rest[axis] = inner[axis]
