"""Writing voxels, and the levels of the pyramid that follow from them.

A shard is replaced as a whole, by one file that takes the place of another: a process that is killed
leaves each shard as it was or as it was to be. Who writes a part of a shard reads it, changes it and
writes all of it again. Two processes that do so at once wait for each other and repeat their work; give
each whole shards. In object storage they must not share one at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import SchemaError
from voxloom.geometry import Box, Grid
from voxloom.volumes import engine
from voxloom.volumes.pyramid import Factors, Kind, downsample_block
from voxloom.volumes.saving import saved

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = [
    "PendingWrite",
    "begin_write",
    "downsample",
    "hot_levels",
    "voxels_of",
    "write",
    "write_level_block",
]

Array = npt.NDArray[Any]
Window = tuple[slice, slice, slice]
"""Voxels along z, y, x."""

_NEAR = 1e-3  # of a voxel: a box this near to the faces of voxels lies on them


@dataclass(frozen=True)
class PendingWrite:
    """Voxels on their way into a store; the array must not change before they are there."""

    futures: tuple[Any, ...]
    what: str

    def result(self) -> None:
        """Wait until they are there.

        Raises
        ------
        SaveError
            If they could not be written; each shard is then as it was, or as it was to be.
        """
        for future in self.futures:
            saved(future, self.what)


def write(volume: Volume, box: Box, array: Array) -> None:
    """Write voxels of level 0.

    Parameters
    ----------
    volume
        One of which the store can be written.
    box
        Where, in nm; its faces are faces of voxels.
    array
        (c, z, y, x) with all channels of the volume, or (z, y, x) where it has one; of its type.

    Raises
    ------
    SchemaError
        If the box does not lie on the voxels or stands out of the volume, or the array is of another
        shape or type.
    SaveError
        If it could not be written; each shard is then as it was, or as it was to be.
    """
    begin_write(volume, box, array).result()


def begin_write(volume: Volume, box: Box, array: Array) -> PendingWrite:
    """Begin to write voxels of level 0, as `write` does."""
    window = voxels_of(volume.levels[0].grid, box)
    return _begin(volume, 0, window, _checked(volume, window, array))


def voxels_of(grid: Grid, box: Box) -> Window:
    """Return which voxels of a grid a box covers.

    Raises
    ------
    SchemaError
        If its faces are not faces of voxels, or it stands out of the grid.

    Examples
    --------
    >>> grid = Grid((10, 20, 20), (8.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    >>> voxels_of(grid, Box((-4, -2, -2), (12, 6, 78)))
    (slice(0, 2, None), slice(0, 2, None), slice(0, 20, None))
    """
    low = [i + 0.5 for i in grid.index(box.low)]
    high = [i + 0.5 for i in grid.index(box.high)]
    start, stop = [round(i) for i in low], [round(i) for i in high]
    if any(abs(i - n) > _NEAR for i, n in zip(low + high, start + stop, strict=True)) or any(
        a >= b for a, b in zip(start, stop, strict=True)
    ):
        stop = [max(a + 1, b) for a, b in zip(start, stop, strict=True)]
        raise SchemaError(
            f"{box} does not lie on the voxels of {grid.spacing} nm that begin at {grid.box.low}: expected "
            f"faces of voxels; the nearest are {_box(grid, start, stop)}"
        )
    if min(start) < 0 or any(b > n for b, n in zip(stop, grid.shape, strict=True)):
        raise SchemaError(
            f"{box} stands out of the volume, {grid.box}: expected a box within it. Cut it first: box & "
            "volume.bounding_box, and the array with it."
        )
    z, y, x = map(slice, start, stop)
    return z, y, x


def hot_levels(volume: Volume, unit: Sequence[int] | None = None) -> int:
    """Return how many levels, the finest among them, are made of whole shards by whole units of level 0.

    Processes that share no unit share no shard of these levels. In a volume that `create` has made there
    are as many as the shard of level 0 can be halved and still holds whole chunks, and one more.

    Parameters
    ----------
    volume
        The volume.
    unit
        Voxels of level 0 along z, y, x; None for a shard.
    """
    finest = volume.levels[0]
    unit = finest.shard if unit is None else unit
    for number, level in enumerate(volume.levels):
        factors = [round(s / t) for s, t in zip(level.grid.spacing, finest.grid.spacing, strict=True)]
        whole = (
            u >= n or (u % f == 0 and u // f % s == 0)
            for u, n, f, s in zip(unit, finest.grid.shape, factors, level.shard, strict=True)
        )
        if not all(whole):
            return number
    return len(volume.levels)


def write_level_block(volume: Volume, box: Box, array: Array, *, unit: Sequence[int] | None = None) -> None:
    """Write the coarser hot levels of a part of a volume whose level 0 is at hand.

    Level 0 itself is not written. `downsample` makes the levels from ``hot_levels(volume, unit)`` on, when
    all parts are there.

    Parameters
    ----------
    volume
        The volume.
    box
        The part, in nm: whole units, or those at the end of the volume.
    array
        What level 0 holds there, (c, z, y, x) or (z, y, x).
    unit
        Voxels along z, y, x, as given to `hot_levels`; None for a shard of level 0.

    Raises
    ------
    SchemaError
        As `write` does, and where the box is not whole units.
    SaveError
        If it could not be written.
    """
    finest = volume.levels[0]
    window = voxels_of(finest.grid, box)
    fine = _checked(volume, window, array)
    _check_units(window, finest.shard if unit is None else unit, finest.grid.shape)
    pending = []
    for level in range(1, hot_levels(volume, unit)):
        factors = _factors(volume, level)
        fine, window = downsample_block(fine, factors, _kind(volume)), _coarser(window, factors)
        pending.append(_begin(volume, level, window, fine))
    for each in pending:
        each.result()


def downsample(
    volume: Volume, *, first: int = 1, progress: Callable[[int, int], object] | None = None
) -> None:
    """Make the coarser levels, each of the one before, shard by shard: the mean, or of labels the mode.

    Memory holds two shards and a slab, however large the volume. What is there already is replaced, with
    the same values if nothing has changed, so that a call that was cut off can be made again. What other
    processes wrote before the call is seen.

    Parameters
    ----------
    volume
        The volume; each level is half the one before, as `create` lays them out.
    first
        The first level to make.
    progress
        Told (shards done, shards in all).

    Raises
    ------
    SchemaError
        If a level is not half the one before.
    VolumeReadError, SaveError
        If a shard cannot be read or written.
    """
    volume.refresh()
    wanted = [(level, *each) for level in range(first, len(volume.levels)) for each in _shards(volume, level)]
    pending: PendingWrite | None = None
    before = first
    for done, (level, channel, window) in enumerate(wanted):
        if pending is not None and level > before:  # which is made of what is still being written
            pending.result()
            pending = None
        shard = _reduced(volume, level, channel, window)
        if pending is not None:
            pending.result()
        pending, before = _begin(volume, level, window, shard, channel), level
        if progress is not None:
            progress(done, len(wanted))
    if pending is not None:
        pending.result()
    if progress is not None:
        progress(len(wanted), len(wanted))


def _reduced(volume: Volume, level: int, channel: int, window: Window) -> Array:
    """Return a shard of a level, (1, z, y, x), made of the level before in slabs of one layer of chunks."""
    factors, thick = _factors(volume, level), volume.levels[level].chunk[0]
    out = np.empty((1, *_extent(window)), volume.levels[level].dtype)
    z, y, x = window
    for start in range(z.start, z.stop, thick):
        stop = min(start + thick, z.stop)
        fine = _finer((slice(start, stop), y, x), factors, volume.levels[level - 1].grid.shape)
        view = volume.array(level - 1)[(slice(channel, channel + 1), *fine)]
        block = engine.finish(view.read(), partial(_described, volume, level - 1, fine))
        out[:, start - z.start : stop - z.start] = downsample_block(block, factors, _kind(volume))
    return out


def _shards(volume: Volume, level: int) -> Iterator[tuple[int, Window]]:
    """Yield each channel and shard of a level."""
    sides = [
        [slice(start, min(start + s, n)) for start in range(0, n, s)]
        for s, n in zip(volume.levels[level].shard, volume.levels[level].grid.shape, strict=True)
    ]
    for z, y, x in itertools.product(*sides):
        for channel in range(volume.shape[0]):
            yield channel, (z, y, x)


def _begin(
    volume: Volume, level: int, window: Window, array: Array, channel: int | None = None
) -> PendingWrite:
    """Begin to write (c, z, y, x); each channel lies in shards of its own."""
    channels = range(array.shape[0]) if channel is None else range(channel, channel + 1)
    view = volume.array(level)
    futures = tuple(
        view[(c, *window)].write(plane, can_reference_source_data_indefinitely=True)
        for c, plane in zip(channels, array, strict=True)
    )
    return PendingWrite(futures, _described(volume, level, window))


def _checked(volume: Volume, window: Window, array: Array) -> Array:
    """Return the array as (c, z, y, x)."""
    expected = (volume.shape[0], *_extent(window))
    fits = array.shape == expected or (expected[0] == 1 and array.shape == expected[1:])
    if not fits or array.dtype != volume.dtype:
        raise SchemaError(
            f"an array of shape {array.shape} and type {array.dtype} to write into {volume.path}: expected "
            f"{expected}, that is c, z, y, x, and {volume.dtype}. Scale, round and convert it first."
        )
    return array.reshape(expected)


def _check_units(window: Window, unit: Sequence[int], extent: Sequence[int]) -> None:
    for side, u, n in zip(window, unit, extent, strict=True):
        if side.start % u or (side.stop % u and side.stop != n):
            raise SchemaError(
                f"voxels {_told(window)} along z, y, x: expected whole units of {tuple(unit)} voxels, "
                "counted from the first voxel of the volume, or those that end with it"
            )


def _factors(volume: Volume, level: int) -> Factors:
    fine, coarse = volume.levels[level - 1].grid, volume.levels[level].grid
    ratios = [s / t for s, t in zip(coarse.spacing, fine.spacing, strict=True)]
    z, y, x = (round(r) for r in ratios)
    shape = tuple(-(-n // max(f, 1)) for n, f in zip(fine.shape, (z, y, x), strict=True))
    if not {z, y, x} <= {1, 2} or shape != coarse.shape or any(abs(r - round(r)) > _NEAR for r in ratios):
        raise SchemaError(
            f"{volume.path}: level {level} has {coarse.shape} voxels of {coarse.spacing} nm, and the one "
            f"before {fine.shape} of {fine.spacing}: expected half as many along some axes, rounded up. Make "
            "the volume with Volume.create."
        )
    return z, y, x


def _coarser(window: Window, factors: Factors) -> Window:
    z, y, x = (slice(w.start // f, -(-w.stop // f)) for w, f in zip(window, factors, strict=True))
    return z, y, x


def _finer(window: Window, factors: Factors, extent: Sequence[int]) -> Window:
    z, y, x = (
        slice(w.start * f, min(w.stop * f, n)) for w, f, n in zip(window, factors, extent, strict=True)
    )
    return z, y, x


def _extent(window: Window) -> tuple[int, int, int]:
    z, y, x = (w.stop - w.start for w in window)
    return z, y, x


def _described(volume: Volume, level: int, window: Window) -> str:
    return f"{volume.path}, level {level}, voxels {_told(window)} along z, y, x"


def _told(window: Window) -> str:
    return ", ".join(f"{w.start}:{w.stop}" for w in window)


def _box(grid: Grid, start: Sequence[int], stop: Sequence[int]) -> Box:
    return Box(grid.world([i - 0.5 for i in start]), grid.world([i - 0.5 for i in stop]))


def _kind(volume: Volume) -> Kind:
    return "labels" if volume.is_labels else "image"
