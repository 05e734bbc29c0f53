"""Tiles that cover volumes exactly: where patches lie in validation and prediction."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from voxloom.errors import SchemaError
from voxloom.geometry import AXES, Grid, PatchSpec, Point
from voxloom.sources.locations import Location, Locations, centers_of, checked_centers, middle_start

__all__ = ["Tiled"]


@dataclass(frozen=True)
class Tiled(Locations):
    """Tiles side by side that cover every voxel of each dataset; the last is flush with its end.

    The same in each epoch, in C order, dataset after dataset. A tile larger than a volume along an
    axis is centred on it.

    Attributes
    ----------
    grids
        The voxels to cover of each dataset, at the spacing of `spec`.
    spec
        A tile.
    step
        Voxels from one tile to the next along z, y, x, at most the tile; None for no overlap but at
        the last.

    Raises
    ------
    ConfigError
        If there is no dataset.
    SchemaError
        If a grid has another spacing, or the step leaves gaps.

    Examples
    --------
    >>> grid = Grid((1, 100, 64), (8.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    >>> tiles = Tiled([grid], PatchSpec(shape=(1, 64, 64), spacing=(8, 4, 4)))
    >>> [tiles.at(0, index).center for index in range(len(tiles))]
    [(0.0, 126.0, 126.0), (0.0, 270.0, 126.0)]
    """

    grids: Sequence[Grid]
    spec: PatchSpec
    step: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "grids", checked_centers(self.grids))
        for axis, tile, step in zip(AXES, self.spec.shape, self._steps, strict=True):
            if not 1 <= step <= tile:
                raise SchemaError(
                    f"tiles of {tile} voxels every {step} along {axis}: expected a step in [1, {tile}], "
                    "since a longer one leaves gaps"
                )
        for grid in self.grids:
            centers_of(grid, self.spec)  # for its check of the spacing

    def __len__(self) -> int:
        return self._ends[-1]

    def draw(self, epoch: int, index: int) -> Location:  # noqa: ARG002 - the same in each
        """Return tile `index`."""
        volume = bisect_right(self._ends, index)
        number = index - (self._ends[volume - 1] if volume else 0)
        return Location(volume, self._center(self.grids[volume], number))

    def counts(self, volume: int) -> tuple[int, int, int]:
        """Return the number of tiles along z, y, x of a dataset."""
        grid = self.grids[volume]
        z, y, x = (_count(*each) for each in zip(grid.shape, self.spec.shape, self._steps, strict=True))
        return z, y, x

    @property
    def _steps(self) -> tuple[int, int, int]:
        return self.step or self.spec.shape

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(math.prod(self.counts(volume)) for volume in range(len(self.grids))))

    def _center(self, grid: Grid, number: int) -> Point:
        place: list[float] = []
        axes = list(zip(grid.shape, self.spec.shape, self._steps, strict=True))
        for extent, tile, step in reversed(axes):
            number, along = divmod(number, _count(extent, tile, step))
            start = middle_start(extent, tile) if extent < tile else min(along * step, extent - tile)
            place.append(start + (tile - 1) / 2)
        return grid.world(place[::-1])


def _count(extent: int, tile: int, step: int) -> int:
    """Return how many starts `tile_starts` lists."""
    return max(0, -(-(extent - tile) // step)) + 1
