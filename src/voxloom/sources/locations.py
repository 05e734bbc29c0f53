"""Where patches lie: the dataset and the centre of each draw, as pure functions of (seed, epoch, index).

Nothing here holds a list of places, so billions cost nothing; nothing is random but by the seed, so
any number of workers, and a run that is resumed, see the same patches.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import AXES, Grid, PatchSpec, Point
from voxloom.sources.permutation import permutation
from voxloom.sources.strata import Strata

__all__ = [
    "Location",
    "Locations",
    "Random",
    "Smaller",
    "centers_of",
    "checked_centers",
    "checked_weights",
    "middle_start",
    "place_in",
    "shuffled",
]

Smaller = Literal["center", "refuse"]
"""What to do with a volume that is smaller than the patch."""


class Location(NamedTuple):
    """Where a patch lies."""

    volume: int
    """Which of the datasets."""
    center: Point
    """The middle of the patch: z, y, x in nm."""


class Locations(ABC):
    """A number of places an epoch, each a pure function of (epoch, index); picklable."""

    crops_per_block: int = 1
    """Draws that follow each other and lie in one block, so that one read serves them."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the draws of an epoch."""

    @abstractmethod
    def draw(self, epoch: int, index: int) -> Location:
        """Return draw `index`, which lies in [0, len), of an epoch."""

    def at(self, epoch: int, index: int) -> Location:
        """Return where the patch of draw `index` lies in an epoch.

        Parameters
        ----------
        epoch
            From 0.
        index
            In [0, len).

        Raises
        ------
        IndexError
            If the index lies outside.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"draw {index} of {len(self)} an epoch: expected one in [0, {len(self)})")
        return self.draw(epoch, index)


def middle_start(extent: int, patch: int) -> int:
    """Return where a patch begins that is centred on fewer voxels than it has; at most 0.

    Examples
    --------
    >>> middle_start(10, 16), middle_start(10, 15)
    (-3, -3)
    """
    return (extent - patch) // 2


def centers_of(grid: Grid, spec: PatchSpec, *, smaller: Smaller = "center") -> Grid:
    """Return the centres of all patches that lie within a grid of voxels of their own spacing.

    On the voxels exactly: a patch with an even number of voxels has its centre half way between two.

    Parameters
    ----------
    grid
        Voxels at the spacing of `spec`.
    spec
        The patch.
    smaller
        An axis with fewer voxels than the patch has one centre, in the middle, to half a voxel; or it
        is refused.

    Raises
    ------
    SchemaError
        If the grid has another spacing, or is smaller and that is refused.

    Examples
    --------
    >>> spec = PatchSpec(shape=(1, 4, 4), spacing=(8, 4, 4))
    >>> centers_of(Grid((10, 6, 3), (8.0, 4.0, 4.0), (0.0, 0.0, 0.0)), spec)
    Grid(shape=(10, 3, 1), spacing=(8.0, 4.0, 4.0), origin=(0.0, 6.0, 2.0))
    """
    if any(not math.isclose(a, b, rel_tol=1e-3) for a, b in zip(grid.spacing, spec.spacing, strict=True)):
        raise SchemaError(
            f"centres of patches of {spec.spacing} nm in voxels of {grid.spacing} nm: expected the same "
            "spacing. Take a grid over the same box with the spacing of the patch."
        )
    if smaller == "refuse":
        _check_size(grid, spec)
    pairs = list(zip(grid.shape, spec.shape, strict=True))
    z, y, x = (max(1, extent - patch + 1) for extent, patch in pairs)
    starts = [min(0, middle_start(extent, patch)) for extent, patch in pairs]
    first = [start + (patch - 1) / 2 for start, patch in zip(starts, spec.shape, strict=True)]
    return Grid((z, y, x), grid.spacing, grid.world(first))


def _check_size(grid: Grid, spec: PatchSpec) -> None:
    for axis, extent, patch in zip(AXES, grid.shape, spec.shape, strict=True):
        if extent < patch:
            raise SchemaError(
                f"patches of {patch} voxels along {axis} in a volume of {extent}: expected at most as many "
                'as the volume has. Take a smaller patch, or smaller="center" to pad.'
            )


def place_in(grid: Grid, number: int) -> Point:
    """Return point `number` of a grid, counted in C order.

    Examples
    --------
    >>> place_in(Grid((2, 2, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), 7)
    (1.0, 0.0, 1.0)
    """
    rest, x = divmod(number, grid.shape[2])
    z, y = divmod(rest, grid.shape[1])
    return grid.world((z, y, x))


def checked_centers(centers: Sequence[Grid]) -> tuple[Grid, ...]:
    """Return them, or raise ConfigError where there is none."""
    if not centers:
        raise ConfigError("locations in no dataset: expected the centres of at least one")
    return tuple(centers)


def checked_weights(weights: Sequence[float] | None, centers: Sequence[Grid]) -> tuple[float, ...] | None:
    """Return them, or raise ConfigError where there is not one for each dataset."""
    if weights is not None and len(weights) != len(centers):
        raise ConfigError(f"{len(weights)} weights for {len(centers)} datasets: expected one for each")
    return None if weights is None else tuple(weights)


@dataclass(frozen=True)
class Random(Locations):
    """Places drawn at random, none twice an epoch before all have come.

    Attributes
    ----------
    centers
        The allowed centres of each dataset (see `centers_of`).
    length
        Draws an epoch; it has nothing to do with the number of places. Another epoch draws others.
    seed
        What the draws derive from.
    weights
        How often each dataset comes, in any unit; None for every place equally often, so a dataset as
        often as it is large. Their shares of an epoch are exact to one draw.

    Raises
    ------
    ConfigError
        If there is no dataset, the length is not positive, or the weights are none.

    Examples
    --------
    >>> cube = Grid((1000, 1000, 1000), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))
    >>> places = Random([cube, cube], length=1000, weights=[1, 3])
    >>> [places.at(0, index).volume for index in range(1000)].count(1)
    750
    >>> places.at(0, 5) == places.at(0, 5), places.at(0, 5) == places.at(1, 5)
    (True, False)
    """

    centers: Sequence[Grid]
    length: int
    seed: int = 0
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centers", checked_centers(self.centers))
        object.__setattr__(self, "weights", checked_weights(self.weights, self.centers))
        if self.length < 1:
            raise ConfigError(f"{self.length} draws an epoch: expected at least 1")

    def __len__(self) -> int:
        return self.length

    @cached_property
    def strata(self) -> Strata:
        """Which dataset a draw goes to."""
        return Strata(self.weights or [math.prod(grid.shape) for grid in self.centers], self.length)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(math.prod(grid.shape) for grid in self.centers))

    @property
    def places(self) -> int:
        """Number of places in all datasets together."""
        return self._ends[-1]

    def draw(self, epoch: int, index: int) -> Location:
        """Return draw `index` of an epoch."""
        if self.weights is None:
            number = shuffled(self.places, index, self.seed, "places", epoch)
            volume = bisect_right(self._ends, number)
            number -= self._ends[volume - 1] if volume else 0
        else:
            volume, rank = self.strata.draw(self.seed, epoch, index)
            places = math.prod(self.centers[volume].shape)
            number = shuffled(places, rank, self.seed, "place", epoch, volume)
        return Location(volume, place_in(self.centers[volume], number))


def shuffled(size: int, index: int, *key: int | str) -> int:
    """Return what stands at a place of an endless row of permutations, each another one."""
    around, place = divmod(index, size)
    return permutation(size, *key, around)[place]
