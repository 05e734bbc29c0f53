"""Euclidean distances between points, exact, and the nearest of many without holding them all.

Shapes: n points of D numbers, N of them in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.finite import finite_blocks
from voxloom.analysis.latents.points import Points
from voxloom.errors import SchemaError
from voxloom.sample import Array

__all__ = ["Nearest", "latent_distance", "lookups", "nearest_points", "squared_distances"]

_COLUMNS = 4096  # of a vector that are float64 at once
_BLOCK = 4096  # training points that are compared at once
_CANDIDATES = 4  # found in float32 and measured again in float64
_AGAIN_BYTES = 1 << 25  # of candidates that are measured again at once
_QUERIES, _QUERY_BYTES = 2048, 1 << 27  # most that are looked up in one reading of all points

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]


def latent_distance(a: Array, b: Array) -> float:
    """Return the Euclidean distance of two points of any shape.

    Raises
    ------
    SchemaError
        When their shapes differ.

    Examples
    --------
    >>> latent_distance(np.array([0.0, 3.0]), np.array([4.0, 0.0]))
    5.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise SchemaError(f"a distance of points of shape {a.shape} and {b.shape}: expected the same shape.")
    return float(np.linalg.norm((a - b).ravel()))


def squared_distances(x: Array, y: Array | None = None) -> Matrix:
    """Return the squared distances of all rows of x to all of y, or of x: (n, m) float64, none negative.

    The rows are centred first and products summed in float64, so that the distance of two like points
    is right to about 1e-7 of the points' spread.

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 25.0], [25.0, 0.0]]
    """
    other = x if y is None else y
    centre: Matrix = np.asarray(np.mean(x, axis=0, dtype=np.float64))
    products, own, others = np.zeros((len(x), len(other))), np.zeros(len(x)), np.zeros(len(other))
    for start in range(0, x.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        left = x[:, part] - centre[part]
        right = left if y is None else other[:, part] - centre[part]
        products += left @ right.T
        own += np.einsum("nd,nd->n", left, left)
        others += np.einsum("nd,nd->n", right, right)
    found: Matrix = np.maximum(own[:, None] + others - 2 * products, 0)
    if y is None:
        np.fill_diagonal(found, 0)
        found = (found + found.T) / 2
    return found


@dataclass(frozen=True)
class Nearest:
    """The nearest of some points: rows (n,) and Euclidean distances (n,), -1 and NaN where there is none."""

    rows: npt.NDArray[np.int64]
    distances: Matrix


def nearest_points(queries: Array, points: Points, *, apart: tuple[Codes, Codes] | None = None) -> Nearest:
    """Return for each query the nearest of all points.

    The points are read once, in blocks. The best few of each query are found in float32, and those are
    measured again in float64, so that near copies are told from copies.

    Parameters
    ----------
    queries
        (n, D).
    points
        Where the nearest are looked for.
    apart
        Codes of the queries, (n,) or several of each (n, k), and of the points, (N,): points with a code
        of the query are passed over, for instance the query itself, or all of the same patient.

    Raises
    ------
    SchemaError
        When the vectors differ in length.
    DataError
        When a vector of the points is not finite.

    Examples
    --------
    >>> found = nearest_points(np.array([[0.9, 0.1]]), Points.of_arrays({"train": np.eye(2)}))
    >>> found.rows.tolist(), found.distances.round(3).tolist()
    ([0], [0.141])
    """
    if queries.shape[1] != points.dim:
        raise SchemaError(
            f"points of {queries.shape[1]} numbers beside training points of {points.dim}. "
            "Encode both with the same checkpoint and size."
        )
    rows, squares = _candidates(np.asarray(queries, np.float32), points, apart)
    distances = np.full(rows.shape, np.inf)
    size = max(1, _AGAIN_BYTES // (4 * points.dim * max(1, rows.shape[1])))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        found = points.vectors(rows[part].ravel()).reshape(*rows[part].shape, -1)
        for column in range(rows.shape[1]):
            gap = np.asarray(queries[part], np.float64) - found[:, column]
            distances[part, column] = np.linalg.norm(gap, axis=1)
    distances[np.isinf(squares)] = np.inf
    best = np.argmin(distances, axis=1)[:, None]
    least, row = np.take_along_axis(distances, best, 1)[:, 0], np.take_along_axis(rows, best, 1)[:, 0]
    none = np.isinf(least)
    return Nearest(np.where(none, -1, row), np.where(none, np.nan, least))


def lookups(rows: Codes, dim: int) -> list[Codes]:
    """Return rows of queries in parts that `nearest_points` takes at once: as many as fit into 128 MB.

    Examples
    --------
    >>> [len(part) for part in lookups(np.arange(5000), 64)]
    [1667, 1667, 1666]
    >>> len(lookups(np.arange(2048), 4 * 128 * 128))
    4
    """
    most = max(1, min(_QUERIES, _QUERY_BYTES // (4 * dim)))
    return np.array_split(rows, max(1, -(-len(rows) // most)))


def _candidates(
    queries: npt.NDArray[np.float32], points: Points, apart: tuple[Codes, Codes] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return rows and squared distances (n, few) of the nearest as float32 finds them."""
    centre = queries.mean(axis=0)
    queries = queries - centre
    own = np.einsum("nd,nd->n", queries, queries)
    rows, squares = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    for start, block in _blocks(points):
        block = block - centre
        found = own[:, None] + np.einsum("nd,nd->n", block, block) - 2 * (queries @ block.T)
        if apart is not None:
            for codes in np.atleast_2d(apart[0].T):
                found[codes[:, None] == apart[1][start : start + len(block)]] = np.inf
        few = np.argpartition(found, min(_CANDIDATES, len(block)) - 1, axis=1)[:, :_CANDIDATES]
        squares = np.concatenate([squares, np.take_along_axis(found, few, 1)], axis=1)
        rows = np.concatenate([rows, few + start], axis=1)
        keep = np.argsort(squares, axis=1, kind="stable")[:, :_CANDIDATES]
        rows, squares = np.take_along_axis(rows, keep, 1), np.take_along_axis(squares, keep, 1)
    return rows, squares


def _blocks(points: Points) -> Iterator[tuple[int, Array]]:
    """Yield (first row, vectors) of a few points at a time: of short vectors a block would be too many."""
    for place, block in finite_blocks(points):
        for start in range(0, len(block), _BLOCK):
            yield place.start + start, block[start : start + _BLOCK]
