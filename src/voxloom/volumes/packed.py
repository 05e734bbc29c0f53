"""Training copies: raw volumes and labels laid out for reading small patches, shard by shard, resumable."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxloom.errors import DataError
from voxloom.geometry import Box, Grid, PatchSpec
from voxloom.sample import Array
from voxloom.volumes import engine
from voxloom.volumes.bits import begin_bits
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Annotation, Labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.stamp import stamp_of
from voxloom.volumes.volume import Volume
from voxloom.volumes.writing import begin_write, write_level_block

__all__ = ["PackedCopy", "copies_of_labels", "copy_of_raw", "copy_units", "units_of"]

_CHUNK = (32, 32, 32)
_SHARD = (256, 256, 256)
_BITS = 63  # of an int64 that hold no sign
_NEAR = 1e-3  # of a voxel: a face this near to one of a voxel is that
_SLAB = 64  # planes of bits that are put together at once: memory for each class


@dataclass(frozen=True)
class PackedCopy:
    """One volume of a training copy.

    Attributes
    ----------
    path
        Where it will lie, below the copy's folder; ends as the brackets of labels want it.
    source
        What it is made of, as plain words: two copies of one source in one form say the same.
    grid
        Voxels of its finest level.
    layout
        How it is stored.
    read
        Returns what the source holds in a box, (c, z, y, x) of the layout's type.
    files
        State of the source's files, see `stamp_of`.
    """

    path: str
    source: tuple[str, ...]
    grid: Grid
    layout: VolumeLayout
    read: Callable[[Box], Array]
    files: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Of the finest level, not compressed."""
        voxels = int(np.prod(self.grid.shape, dtype=np.int64))
        return voxels * max(1, len(self.layout.channels)) * np.dtype(self.layout.dtype).itemsize


def copy_of_raw(
    volume: Volume, path: str, *, spacing: Sequence[float] | None = None, box: Box | None = None
) -> PackedCopy:
    """Return the copy of a raw volume.

    Parameters
    ----------
    volume
        The source.
    path
        Of the copy.
    spacing
        z, y, x in nm: the coarsest level is taken that is at least as fine; None for the finest.
    box
        The part that is wanted, in nm; None for all of it. Whole voxels are taken, within the volume.

    Raises
    ------
    DataError
        If the volume has nothing in the box.
    """
    level = 0 if spacing is None else volume.level_for(spacing)
    grid = _cut(volume.levels[level].grid, box, volume.path)
    names = volume.channels if volume.channels != ("0",) else ()
    layout = _layout(grid, volume.dtype.name, channels=names)
    source = (volume.path, str(level), *names)
    files = (stamp_of(volume, level),)
    return PackedCopy(path, source, grid, layout, lambda part: _voxels(volume, level, part), files)


def copies_of_labels(
    labels: Labels, path: str, *, spacing: Sequence[float] | None = None
) -> tuple[str, list[PackedCopy]]:
    """Return the path of a copy of labels, as `Labels.open` takes it, and what it is made of.

    One label image whose metadata name its ids stays as it is. Several volumes of the same voxels become
    one array of bits, one for each class; of different voxels, or more than 63 classes, they become one
    volume a class, and the path has these in brackets.

    Parameters
    ----------
    labels
        The source.
    path
        Of the copy.
    spacing
        As for `copy_of_raw`, for each volume of its own.
    """
    grids = {_grid_of(each.volume, spacing) for each in labels.annotations}
    ids = labels.annotations[0]
    if len(labels.annotations) == 1 and ids.table is not None and not ids.is_bitmask:
        return path, [_copy_of_ids(ids, path, spacing=spacing)]
    names = tuple(name for each in labels.annotations for name in each.names)
    if len(grids) == 1 and len(names) <= _BITS:
        return path, [_copy_of_bits(labels, names, path, grid=next(iter(grids)))]
    copies = [
        _copy_of_bits(labels, (name,), f"{path}/{name}", grid=_grid_of(each.volume, spacing))
        for each in labels.annotations
        for name in each.names
    ]
    return f"{path}/[{','.join(copy.layout.classes[1] for copy in copies)}]", copies


def units_of(volume: Volume) -> list[Box]:
    """Return the boxes of all shards of the finest level, in nm."""
    level = volume.levels[0]
    sides = [
        [(start, min(start + s, n)) for start in range(0, n, s)]
        for s, n in zip(level.shard, level.grid.shape, strict=True)
    ]
    return [
        Box(level.grid.world([a - 0.5 for a, _ in part]), level.grid.world([b - 0.5 for _, b in part]))
        for part in itertools.product(*sides)
    ]


