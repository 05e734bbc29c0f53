"""Counting where classes lie, once, from a coarse level; the counts are kept in the user's cache folder."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import ConfigError
from voxloom.geometry import Grid, PatchSpec
from voxloom.sample import Array
from voxloom.seeding import rng_for
from voxloom.volumes.bits import Mark, PendingBits, begin_bits
from voxloom.volumes.class_cells import ClassCells, ClassIndex
from voxloom.volumes.classes import Classes
from voxloom.volumes.description import Level
from voxloom.volumes.index_cache import key_of, load, save
from voxloom.volumes.labels import Labels

__all__ = ["class_index", "class_indexes"]

logger = logging.getLogger(__name__)

MOST = 1 << 23  # voxels of a volume that are counted: 8 million, a cube of 203
_CELLS = 4096  # of a volume: hundreds of datasets fit in memory
_AT_ONCE = 1 << 21  # voxels that are read at once
_THREADS = 4
_CHUNKS = 64  # of a volume that are looked into at least: a chunk alone tells little about the others

Corner = tuple[int, int, int]
Counts = npt.NDArray[np.int64]


def class_index(
    labels: Labels | None, classes: Classes, *, most: int = MOST, refresh: bool = False
) -> ClassIndex:
    """Return where the classes of one dataset lie.

    Each label volume is counted at its finest level of at most `most` voxels. Where even the coarsest
    has more, parts of its chunks are chosen at random all over it, about as many voxels. A class so
    thin that a level has lost it counts as absent there: raise `most` then.

    The counts are kept below ``VOXLOOM_CACHE``, or the platform's cache folder, in a small file that
    is keyed by the volumes' paths, metadata and (local files) the times and sizes of the chunks: a second
    call reads no voxel. Nothing is written beside the data. That labels in object storage have changed
    is not noticed: count them with `refresh`, or delete the folder ``classes`` of the cache.

    Parameters
    ----------
    labels
        What was annotated; None gives an index without classes.
    classes
        Which classes are of interest.
    most
        Voxels to count in each volume, about.
    refresh
        Count again, whatever is kept.

    Raises
    ------
    ConfigError
        If `most` is not positive.
    VolumeReadError
        If a volume cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import write_classes
    >>> mito = np.zeros((16, 16, 16), np.uint8)
    >>> mito[:4, :4, :4] = 1
    >>> labels = Labels.open(write_classes(mkdtemp(), {"mito": mito}))
    >>> index = class_index(labels, Classes(names=("mito", "er")))
    >>> index.found, index.cells["mito"].total, index.positive("mito") == 64 * 8**3
    (('mito',), 64, True)
    """
    if most < 1:
        raise ConfigError(f"counting at most {most} voxels of a volume: expected at least 1")
    cells: dict[str, ClassCells] = {}
    for marks in _alike([] if labels is None else labels.marks(classes)):
        cells |= _kept(marks, classes, most, refresh=refresh)
    ordered = {name: cells[name] for name in classes.all_names if name in cells}
    return ClassIndex(ordered)


def class_indexes(
    labels: Iterable[Labels | None], classes: Classes, *, most: int = MOST, refresh: bool = False
) -> list[ClassIndex]:
    """Return where the classes of many datasets lie, some counted at the same time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda each: class_index(each, classes, most=most, refresh=refresh), labels))


