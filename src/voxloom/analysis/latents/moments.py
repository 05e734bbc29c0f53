"""Centroids and deviations of many groups at once, from one reading of all points in blocks.

Shapes: N points of D numbers, G groups, C cells (a patient's points in a group).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.finite import finite_blocks
from voxloom.analysis.latents.points import Points
from voxloom.sample import Array

__all__ = ["Moments", "moments"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """What one reading of all points gives.

    Attributes
    ----------
    centroids
        (G, D) mean of each group.
    std_mean
        (G,) standard deviation of each number over the group (divided by n, so 0 for a single point),
        mean over the D numbers.
    cells
        (C, D) mean of each cell.
    """

    centroids: Matrix
    std_mean: Matrix
    cells: Matrix


def moments(points: Points, groups: Codes, cells: Codes) -> Moments:
    """Return centroids and deviations of groups and of cells.

    Parameters
    ----------
    points
        Read once, in blocks.
    groups, cells
        (N,) number of the group and of the cell of each point; a negative one belongs to none.

    Raises
    ------
    DataError
        When a vector holds a value that is not finite.

    Examples
    --------
    >>> found = moments(Points.of_arrays({"a": np.diag([2.0, 4.0])}), np.array([0, 0]), np.array([-1, 0]))
    >>> found.centroids.tolist(), found.std_mean.tolist(), found.cells.tolist()
    ([[1.0, 2.0]], [1.5], [[0.0, 4.0]])
    """
    sums = _Sums(groups, points.dim)
    squares, of_cells = _Sums(groups, points.dim), _Sums(cells, points.dim)
    shift: Matrix | None = None
    for place, block in finite_blocks(points):
        shift = np.asarray(block.mean(axis=0, dtype=np.float64)) if shift is None else shift
        block = block - shift  # what is squared stays small
        sums.add(place, block)
        squares.add(place, block**2)
        of_cells.add(place, block)
    assert shift is not None  # there is always a point
    centroids = sums.means
    variances = np.maximum(squares.means - centroids**2, 0)
    return Moments(centroids + shift, np.sqrt(variances).mean(axis=1), of_cells.means + shift)


class _Sums:
    """Sums of vectors by a code."""

    def __init__(self, codes: Codes, dim: int) -> None:
        self.codes = codes
        self.counts = np.bincount(codes[codes >= 0])
        self.sums = np.zeros((len(self.counts), dim))

    def add(self, place: slice, block: Array) -> None:
        codes = self.codes[place]
        kept = np.flatnonzero(codes >= 0)
        if not len(kept):
            return
        order = kept[np.argsort(codes[kept], kind="stable")]
        found, starts = np.unique(codes[order], return_index=True)
        self.sums[found] += np.add.reduceat(block[order], starts, axis=0)

    @property
    def means(self) -> Matrix:
        return np.asarray(self.sums / np.maximum(self.counts, 1)[:, None])
