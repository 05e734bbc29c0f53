"""Where each class lies, roughly: how many voxels of it each part of a dataset holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import ConfigError
from voxloom.geometry import Grid

__all__ = ["ClassCells", "ClassIndex", "class_weights"]

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class ClassCells:
    """How many voxels of a class lie in each cell of a grid.

    Attributes
    ----------
    grid
        The cells: blocks of voxels, side by side.
    numbers
        (n,) the cells that hold the class, counted in C order, ascending.
    counts
        (n,) its voxels in each, of those that were counted.
    counted
        Voxels that were looked at and annotated.
    volume
        nm³ that are annotated; more than was counted where the volume is too large to count it all.
    """

    grid: Grid
    numbers: Integers
    counts: Integers
    counted: int
    volume: float

    @cached_property
    def upto(self) -> npt.NDArray[np.int64]:
        """(n,) running sums of `counts`."""
        return np.cumsum(self.counts, dtype=np.int64)

    @property
    def total(self) -> int:
        """Counted voxels of the class."""
        return int(self.upto[-1]) if len(self.numbers) else 0

    @property
    def positive(self) -> float:
        """nm³ of the class, estimated from what was counted."""
        return self.volume * self.total / self.counted if self.counted else 0.0


@dataclass(frozen=True)
class ClassIndex:
    """Where the classes of one dataset lie.

    Attributes
    ----------
    cells
        For each class that is annotated, also where none of its voxels was found.

    Examples
    --------
    >>> grid = Grid((2, 2, 2), (80.0, 80.0, 80.0), (0.0, 0.0, 0.0))
    >>> mito = ClassCells(grid, np.array([1, 6]), np.array([30, 70]), counted=1000, volume=4096000.0)
    >>> index = ClassIndex({"mito": mito})
    >>> index.found, index.positive("mito"), index.positive("er")
    (('mito',), 409600.0, 0.0)
    """

    cells: Mapping[str, ClassCells]

    @property
    def annotated(self) -> tuple[str, ...]:
        """The classes that somebody annotated here."""
        return tuple(self.cells)

    @property
    def found(self) -> tuple[str, ...]:
        """The classes of which there is a voxel."""
        return tuple(name for name in self.cells if self.holds(name))

    def holds(self, name: str) -> bool:
        """Return whether there is a voxel of a class."""
        return name in self.cells and self.cells[name].total > 0

    def positive(self, name: str) -> float:
        """Return the nm³ of a class; 0 where nobody annotated it."""
        return self.cells[name].positive if name in self.cells else 0.0

    def known(self, name: str) -> float:
        """Return the nm³ that are annotated for a class."""
        return self.cells[name].volume if name in self.cells else 0.0


def class_weights(
    indexes: Iterable[ClassIndex], names: Iterable[str], *, most: float = 100.0
) -> dict[str, float]:
    """Return what a voxel of each class weighs against one that is none: absent nm³ over present ones.

    What `pos_weight` of a binary cross entropy asks for. Only what is annotated counts.

    Parameters
    ----------
    indexes
        Of the datasets.
    names
        The classes; one that was found nowhere weighs 1.
    most
        The weight of a rare class is cut here: one voxel in a million would drown all others.

    Raises
    ------
    ConfigError
        If `most` is not positive.

    Examples
    --------
    >>> grid = Grid((1, 1, 1), (80.0, 80.0, 80.0), (0.0, 0.0, 0.0))
    >>> mito = ClassCells(grid, np.array([0]), np.array([100]), counted=1000, volume=512000.0)
    >>> class_weights([ClassIndex({"mito": mito})], ["mito", "er"])
    {'mito': 9.0, 'er': 1.0}
    """
    if not most > 0:
        raise ConfigError(f"class weights of at most {most}: expected a number above 0")
    indexes = list(indexes)
    weights = {}
    for name in names:
        present = math.fsum(index.positive(name) for index in indexes)
        known = math.fsum(index.known(name) for index in indexes)
        weights[name] = min(most, (known - present) / present) if present else 1.0
    return weights