def _alike(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks of volumes with the same voxels together: they are counted in one go."""
    groups: dict[tuple[Grid, ...], list[Mark]] = {}
    for mark in marks:
        groups.setdefault(tuple(level.grid for level in mark.volume.levels), []).append(mark)
    return list(groups.values())


def _kept(marks: Sequence[Mark], classes: Classes, most: int, *, refresh: bool) -> dict[str, ClassCells]:
    """Return the counts as they were kept, or count."""
    known = int(np.bitwise_or.reduce([mark.known for mark in marks]))
    names = [name for bit, name in enumerate(classes.all_names) if known >> bit & 1]
    number = _level_for(marks[0].volume.levels, most)
    key = key_of(marks, number, [*classes.all_names, str(most)])
    found = None if refresh else load(key)
    if found is None:
        level = marks[0].volume.levels[number]
        logger.info("counting %s in %s, level %d", ", ".join(names), marks[0].volume.path, number)
        found = _counted(marks, level, classes=classes, most=most)
        save(key, found)
    return found


def _level_for(levels: Sequence[Level], most: int) -> int:
    """Return the finest level of at most so many voxels, or the smallest."""
    sizes = [math.prod(level.grid.shape) for level in levels]
    fits = [number for number, size in enumerate(sizes) if size <= most]
    return min(fits, default=sizes.index(min(sizes)))


def _counted(marks: Sequence[Mark], level: Level, *, classes: Classes, most: int) -> dict[str, ClassCells]:
    """Count each class in each cell of a level."""
    edge = _edge(level.grid.shape)
    grid = _cells(level.grid, edge)
    bits = [bit for bit in range(len(classes.all_names)) if any(mark.known >> bit & 1 for mark in marks)]
    counts = np.zeros((len(bits), math.prod(grid.shape)), np.int64)
    looked = 0
    for start, shape, found in _read(marks, level, _blocks(level, most), classes.reading_dtype):
        _add(counts, found, bits=bits, cell=_cell_numbers(start, shape, edge, grid.shape))
        looked += found.size
    volume = math.prod(level.grid.box.size)
    return {
        classes.all_names[bit]: ClassCells(grid, np.flatnonzero(row), row[row > 0], looked, volume)
        for bit, row in zip(bits, counts, strict=True)
    }


def _read(
    marks: Sequence[Mark], level: Level, blocks: Iterable[tuple[Corner, Corner]], dtype: np.dtype[Any]
) -> Iterator[tuple[Corner, Corner, Array]]:
    """Yield blocks with the bits of their voxels; the next ones are in flight meanwhile."""
    in_flight: deque[tuple[Corner, Corner, PendingBits]] = deque()
    waiting = 0
    for start, shape in blocks:
        spec = PatchSpec(shape=shape, spacing=level.grid.spacing)
        middle = [s + (n - 1) / 2 for s, n in zip(start, shape, strict=True)]
        pending = begin_bits(marks, spec, level.grid.world(middle), dtype=dtype)
        in_flight.append((start, shape, pending))
        waiting += math.prod(shape)
        while waiting > _AT_ONCE:
            start, shape, pending = in_flight.popleft()
            waiting -= math.prod(shape)
            yield start, shape, pending.result()
    for start, shape, pending in in_flight:
        yield start, shape, pending.result()


def _add(counts: Counts, found: Array, *, bits: Sequence[int], cell: Counts) -> None:
    """Add the voxels of each class to the cells that they lie in."""
    present = np.flatnonzero(found)
    values, cells = found.reshape(-1)[present], cell.reshape(-1)[present]
    for row, bit in zip(counts, bits, strict=True):
        row += np.bincount(cells[(values >> bit) & 1 == 1], minlength=len(row))


def _cell_numbers(start: Corner, shape: Corner, edge: int, cells: Corner) -> Counts:
    """Return the number of the cell of each voxel of a block."""
    z, y, x = ((np.arange(s, s + n) // edge) for s, n in zip(start, shape, strict=True))
    return np.asarray((z[:, None, None] * cells[1] + y[:, None]) * cells[2] + x)


def _edge(shape: Corner) -> int:
    """Return how many voxels an axis the cells have: as few as `_CELLS` of them allow."""
    edge = 4
    while math.prod(-(-n // edge) for n in shape) > _CELLS:
        edge += 1 + edge // 16
    return edge


def _cells(grid: Grid, edge: int) -> Grid:
    z, y, x = (-(-n // edge) for n in grid.shape)
    spacing = tuple(edge * s for s in grid.spacing)
    return Grid((z, y, x), (spacing[0], spacing[1], spacing[2]), grid.world([(edge - 1) / 2] * 3))


def _blocks(level: Level, most: int) -> Iterator[tuple[Corner, Corner]]:
    """Yield first voxel and shape of what is read: all of a level in slabs, or parts of chunks."""
    shape = level.grid.shape
    if math.prod(shape) > most:
        yield from _parts(shape, level.chunk, most)
        return
    depth = max(1, _AT_ONCE // (shape[1] * shape[2]))
    depth = max(depth // level.chunk[0], 1) * level.chunk[0]
    for start in range(0, shape[0], depth):
        yield (start, 0, 0), (min(depth, shape[0] - start), shape[1], shape[2])


def _parts(shape: Corner, chunk: Corner, most: int) -> Iterator[tuple[Corner, Corner]]:
    """Yield parts of chunks all over a level, each at a random place in its chunk."""
    chunks = [-(-n // c) for n, c in zip(shape, chunk, strict=True)]
    total = math.prod(chunks)
    number = min(total, max(_CHUNKS, most // math.prod(chunk)))
    logger.info("%s voxels are too many to count: parts of %d of %d chunks are", shape, number, total)
    extents = _part(chunk, max(1, most // number))
    rng = rng_for(0, "chunks", *shape)  # the same each time: what is kept is what would be counted again
    # the chunks in a row are cut into as many stretches, and each has one: no region is left out
    chosen = np.minimum((np.arange(number) + rng.random(number)) * (total / number), total - 1).astype(int)
    for place in np.stack(np.unravel_index(chosen, chunks), 1).tolist():
        start, part = [], []
        for p, c, n, extent in zip(place, chunk, shape, extents, strict=True):
            held = min(c, n - p * c)
            part.append(min(extent, held))
            start.append(p * c + int(rng.integers(held - part[-1] + 1)))
        yield (start[0], start[1], start[2]), (part[0], part[1], part[2])


def _part(chunk: Corner, most: int) -> Corner:
    """Return the shape of a part of a chunk of at most so many voxels, as much a cube as can be."""
    part = list(chunk)
    while math.prod(part) > most:
        axis = part.index(max(part))
        part[axis] = -(-part[axis] // 2)
    return part[0], part[1], part[2]
