"""The Frechet distance of two samples, measured where the samples can bear it.

Shapes: n and m points of D numbers, k principal components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.two_samples import check_samples
from voxloom.sample import Array

__all__ = [
    "MAX_DIMS",
    "Frechet",
    "frechet_dims",
    "frechet_distance",
    "frechet_of_moments",
    "frechet_of_squares",
    "principal_coordinates",
]

Matrix = npt.NDArray[np.float64]

MAX_DIMS = 50
"""Most dimensions that a covariance is estimated in."""
_NO_COVARIANCE = "fewer than two points: no covariance."
_ZERO = 1e-10  # of the largest eigenvalue; smaller ones are rounding


@dataclass(frozen=True)
class Frechet:
    """A Frechet distance and where it was measured.

    Attributes
    ----------
    squared
        The squared distance, as the FID has it. NaN for fewer than two points.
    dims
        Dimensions that it was measured in.
    explained
        Share of the points' variance that lies in them.
    notice
        Why these are not all, or empty.
    """

    squared: float
    dims: int
    explained: float
    notice: str = ""


def frechet_distance(x: Array, y: Array, *, dims: int | None = None) -> Frechet:
    """Return the Frechet distance of two samples, each taken for a normal distribution.

    ``|mean_x - mean_y|² + trace(S_x + S_y - 2 (S_x^½ S_y S_x^½)^½)``. A covariance of D dimensions wants
    many more points than D: with fewer than 2 D in a sample, or more than 50 dimensions, it is measured
    in the first principal components of both samples together, which the result says. Estimates of
    small samples are too large (Chong and Forsyth 2020, arXiv:1911.07023): compare samples of one size.

    Parameters
    ----------
    x, y
        (n, D) and (m, D).
    dims
        Dimensions to measure in, below the points of the smaller sample; None takes at most 50 and half as
        many as that. D of more points than D is the FID as it is published.

    Raises
    ------
    SchemaError
        When the vectors differ in length.

    References
    ----------
    Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X; Heusel et al. 2017, arXiv:1706.08500 (FID).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(x, x + [3, 4]).squared, 6)
    25.0
    """
    check_samples(x, y)
    smaller = min(len(x), len(y))
    if len(x) + len(y) <= x.shape[1]:  # then the smaller problem, which holds no copy in float64
        return frechet_of_squares(squared_distances(np.concatenate([x, y])), len(x), x.shape[1], dims=dims)
    if smaller < 2:
        return Frechet(math.nan, 0, math.nan, _NO_COVARIANCE)
    wanted = frechet_dims(x.shape[1], smaller, dims)
    both = np.concatenate([x, y]).astype(np.float64)
    if wanted == x.shape[1]:
        return Frechet(_frechet(both[: len(x)], both[len(x) :]), wanted, 1.0)
    coordinates, explained = _components(both, wanted)
    return _measured(coordinates, len(x), x.shape[1], explained)


def frechet_of_squares(squares: Matrix, first: int, dim: int, *, dims: int | None = None) -> Frechet:
    """Return what `frechet_distance` returns, from the squared distances of both samples alone.

    Parameters
    ----------
    squares
        (n + m, n + m), those of the first sample before those of the second.
    first
        n.
    dim
        D.
    dims
        As in `frechet_distance`.
    """
    smaller = min(first, len(squares) - first)
    if smaller < 2:
        return Frechet(math.nan, 0, math.nan, _NO_COVARIANCE)
    coordinates, explained = principal_coordinates(squares, frechet_dims(dim, smaller, dims))
    return _measured(coordinates, first, dim, explained)


def _measured(coordinates: Matrix, first: int, dim: int, explained: float) -> Frechet:
    kept, smaller = coordinates.shape[1], min(first, len(coordinates) - first)
    notice = (
        f"measured in {kept} principal components of {dim} dimensions: the smaller sample has "
        f"{smaller} points."
    )
    return Frechet(
        _frechet(coordinates[:first], coordinates[first:]), kept, explained, notice if kept < dim else ""
    )


def _components(x: Matrix, dims: int) -> tuple[Matrix, float]:
    """Return coordinates along the first principal components, and their share of the variance."""
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values = np.maximum(values[::-1], 0)
    share = float(values[:dims].sum() / values.sum()) if values.sum() > 0 else 1.0
    return np.asarray(centred @ vectors[:, ::-1][:, :dims]), share


def frechet_dims(dims: int, points: int, wanted: int | None = None) -> int:
    """Return in how many dimensions a Frechet distance is measured, for the points of the smaller sample."""
    return max(1, min(dims, wanted or MAX_DIMS, points // 2 if wanted is None else points - 1))


def principal_coordinates(squares: Matrix, dims: int) -> tuple[Matrix, float]:
    """Return coordinates (n, k) along the first principal components, and their share of the variance.

    Found from the squared distances alone (Torgerson 1952, doi:10.1007/BF02288916), which is the cheaper
    way where there are fewer points than dimensions. Components without variance are left out, but one.

    Examples
    --------
    >>> coordinates, explained = principal_coordinates(np.array([[0.0, 4.0], [4.0, 0.0]]), 5)
    >>> np.abs(coordinates).round(6).tolist(), explained
    ([[1.0], [1.0]], 1.0)
    """
    means = squares.mean(axis=0)
    values, vectors = np.linalg.eigh((means[:, None] + means - squares - means.mean()) / 2)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    kept = max(1, min(dims, int((values > _ZERO * max(values[0], np.finfo(float).tiny)).sum())))
    share = float(values[:kept].sum() / values.sum()) if values.sum() > 0 else 1.0
    return vectors[:, :kept] * np.sqrt(values[:kept]), share


def frechet_of_moments(means: tuple[Matrix, Matrix], covariances: tuple[Matrix, Matrix]) -> Matrix:
    """Return the squared Frechet distance of normal distributions.

    Parameters
    ----------
    means
        Two of (..., k).
    covariances
        Two of (..., k, k).

    Returns
    -------
    ndarray
        (...), never negative.
    """
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)
    traces = [np.trace(each, axis1=-2, axis2=-1) for each in covariances]
    gap = ((means[0] - means[1]) ** 2).sum(-1)
    return np.asarray(np.maximum(gap + traces[0] + traces[1] - 2 * np.sqrt(np.maximum(shared, 0)).sum(-1), 0))


def _frechet(x: Matrix, y: Matrix) -> float:
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (x, y)]
    return float(frechet_of_moments((x.mean(0), y.mean(0)), (covariances[0], covariances[1])))
