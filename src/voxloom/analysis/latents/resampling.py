"""Which points are compared each with each, and how means over pairs of them vary.

A *unit* is what was sampled independently: an image, or a patient with all of its images. A *cell* is
what one unit has in one group. Means over pairs of points of different units are U-statistics: unbiased,
which a mean that counts a point with itself is not. They are resampled with the counts of a multinomial
draw of the units as weights and pairs of one unit left out, so that the resampled means scatter around
the mean itself and not above it (Huskova and Janssen 1993, doi:10.1214/aos/1176349400; for units that
are clusters Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x).

Shapes: n points, C cells, U units, G groups, B resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.seeding import rng_for

__all__ = ["Cells", "Subset", "balanced"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Subset:
    """Points in the order of their group and unit.

    Attributes
    ----------
    rows
        (n,) rows of the points.
    groups, units
        (n,) number of the group and the unit of each.
    """

    rows: Codes
    groups: Codes
    units: Codes

    @classmethod
    def of(cls, rows: Codes, groups: Codes, units: Codes) -> Subset:
        """Return points with the groups and units of all points (N,) in order."""
        order = np.lexsort((rows, units[rows], groups[rows]))
        return cls(rows[order], groups[rows][order], units[rows][order])

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def cells(self) -> Cells:
        """Its cells."""
        new = np.ones(len(self), bool)
        new[1:] = (np.diff(self.groups) != 0) | (np.diff(self.units) != 0)
        starts = np.flatnonzero(new)
        counts = np.diff([*starts, len(self)]).astype(np.float64)
        _, units = np.unique(self.units[starts], return_inverse=True)
        return Cells(starts, self.groups[starts], units, counts)


@dataclass(frozen=True)
class Cells:
    """Cells in the order of their group.

    Attributes
    ----------
    points
        (C,) the first point of each.
    groups, units
        (C,) number of its group, and of its unit from 0 to U - 1.
    counts
        (C,) how many points it has.
    """

    points: Codes
    groups: Codes
    units: Codes
    counts: Matrix

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def starts(self) -> Codes:
        """The first cell of each group, (G,)."""
        return np.flatnonzero(np.diff(self.groups, prepend=-1))

    def of_group(self, place: int) -> slice:
        """Return the cells of the group at a place among the groups that there are."""
        ends = [*self.starts[1:], len(self)]
        return slice(int(self.starts[place]), int(ends[place]))

    @cached_property
    def other(self) -> npt.NDArray[np.bool_]:
        """(C, C) whether two cells are of different units."""
        return np.not_equal.outer(self.units, self.units)

    @cached_property
    def pairs(self) -> Matrix:
        """(C, C) pairs of points of two cells."""
        return np.outer(self.counts, self.counts)

    def totals(self, matrix: Matrix) -> Matrix:
        """Return the sums of an (n, n) matrix over the points of two cells, (C, C)."""
        if len(self) == len(matrix):
            return matrix
        return np.asarray(np.add.reduceat(np.add.reduceat(matrix, self.points, 0), self.points, 1))

    def weights(self, resamples: int, seed: int) -> Matrix:
        """Return how often each cell is drawn, (B, C).

        Units that are in one group each are drawn within their group, so that none is ever empty; units
        that are in several are drawn as a whole.
        """
        rng = rng_for(seed, "bootstrap")
        count = int(self.units.max()) + 1
        if count < len(self):
            return rng.multinomial(count, np.full(count, 1 / count), size=resamples)[:, self.units].astype(
                np.float64
            )
        sizes = np.diff([*self.starts, len(self)])
        drawn = [rng.multinomial(size, np.full(size, 1 / size), size=resamples) for size in sizes]
        return np.concatenate(drawn, axis=1).astype(np.float64)

    def within(self, sums: Matrix, counts: Matrix, weights: Matrix) -> Matrix:
        """Return the mean over the pairs of each group, resampled: (B, G), NaN where there is none."""
        blocks = [self.of_group(place) for place in range(len(self.starts))]
        found = [_mean(sums[b, b], counts[b, b], weights[:, b], weights[:, b]) for b in blocks]
        return np.stack(found, axis=1)

    def across(self, sums: Matrix, counts: Matrix, weights: Matrix) -> Iterator[Matrix]:
        """Yield for each group the mean over the pairs with each group, resampled: (B, G)."""
        for place in range(len(self.starts)):
            own = self.of_group(place)
            top, bottom = ((weights[:, own] @ each[own]) * weights for each in (sums, counts))
            yield _ratio(np.add.reduceat(top, self.starts, 1), np.add.reduceat(bottom, self.starts, 1))


def balanced(groups: Codes, limit: int, seed: int) -> Codes:
    """Return at most `limit` rows of points, as many of each group as of any other that has as many.

    Points with a negative number of the group are left out.

    Examples
    --------
    >>> rows = balanced(np.array([0] * 50 + [1] * 3 + [-1] * 9), 10, seed=0)
    >>> len(rows), int((rows >= 50).sum())
    (10, 3)
    """
    names, counts = np.unique(groups[groups >= 0], return_counts=True)
    taken = np.zeros(len(names), np.int64)
    for done, place in enumerate(np.argsort(counts, kind="stable")):  # what small ones leave goes to others
        share = (limit - taken.sum()) // (len(names) - done)
        taken[place] = min(counts[place], max(1, share))
    rng = rng_for(seed, "sample")
    chosen = [
        rng.choice(np.flatnonzero(groups == name), size=size, replace=False)
        for name, size in zip(names, taken, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _mean(sums: Matrix, counts: Matrix, left: Matrix, right: Matrix) -> Matrix:
    return _ratio(((left @ sums) * right).sum(1), ((left @ counts) * right).sum(1))


def _ratio(top: Matrix, bottom: Matrix) -> Matrix:
    out = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out
