"""Every class equally often: patches around voxels of a class, from an index of where classes lie."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from voxloom.errors import ConfigError
from voxloom.geometry import Grid, Point
from voxloom.registry import did_you_mean
from voxloom.seeding import stable_hash
from voxloom.sources.locations import Location, Locations, checked_centers, checked_weights, shuffled
from voxloom.sources.permutation import mixed
from voxloom.sources.strata import Strata
from voxloom.volumes.class_cells import ClassCells, ClassIndex

__all__ = ["Balanced"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Balanced(Locations):
    """First a class, each equally often, then a dataset that has it, then a place in it where it lies.

    Shares of an epoch are exact to one draw. Within a dataset a place is drawn in proportion to how
    many voxels of the class lie around it, as the index counted them in cells; the patch is centred
    within that cell, or as near as the dataset's allowed centres come.

    Attributes
    ----------
    centers
        The allowed centres of each dataset (see `centers_of`).
    index
        Where the classes lie, for each dataset (see `voxloom.volumes.class_index`).
    classes
        The classes to draw.
    length
        Draws an epoch.
    seed
        What the draws derive from.
    weights
        How often each dataset comes among those that have the class; None for equally often.
    absent
        A class of which no dataset has a voxel is an error, or it is left out with a warning.

    Raises
    ------
    ConfigError
        If there is no dataset or class, numbers of datasets differ, or a class lies nowhere.

    Examples
    --------
    >>> import numpy as np
    >>> cells = Grid((4, 4, 4), (64.0, 64.0, 64.0), (28.0, 28.0, 28.0))
    >>> rare = ClassCells(cells, np.array([0]), np.array([5]), counted=4096, volume=2.0**24)
    >>> often = ClassCells(cells, np.arange(64), np.full(64, 60), counted=4096, volume=2.0**24)
    >>> voxels = Grid((32, 32, 32), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))
    >>> places = Balanced([voxels], [ClassIndex({"er": often, "mito": rare})], ["er", "mito"], length=100)
    >>> [max(places.at(0, index).center) < 60 for index in range(100)].count(True) >= 50
    True
    """

    centers: Sequence[Grid]
    index: Sequence[ClassIndex]
    classes: Sequence[str]
    length: int
    seed: int = 0
    weights: Sequence[float] | None = None
    absent: Literal["error", "drop"] = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "centers", checked_centers(self.centers))
        object.__setattr__(self, "index", tuple(self.index))
        object.__setattr__(self, "weights", checked_weights(self.weights, self.centers))
        if len(self.index) != len(self.centers):
            raise ConfigError(
                f"{len(self.index)} indexes for {len(self.centers)} datasets: expected one for each"
            )
        object.__setattr__(self, "classes", self._present())
        if self.length < 1:
            raise ConfigError(f"{self.length} draws an epoch: expected at least 1")

    def __len__(self) -> int:
        return self.length

    @cached_property
    def strata(self) -> Strata:
        """Which class and dataset a draw goes to."""
        shares: list[float] = []
        for name in self.classes:
            weights = self._weights_of(name)
            whole = sum(weights)
            shares += [weight / whole for weight in weights]
        return Strata(shares, self.length)

    def draw(self, epoch: int, index: int) -> Location:
        """Return draw `index` of an epoch."""
        stratum = self.strata.draw(self.seed, epoch, index)
        number, volume = divmod(stratum.number, len(self.centers))
        cells = self.index[volume].cells[self.classes[number]]
        voxel = shuffled(cells.total, stratum.rank, self.seed, "class", epoch, stratum.number)
        point = self._point(cells, voxel, _within_key(self.seed, epoch), index)
        return Location(volume, nearest(self.centers[volume], point))

    def class_of(self, epoch: int, index: int) -> str:
        """Return the class that draw `index` of an epoch was drawn for."""
        return self.classes[self.strata.draw(self.seed, epoch, index).number // len(self.centers)]

    def _point(self, cells: ClassCells, voxel: int, key: int, index: int) -> Point:
        """Return a point of the cell that holds a voxel of the class: any, since none is counted finer."""
        cell = int(cells.numbers[bisect_right(cells.upto, voxel)])
        rest, x = divmod(cell, cells.grid.shape[2])
        place = (*divmod(rest, cells.grid.shape[1]), x)
        aside = (mixed(key, index, axis) / 2**64 - 0.5 for axis in range(3))
        return cells.grid.world([each + part for each, part in zip(place, aside, strict=True)])

    def _weights_of(self, name: str) -> list[float]:
        weights = self.weights or (1.0,) * len(self.centers)
        return [
            weight if index.holds(name) else 0.0 for weight, index in zip(weights, self.index, strict=True)
        ]

    def _present(self) -> tuple[str, ...]:
        """Return the classes that lie anywhere; complain about the others."""
        names = tuple(dict.fromkeys(self.classes))
        absent = [name for name in names if not any(self._weights_of(name))]
        if absent and self.absent == "error":
            raise ConfigError(self._about(absent[0]))
        for name in absent:
            logger.warning("%s It is left out of the drawing.", self._about(name))
        if len(absent) == len(names):
            raise ConfigError(f"no voxel of any class to draw patches around (classes {names})")
        return tuple(name for name in names if name not in absent)

    def _about(self, name: str) -> str:
        annotated = sorted({each for index in self.index for each in index.annotated})
        if name in annotated:
            return (
                f"class {name!r}: somebody looked for it, and no dataset that is drawn from holds a voxel of "
                "it that the index counted. Count finer where it is thin (class_index(..., most=...)), leave "
                'it out of the classes to draw, or draw with absent="drop".'
            )
        return (
            f"class {name!r}: annotated in none of the {len(self.index)} datasets. Annotated are: "
            f"{', '.join(annotated) or 'none'}.{did_you_mean(name, annotated)} Leave it out of the classes "
            'to draw, or draw with absent="drop".'
        )


def nearest(centers: Grid, point: Point) -> Point:
    """Return the point of a grid that is nearest to a point of the world.

    Examples
    --------
    >>> nearest(Grid((2, 5, 5), (8.0, 4.0, 4.0), (0.0, 0.0, 0.0)), (100.0, 9.0, -3.0))
    (8.0, 8.0, 0.0)
    """
    places = zip(centers.index(point), centers.shape, strict=True)
    return centers.world([min(max(round(place), 0), extent - 1) for place, extent in places])


@lru_cache(maxsize=64)
def _within_key(seed: int, epoch: int) -> int:
    return stable_hash(seed, "within", epoch)
