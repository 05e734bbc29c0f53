"""Exact nearest neighbours of many points among their reduced coordinates, for methods that build on them.

Brute force by matrix products: up to 100,000 points of 50 numbers that is no slower than the approximate
searches, needs no compilation, and is the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.kept import Arrays, kept
from voxloom.analysis.latents.pca import Float32, Progress
from voxloom.errors import MissingExtraError

__all__ = ["Metric", "Neighbourhood", "nearest", "neighbourhood"]

Metric = Literal["euclidean", "cosine"]

_SAME = 1e-6  # distance of equal points that rounding may leave, as a share of the largest coordinate
_BLOCK = 4096  # points whose neighbours are searched between two reports
_LEAST = 128  # neighbours that are kept: a smaller number may be asked for later, and costs as much
_FEW = 4096  # points that are searched faster than a file is read


class Neighbourhood(NamedTuple):
    """Neighbours by rising distance.

    Attributes
    ----------
    rows
        (n, k) int32, among the points searched.
    distances
        (n, k) float32.
    """

    rows: npt.NDArray[np.int32]
    distances: Float32


def neighbourhood(
    coordinates: Float32, k: int, *, metric: Metric, key: str, progress: Progress
) -> Neighbourhood:
    """Return the k nearest of each point, itself first.

    Parameters
    ----------
    coordinates
        (n, d).
    k
        How many, itself included; at most n.
    metric
        ``euclidean``, or ``cosine``: one minus the cosine of the angle from the centre.
    key
        Tells these coordinates apart. Neighbours of many points are kept in the cache folder under it.
    progress
        Told of each block.

    Raises
    ------
    MissingExtraError
        Where scikit-learn is not installed.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [3.0]], np.float32)
    >>> neighbourhood(line, 2, metric="euclidean", key="line", progress=print).rows.tolist()
    0.0 nearest neighbours
    [[0, 1], [1, 0], [2, 1]]
    """
    count = len(coordinates)
    width = k if count <= _FEW else min(count, max(_LEAST, 1 << (k - 1).bit_length()))

    def search() -> Arrays:
        blocks = _searched(coordinates, coordinates, width, metric, progress)
        rows, distances = (np.concatenate(each) for each in zip(*blocks, strict=True))
        return _itself_first(rows, distances)._asdict()

    if count <= _FEW:
        found = search()
    else:
        shapes = dict.fromkeys(Neighbourhood._fields, (count, width))
        found = kept(f"neighbours-{key}-{metric}-{width}", shapes, search)
    return Neighbourhood(found["rows"][:, :k], found["distances"][:, :k])


def nearest(queries: Float32, coordinates: Float32, k: int, metric: Metric) -> Neighbourhood:
    """Return the k nearest of other points to each query, (m, k)."""
    if not len(queries):
        return Neighbourhood(np.empty((0, k), np.int32), np.empty((0, k), np.float32))
    blocks = _searched(queries, coordinates, k, metric, lambda *_: None)
    rows, distances = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return Neighbourhood(rows, distances)


def _searched(
    queries: Float32, coordinates: Float32, k: int, metric: Metric, progress: Progress
) -> Iterator[Neighbourhood]:
    same = _SAME * float(np.abs(coordinates).max(initial=0))
    search = _nearest_neighbors(k).fit(_turned(coordinates, metric))
    for start in range(0, len(queries), _BLOCK):
        progress(start / len(queries), "nearest neighbours")
        distances, rows = search.kneighbors(_turned(queries[start : start + _BLOCK], metric))
        distances[distances < same] = 0  # equal points, but for rounding
        if metric == "cosine":
            distances = distances**2 / 2
        yield Neighbourhood(rows.astype(np.int32), distances.astype(np.float32))


def _nearest_neighbors(k: int) -> Any:
    try:
        from sklearn.neighbors import NearestNeighbors
    except ImportError as error:
        raise MissingExtraError(
            'scikit-learn is not installed: neighbours need it. Run: pip install "voxloom[analysis]"'
        ) from error
    return NearestNeighbors(n_neighbors=k, algorithm="brute")


def _turned(coordinates: Float32, metric: Metric) -> Float32:
    """Return vectors whose Euclidean distances rank as the metric does."""
    if metric == "euclidean":
        return coordinates
    lengths = np.linalg.norm(coordinates, axis=1, keepdims=True)
    return np.asarray(coordinates / np.where(lengths > 0, lengths, 1), np.float32)


def _itself_first(rows: npt.NDArray[np.int32], distances: Float32) -> Neighbourhood:
    """Put each point first among its neighbours, as points equal to it may stand before it or instead."""
    own = rows == np.arange(len(rows), dtype=np.int32)[:, None]
    own[~own.any(1), -1] = True  # crowded out by its equals: the last one gives way
    order = np.argsort(~own, axis=1, kind="stable")
    rows, distances = np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)
    rows[:, 0], distances[:, 0] = np.arange(len(rows)), 0
    return Neighbourhood(rows, distances)
