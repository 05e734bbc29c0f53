"""How well groups are told apart by who lies beside whom, and what a projection keeps of it.

Shapes: n points, k neighbours of each, G groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.estimates import Estimate

__all__ = [
    "ProjectionQuality",
    "continuity",
    "neighbours_kept",
    "ranks",
    "same_group",
    "silhouette",
    "trustworthiness",
]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ProjectionQuality:
    """What a projection kept of the neighbourhoods of the latent space.

    Attributes
    ----------
    neighbours
        k of each point.
    points
        How many were compared.
    trustworthiness
        1 where all neighbours in the projection are neighbours in the latent space, too.
    continuity
        1 where all neighbours in the latent space still are in the projection.
    neighbours_kept
        Share of the neighbours that are the same.
    neighbours_kept_by_chance
        The same for a projection that knows nothing.
    """

    neighbours: int
    points: int
    trustworthiness: Estimate
    continuity: Estimate
    neighbours_kept: Estimate
    neighbours_kept_by_chance: float


def silhouette(distances: Matrix, groups: Codes) -> Matrix:
    """Return how much nearer each point is to its own group than to the next: (n,), from -1 to 1.

    ``(b - a) / max(a, b)`` with a the mean distance to the others of the point's group and b that to the
    nearest other group. 0 for the only point of a group; NaN where there is but one group, or none
    of two points.

    References
    ----------
    Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7.

    Examples
    --------
    >>> distances = np.abs(np.subtract.outer([0.0, 1, 10, 11], [0.0, 1, 10, 11]))
    >>> silhouette(distances, np.array([0, 0, 1, 1])).round(3).tolist()
    [0.905, 0.895, 0.895, 0.905]
    """
    names, own = np.unique(groups, return_inverse=True)
    if len(names) < 2 or np.bincount(own).max() < 2:
        return np.full(len(groups), math.nan)
    member = (own[:, None] == np.arange(len(names))).astype(np.float64)
    sums, counts, every = distances @ member, member.sum(0), np.arange(len(own))
    a = sums[every, own] / np.maximum(counts[own] - 1, 1)
    means = sums / counts
    means[every, own] = np.inf
    b = means.min(axis=1)
    largest = np.maximum(a, b)
    found = np.divide(b - a, largest, out=np.zeros(len(own)), where=largest > 0)
    return np.where(counts[own] > 1, found, 0.0)


def ranks(distances: Matrix) -> Ranks:
    """Return the place of each point among the neighbours of each: (n, n), 0 itself, 1 the nearest.

    Examples
    --------
    >>> ranks(np.array([[0.0, 2, 1], [2, 0, 3], [1, 3, 0]])).tolist()
    [[0, 2, 1], [1, 0, 2], [1, 2, 0]]
    """
    distances = distances.copy()
    np.fill_diagonal(distances, -1)
    order = np.argsort(distances, axis=1, kind="stable")
    places = np.empty(order.shape, np.int32)
    np.put_along_axis(places, order, np.arange(len(order), dtype=np.int32)[None], axis=1)
    return places


def same_group(places: Ranks, groups: Codes, k: int) -> Matrix:
    """Return the share of each point's k nearest that are of its group, (n,)."""
    same = np.equal.outer(groups, groups)
    return np.asarray((same & _near(places, k)).sum(axis=1) / k)


def neighbours_kept(latent: Ranks, plane: Ranks, k: int) -> Matrix:
    """Return the share of each point's k nearest in the latent space that are so in the projection, (n,).

    References
    ----------
    Chen and Buja 2009, doi:10.1198/jasa.2009.0111 (local continuity, before it is corrected for chance).
    """
    return np.asarray((_near(latent, k) & _near(plane, k)).sum(axis=1) / k)


def trustworthiness(latent: Ranks, plane: Ranks, k: int) -> Matrix:
    """Return what each point adds to the trustworthiness of a projection, (n,); their mean is it.

    ``1 - 2 / (k (2 n - 3 k - 1)) sum (rank in the latent space - k)`` over those of the k nearest in the
    projection that are not among the k nearest in the latent space.

    Parameters
    ----------
    latent, plane
        `ranks` in the latent space and in the projection.
    k
        Below n / 2.

    References
    ----------
    Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68.
    """
    n = len(latent)
    intruder = _near(plane, k) & (latent > k)
    return np.asarray(1 - 2 / (k * (2 * n - 3 * k - 1)) * ((latent - k) * intruder).sum(axis=1))


def continuity(latent: Ranks, plane: Ranks, k: int) -> Matrix:
    """Return what each point adds to the continuity, (n,): trustworthiness, the spaces exchanged."""
    return trustworthiness(plane, latent, k)


def _near(places: Ranks, k: int) -> npt.NDArray[np.bool_]:
    return np.asarray((places > 0) & (places <= k))