def copy_units(copy: PackedCopy, volume: Volume, units: Sequence[int], *, threads: int = 4) -> Iterator[int]:
    """Copy some shards, with those of coarser levels that they make; yield the number of each when written.

    Parameters
    ----------
    copy
        What to copy.
    volume
        The copy, as it was made and opened.
    units
        Numbers of shards, as `units_of` lists them.
    threads
        How many are copied at once.

    Raises
    ------
    VolumeReadError, SaveError
        If one cannot be read or written.
    """
    boxes = units_of(volume)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="voxloom-pack")
    try:
        begun = {pool.submit(_copy_unit, copy, volume, boxes[unit]): unit for unit in units}
        for done in as_completed(begun):
            done.result()
            yield begun[done]
    finally:
        pool.shutdown(cancel_futures=True)


def _copy_unit(copy: PackedCopy, volume: Volume, box: Box) -> None:
    array = copy.read(box)
    pending = begin_write(volume, box, array)
    write_level_block(volume, box, array)
    pending.result()


def _copy_of_ids(annotation: Annotation, path: str, *, spacing: Sequence[float] | None) -> PackedCopy:
    volume = annotation.volume
    level = 0 if spacing is None else volume.level_for(spacing)
    grid = volume.levels[level].grid
    layout = _layout(grid, volume.dtype.name, kind="labels", classes=dict(volume.classes))
    source = (volume.path, str(level), "ids")
    files = (stamp_of(volume, level),)
    return PackedCopy(path, source, grid, layout, lambda part: _voxels(volume, level, part), files)


def _copy_of_bits(labels: Labels, names: tuple[str, ...], path: str, *, grid: Grid) -> PackedCopy:
    classes = Classes(names=names)
    layout = _layout(
        grid,
        classes.dtype.name,
        kind="labels",
        classes={1 << k: name for k, name in enumerate(names)},
        is_bitmask=True,
    )
    marks = labels.marks(classes)
    source = (*(mark.volume.path for mark in marks), "bits", *names)
    files = tuple(stamp_of(mark.volume) for mark in marks)

    def read(box: Box) -> Array:
        shape = _shape(box, grid)
        out = np.empty(shape, layout.dtype)
        for start in range(0, shape[0], _SLAB):
            part = out[start : start + _SLAB]
            spec = PatchSpec(shape=part.shape, spacing=grid.spacing)
            low = (box.low[0] + start * grid.spacing[0], *box.low[1:])
            z, y, x = (w + s / 2 for w, s in zip(low, spec.size, strict=True))
            begin_bits(marks, spec, (z, y, x), dtype=out.dtype).result(part)
        return out[None]

    return PackedCopy(path, source, grid, layout, read, files)


def _layout(grid: Grid, dtype: str, **settings: Any) -> VolumeLayout:
    return VolumeLayout(
        spacing=grid.spacing, origin=grid.origin, dtype=dtype, chunk=_CHUNK, shard=_SHARD, **settings
    )


def _grid_of(volume: Volume, spacing: Sequence[float] | None) -> Grid:
    return volume.levels[0 if spacing is None else volume.level_for(spacing)].grid


def _cut(grid: Grid, box: Box | None, path: str) -> Grid:
    """Return the voxels of a grid that a box touches."""
    if box is None:
        return grid
    first, last = (np.asarray(grid.index(face)) + 0.5 for face in (box.low, box.high))
    low = np.maximum(0, np.floor(first + _NEAR)).astype(int).tolist()
    high = np.minimum(grid.shape, np.ceil(last - _NEAR)).astype(int).tolist()
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise DataError(f"{path} lies in {grid.box}: expected that it overlaps {box}")
    z, y, x = (b - a for a, b in zip(low, high, strict=True))
    return Grid((z, y, x), grid.spacing, grid.world(low))


def _shape(box: Box, grid: Grid) -> tuple[int, int, int]:
    z, y, x = (round(size / s) for size, s in zip(box.size, grid.spacing, strict=True))
    return z, y, x


def _voxels(volume: Volume, level: int, box: Box) -> Array:
    """Return the voxels of a level in a box that lies on them."""
    grid = volume.levels[level].grid
    start = [round(i + 0.5) for i in grid.index(box.low)]
    window = tuple(slice(a, a + n) for a, n in zip(start, _shape(box, grid), strict=True))
    view = volume.array(level)[(slice(None), *window)]
    told = ", ".join(f"{part.start}:{part.stop}" for part in window)
    what = f"{volume.path}: level {level}, voxels [{told}] (z, y, x) cannot be read"
    found: Array = engine.finish(view.read(), lambda: what)
    return found
