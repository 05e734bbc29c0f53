"""Where tiles and units lie on the voxels that are predicted.

Tiles lie on one lattice over the whole volume. A unit is a box of voxels that is predicted and
written at once: a shard of the output. Tiles that reach into several units are computed for each of
them, so that no unit waits for another, and each comes out the same whoever computes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from voxloom.errors import SchemaError
from voxloom.geometry import Grid, tile_starts

__all__ = ["Lattice", "Tile", "Unit"]

Voxels = tuple[int, int, int]


@dataclass(frozen=True)
class Unit:
    """A box of voxels; `high` is one past the last.

    Attributes
    ----------
    index
        Its number, with x running fastest.
    low, high
        Voxels along z, y, x.
    """

    index: int
    low: Voxels
    high: Voxels

    @property
    def shape(self) -> Voxels:
        """Voxels along z, y, x."""
        return _voxels([b - a for a, b in zip(self.low, self.high, strict=True)])


@dataclass(frozen=True)
class Tile:
    """A tile of a unit.

    Attributes
    ----------
    place
        Its number along z, y, x among all tiles.
    start
        Its first voxel in the volume; it may stand out where the volume is smaller.
    """

    place: Voxels
    start: Voxels


@dataclass(frozen=True)
class Lattice:
    """Tiles and units over a grid.

    Attributes
    ----------
    grid
        The voxels that are predicted.
    tile
        Voxels of a tile along z, y, x, that count in the output.
    step
        Distance of two tiles, at most `tile`.
    unit
        Voxels of a unit; those at the far end may be smaller.

    Examples
    --------
    >>> grid = Grid((64, 300, 300), (8, 8, 8), (0, 0, 0))
    >>> lattice = Lattice(grid, (64, 128, 128), (64, 96, 96), (256, 256, 256))
    >>> len(lattice), lattice[3]
    (4, Unit(index=3, low=(0, 256, 256), high=(64, 300, 300)))
    >>> [tile.start for tile in lattice.tiles(lattice[3])]
    [(0, 172, 172)]
    >>> [lattice.tile_count(unit) for unit in lattice], lattice.places, lattice.predicted
    ([9, 3, 3, 1], 9, 16)
    """

    grid: Grid
    tile: Voxels
    step: Voxels
    unit: Voxels

    def __post_init__(self) -> None:
        if min(self.unit) < 1:
            raise SchemaError(f"units of {self.unit} voxels: expected positive numbers.")
        _ = self.starts  # refuses impossible tiles and steps

    @cached_property
    def starts(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """First voxels of the tiles along z, y, x."""
        z, y, x = (
            tile_starts(n, t, s) for n, t, s in zip(self.grid.shape, self.tile, self.step, strict=True)
        )
        return z, y, x

    @cached_property
    def counts(self) -> Voxels:
        """Units along z, y, x."""
        return _voxels([-(-n // u) for n, u in zip(self.grid.shape, self.unit, strict=True)])

    @property
    def places(self) -> int:
        """Tiles over the volume."""
        return math.prod(len(starts) for starts in self.starts)

    @property
    def predicted(self) -> int:
        """Tiles of all units: one that reaches into several counts for each."""
        return math.prod(
            sum(
                len(self._reaching(low, min(low + self.unit[axis], n), axis))
                for low in range(0, n, self.unit[axis])
            )
            for axis, n in enumerate(self.grid.shape)
        )

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Unit]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Unit:
        if not 0 <= index < len(self):
            raise IndexError(f"unit {index} of {len(self)}")
        _, rows, columns = self.counts
        place = (index // columns // rows, index // columns % rows, index % columns)
        low = [p * u for p, u in zip(place, self.unit, strict=True)]
        high = [min(a + u, n) for a, u, n in zip(low, self.unit, self.grid.shape, strict=True)]
        return Unit(index, _voxels(low), _voxels(high))

    def tiles(self, unit: Unit) -> Iterator[Tile]:
        """Yield the tiles that reach into a unit, z running slowest."""
        z, y, x = (self._reaching(unit.low[axis], unit.high[axis], axis) for axis in range(3))
        for i in z:
            for j in y:
                for k in x:
                    yield Tile((i, j, k), (self.starts[0][i], self.starts[1][j], self.starts[2][k]))

    def tile_count(self, unit: Unit) -> int:
        """Return how many tiles reach into a unit."""
        return math.prod(len(self._reaching(unit.low[axis], unit.high[axis], axis)) for axis in range(3))

    def _reaching(self, low: int, high: int, axis: int) -> Sequence[int]:
        """Return the numbers of the tiles that reach into the voxels from low to high along an axis."""
        tile = self.tile[axis]
        first = max(0, (low - tile) // self.step[axis])  # all before it end before the unit
        found = []
        for number in range(first, len(self.starts[axis])):
            start = self.starts[axis][number]
            if start >= high:
                break
            if start + tile > low:
                found.append(number)
        return found


def _voxels(numbers: Sequence[int]) -> Voxels:
    z, y, x = numbers
    return (int(z), int(y), int(x))
