"""Voxels on their way: a buffer that TensorStore fills, and how to wait for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorstore as ts

from voxloom.sample import Array
from voxloom.volumes import engine
from voxloom.volumes.held_part import HeldPart
from voxloom.volumes.placement import Copy, Window

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = ["Fetch", "Part", "Stored", "fetch_copy", "fetch_windows"]


class Stored(NamedTuple):
    """One level of a volume, and its TensorStore view (c, z, y, x)."""

    volume: Volume
    level: int
    view: Any

    @property
    def extents(self) -> tuple[int, int, int]:
        """Voxels of the level along z, y, x; the view of a `HeldVolume` holds a part of them."""
        return self.volume.levels[self.level].grid.shape


class Part(NamedTuple):
    """A part of a buffer, along z, y, x of the buffer, and the reads that fill it."""

    within: Window
    reads: Sequence[tuple[Any, Stored, Window]]


@dataclass(frozen=True)
class Fetch:
    """A buffer (c, z, y, x) that reads in flight fill.

    Attributes
    ----------
    buffer
        The voxels; outside of the parts it is not set, or holds the fill value of a copy.
    first
        Index of its first voxel along z, y, x in the level.
    parts
        What is read.
    """

    buffer: Array
    first: tuple[int, int, int]
    parts: Sequence[Part]

    def arrivals(self) -> Iterator[Window]:
        """Yield each part of the buffer when it is filled.

        Raises
        ------
        VolumeReadError
            If a read failed: names the volume, the level and the voxels.
        """
        for within, reads in self.parts:
            for future, stored, window in reads:
                if future is not None:
                    engine.finish(future, lambda stored=stored, window=window: _what(stored, window))  # type: ignore[misc]
            yield within

    def wait(self) -> Array:
        """Return the buffer when all of it is filled; raises as `arrivals` does."""
        for _ in self.arrivals():
            pass
        return self.buffer


def fetch_windows(arrays: Sequence[Stored], whole: Window, windows: Sequence[Window]) -> Fetch:
    """Begin to read windows of a box of voxels, of arrays on one grid and of one type, into one buffer.

    Parameters
    ----------
    arrays
        Their channels follow each other in the buffer.
    whole
        The box.
    windows
        Parts of the box; they do not overlap.
    """
    first = (whole[0].start, whole[1].start, whole[2].start)
    shape = [part.stop - part.start for part in whole]
    buffer = _buffer(arrays, shape)
    parts = []
    for window in windows:
        z, y, x = (slice(s.start - a, s.stop - a) for s, a in zip(window, first, strict=True))
        reads = [
            (_begin(stored, window, buffer[channels, z, y, x]), stored, window)
            for stored, channels in _layers(arrays)
        ]
        parts.append(Part((z, y, x), reads))
    return Fetch(buffer, first, parts)


def fetch_copy(arrays: Sequence[Stored], copy: Copy, *, shape: Sequence[int], fill: Any) -> Fetch:
    """Begin to read a patch voxel by voxel, right into place; what the level has not is filled."""
    buffer = _buffer(arrays, shape)
    extents = arrays[0].extents
    there, here, turned = [slice(None)] * 3, [slice(None)] * 3, [slice(None)] * 3
    for axis, (place, start, step) in enumerate(zip(copy.axes, copy.start, copy.step, strict=True)):
        begin, end = _met(start, step, shape[axis], extents[place])
        there[axis] = slice(begin, end)
        ends = start + step * begin, start + step * (end - 1)
        here[place] = slice(min(ends), max(ends) + 1, abs(step))
        turned[axis] = slice(None, None, 1 if step > 0 else -1)
    within = (there[0], there[1], there[2])
    _fill_around(buffer, within, fill)
    if any(part.stop <= part.start for part in within):
        return Fetch(buffer, (0, 0, 0), [])
    order = [0, *(1 + copy.axes.index(axis) for axis in range(3))]
    target = buffer[:, *within][:, *turned].transpose(order)
    window = (here[0], here[1], here[2])
    reads = [
        (_begin(stored, window, target[channels]), stored, window) for stored, channels in _layers(arrays)
    ]
    return Fetch(buffer, (0, 0, 0), [Part(within, reads)])


def _buffer(arrays: Sequence[Stored], shape: Sequence[int]) -> Array:
    channels = sum(stored.view.shape[0] for stored in arrays)
    return np.empty((channels, *shape), arrays[0].view.dtype.numpy_dtype)


def _layers(arrays: Sequence[Stored]) -> Iterator[tuple[Stored, slice]]:
    """Yield each array with its channels in the buffer."""
    first = 0
    for stored in arrays:
        yield stored, slice(first, first + stored.view.shape[0])
        first += stored.view.shape[0]


def _begin(stored: Stored, window: Window, target: Array) -> Any:
    """Begin to read a window into memory; what is in memory already is copied at once."""
    if isinstance(stored.view, HeldPart):
        target[...] = stored.view.cut(window)
        return None
    return ts.array(target).write(stored.view[:, *window].translate_to[0, 0, 0, 0])


def _met(start: int, step: int, count: int, extent: int) -> tuple[int, int]:
    """Return between which ``i`` of ``range(count)`` the index ``start + step * i`` lies in an extent."""
    if step < 0:  # the same, looked at from the other end
        start, step = extent - 1 - start, -step
    begin, end = max(0, -(start // step)), min(count, (extent - 1 - start) // step + 1)
    return (begin, end) if begin < end else (0, 0)


def _fill_around(buffer: Array, within: Window, fill: Any) -> None:
    """Set what lies outside a part of a buffer, axis by axis; the part itself is not touched."""
    rest = [slice(None)] * 4
    for axis, part in enumerate(within, 1):
        for outside in (slice(0, part.start), slice(part.stop, None)):
            buffer[(*rest[:axis], outside)] = fill
        rest[axis] = part


def _what(stored: Stored, window: Window) -> str:
    box = ", ".join(f"{part.start}:{part.stop}" for part in window)
    return f"{stored.volume.path}: level {stored.level}, voxels [{box}] (z, y, x) cannot be read"
