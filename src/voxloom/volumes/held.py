"""A part of a volume in memory, from which several patches are cut: one read serves them all."""

from __future__ import annotations

import math
from typing import Any

from voxloom.geometry import Box, Grid, PatchSpec, Point, Pose
from voxloom.volumes.fetch import Fetch, Stored, fetch_windows
from voxloom.volumes.held_part import HeldPart
from voxloom.volumes.patch import AS_IS, spacing_along
from voxloom.volumes.placement import Window
from voxloom.volumes.volume import Volume

__all__ = ["HeldVolume"]

_BELOW, _ABOVE = 1, 2  # voxels around a place that a cubic needs, and so enough for all


class HeldVolume(Volume):
    """A volume of which a part is read once: what some patches need, and nothing else.

    First say what is needed of it (`need`), then begin to read (`begin`); patches that are begun after
    that wait for it, and are cut from memory.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> from voxloom.volumes.patch import begin_patch
    >>> volume = Volume.open(write_volume(mkdtemp(), phantom((8, 40, 40))))
    >>> spec, centers = PatchSpec(shape=(2, 8, 8), spacing=(8, 8, 8)), [(12, 100, 100), (20, 108, 60)]
    >>> held = HeldVolume(volume)
    >>> for center in centers:
    ...     held.need(spec, center)
    >>> held.begin()
    >>> all((begin_patch(held, spec, c).result() == begin_patch(volume, spec, c).result()).all()
    ...     for c in centers)
    True
    """

    def __init__(self, volume: Volume) -> None:
        self.__dict__.update(volume.__dict__)
        self._volume = volume
        self._windows: dict[int, Window] = {}
        self._fetched: dict[int, Fetch] = {}

    def need(self, spec: PatchSpec, center: Point, *, pose: Pose = AS_IS) -> None:
        """Add what a patch is made of to what will be read; mirrored edges need what lies behind them."""
        is_plain = pose is AS_IS  # most are, and what numpy would do takes ten times as long
        level = self.level_for(spec.spacing if is_plain else spacing_along(spec, pose))
        around = Box.around(center, spec.size if is_plain else pose.reach(spec.size))
        window = _needed(self.levels[level].grid, around)
        if all(part.stop > part.start for part in window):
            self._windows[level] = _around(window, self._windows.get(level, window))

    def begin(self) -> None:
        """Begin to read."""
        self._fetched = {
            level: fetch_windows([Stored(self._volume, level, self._volume.array(level))], window, [window])
            for level, window in self._windows.items()
        }

    @property
    def nbytes(self) -> int:
        """Bytes that are held, once it has begun."""
        return sum(fetched.buffer.nbytes for fetched in self._fetched.values())

    def array(self, level: int) -> Any:
        """Return what is held of a level, where it lies in it; waits for the read.

        Raises
        ------
        VolumeReadError
            If it cannot be read.
        """
        fetched = self._fetched.get(level)
        if fetched is None:  # nothing of it lies in the volume: patches of padding alone
            return self._volume.array(level)
        return HeldPart(fetched.wait(), fetched.first)


def _needed(grid: Grid, box: Box) -> Window:
    """Return the voxels that a patch in a box looks at, those that a mirror at the faces shows among them."""
    parts = []
    for low, high, extent in zip(grid.index(box.low), grid.index(box.high), grid.shape, strict=True):
        first, last = math.floor(low) - _BELOW, math.floor(high) + _ABOVE
        start, stop = min(first, 2 * extent - 1 - last), max(last, -1 - first) + 1
        parts.append(slice(max(0, start), min(extent, stop)))
    z, y, x = parts
    return z, y, x


def _around(one: Window, other: Window) -> Window:
    z, y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return z, y, x
