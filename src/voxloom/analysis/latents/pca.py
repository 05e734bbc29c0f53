"""Principal components of points, found in a few readings of their vectors, which need not fit into memory.

Shapes: N points, n fitted ones, D length of a vector, k components, l = k + oversampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.kept import Arrays, kept, key_of
from voxloom.errors import ConfigError, DataError

if TYPE_CHECKING:
    from voxloom.analysis.latents.points import Points

__all__ = ["Progress", "Reduced", "reduced", "reduced_key", "silent"]

_VERSION = 1  # of what is kept
_OVERSAMPLING = 10
_ITERATIONS = 3
_WIDEST = 256  # directions at most that the best are chosen from, unless more are asked for
_SMALL = 512  # vectors, or numbers in a vector, up to which the decomposition is exact
_FEW = 1 << 24  # numbers in all that are decomposed at once
_LARGEST = 1e15  # magnitude beyond which squares in float32 are not safe

Progress = Callable[[float, str], object]
"""Told how far a computation has come: a share from 0 to 1, and what is being done."""

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reduced:
    """Points in the coordinates of their principal components.

    Attributes
    ----------
    mean
        Mean of the fitted vectors, (D,).
    basis
        Orthonormal directions, (k, D), by falling variance. The entry of largest magnitude of each is
        positive, so that equal points have equal signs everywhere.
    coordinates
        Of all points, fitted or not, (N, k).
    explained
        Share of the fitted points' variance along each direction, (k,), from 0 to 1.
    residual
        What the directions do not tell of each point: length of the rest, (N,). For two points the
        true distance d and the one in coordinates r keep d² ≥ r² + (difference of the residuals)².
    """

    mean: Float32
    basis: Float32
    coordinates: Float32
    explained: Float32
    residual: Float32

    def transform(self, vectors: npt.NDArray[np.floating]) -> Float32:
        """Return the coordinates (n, k) of vectors (n, D)."""
        return np.asarray((np.asarray(vectors, np.float32) - self.mean) @ self.basis.T, np.float32)


def reduced(
    points: Points,
    components: int = 50,
    *,
    rows: npt.NDArray[np.integer] | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> Reduced:
    """Return the principal components of points, from the cache folder where they are kept there.

    Exact for up to 512 vectors or vectors of up to 512 numbers. Beyond, randomised (Halko, Martinsson
    and Tropp 2011, algorithm 4.4) with a block Krylov space (Musco and Musco 2015): four readings of
    the vectors in blocks of 64 MB.

    Parameters
    ----------
    points
        What is reduced.
    components
        How many directions; at most one fewer than the fitted points, at least one.
    rows
        Points that the directions are fitted on; None takes all. The others are transformed.
    seed
        Of the random start. Equal seeds give equal results.
    progress
        Told of each block.

    Raises
    ------
    DataError
        When a vector holds NaN, an infinity or a number beyond 1e15; it names the keys.
    ConfigError
        When `components` is not positive or no rows are given.

    Examples
    --------
    >>> from voxloom.analysis.latents.points import Points
    >>> line = np.outer(np.arange(5.0), [3.0, 4.0])
    >>> found = reduced(Points.of_arrays({"line": line}), 2)
    >>> found.basis[0].round(2), found.explained.round(2)
    (array([0.6, 0.8], dtype=float32), array([1., 0.], dtype=float32))
    >>> found.coordinates[:, 0].round(2).tolist()
    [-10.0, -5.0, 0.0, 5.0, 10.0]
    """
    fitted, count = _fitted(points, components, rows)
    n, dim = len(points), points.dim
    shapes = {"mean": (dim,), "basis": (count, dim), "coordinates": (n, count), "explained": (count,)}
    task = _Task(points, fitted, count, seed, progress or silent)
    facts = reduced_key(points, components, rows=rows, seed=seed)
    return Reduced(**kept(f"pca-{facts}", {**shapes, "residual": (n,)}, task.compute))


def reduced_key(
    points: Points, components: int, *, rows: npt.NDArray[np.integer] | None = None, seed: int = 42
) -> str:
    """Return what the components that `reduced` finds are kept under: it changes with all they depend on.

    Raises
    ------
    ConfigError
        As `reduced`.
    """
    fitted, count = _fitted(points, components, rows)
    everyone = len(fitted) == len(points)
    return key_of(_VERSION, points.digest, count, seed, None if everyone else fitted.tolist())


def _fitted(points: Points, components: int, rows: npt.NDArray[np.integer] | None) -> tuple[Rows, int]:
    """Return the rows to fit, and how many directions they have."""
    fitted = np.arange(len(points)) if rows is None else np.unique(np.asarray(rows, np.int64))
    if components < 1 or not len(fitted):
        raise ConfigError(f"{components} components of {len(fitted)} points: expected at least one of each.")
    return fitted, max(1, min(components, len(fitted) - 1, points.dim))


def silent(share: float, text: str) -> None:
    """Tell nobody."""


class _Task(NamedTuple):
    """One decomposition: which points, how many directions, and who is told."""

    points: Points
    fitted: Rows
    width: int
    seed: int
    progress: Progress

    def compute(self) -> Arrays:
        n, dim = len(self.fitted), self.points.dim
        if n <= _SMALL and n * dim <= _FEW:
            fit = _of_few(self)
        elif dim <= _SMALL:
            fit = _of_short(self)
        else:
            fit = _of_many(self)
        return _finished(self, fit)

    def blocks(self, rows: Rows | None, part: int, parts: int) -> Iterator[tuple[slice, Float32]]:
        """Yield (places, vectors) block by block, all finite, and tell how far that is."""
        n = len(self.points) if rows is None else len(rows)
        for places, block in self.points.blocks(rows):
            self.progress((part + places.start / n) / parts, "principal components")
            if not -_LARGEST < float(block.min()) <= float(block.max()) < _LARGEST:  # nor is NaN
                raise _not_finite(self.points)
            yield places, block


class _Fit(NamedTuple):
    """Mean (D,), directions (k or more, D) in any order, total variance, and readings so far of all."""

    mean: Float64
    basis: Float64
    total: float
    done: int
    parts: int


def _of_few(task: _Task) -> _Fit:
    """Decompose a matrix that fits into memory."""
    vectors = np.concatenate([block for _, block in task.blocks(task.fitted, 0, 2)]).astype(np.float64)
    mean = vectors.mean(0)
    vectors -= mean
    basis = np.linalg.svd(vectors, full_matrices=False)[2]
    return _Fit(mean, basis[: task.width], float((vectors**2).sum()), 1, 2)


def _of_short(task: _Task) -> _Fit:
    """Decompose the covariance of short vectors."""
    centre = _centre(task)
    scatter, sums = np.zeros((len(centre), len(centre))), np.zeros(len(centre))
    for _, block in task.blocks(task.fitted, 0, 2):
        moved = block.astype(np.float64) - centre
        scatter += moved.T @ moved
        sums += moved.sum(0)
    off = sums / len(task.fitted)
    scatter -= len(task.fitted) * np.outer(off, off)
    basis = np.linalg.eigh(scatter)[1].T[::-1]
    return _Fit(centre + off, basis[: task.width], float(np.trace(scatter)), 1, 2)


def _of_many(task: _Task) -> _Fit:
    """Find the leading directions in a block Krylov space from a random start.

    Each reading of the centred vectors A (n, D) turns directions Q (D, l) into an orthonormal base of
    Aᵀ(A Q); all of these together hold the leading ones better than the last alone. What is subtracted
    while reading is the mean of some vectors, as the true one is not known yet; the difference `off` is
    taken back at the end of each.
    """
    n, centre = len(task.fitted), _centre(task)
    width = min(task.width + _OVERSAMPLING, n, len(centre))
    Q = np.linalg.qr(np.random.default_rng(task.seed).normal(size=(len(centre), width)))[0]
    off, total, spaces = np.zeros(len(centre)), 0.0, []
    for step in range(_ITERATIONS):
        thin, product = Q.astype(np.float32), np.zeros_like(Q)
        sums, squares = np.zeros(len(centre)), 0.0
        for _, block in task.blocks(task.fitted, step, _ITERATIONS + 1):
            block -= centre
            product += block.T @ (block @ thin)
            sums += block.sum(0, dtype=np.float64)
            squares += float(_squared_lengths(block).sum())
        off = sums / n
        total = squares - n * float(off @ off)
        Q = np.linalg.qr(product - n * np.outer(off, off @ Q))[0]
        spaces.append(Q)
    basis = np.linalg.qr(np.concatenate(spaces[-max(1, _WIDEST // width) :], axis=1))[0].T
    return _Fit(centre + off, basis, total, _ITERATIONS, _ITERATIONS + 1)


def _centre(task: _Task) -> Float32:
    """Return the mean of a few fitted vectors, near enough to the mean of all to lose no digits."""
    some = task.fitted[:: max(1, len(task.fitted) // 64)]
    with np.errstate(all="ignore"):  # what is not finite is found, and named, when all are read
        centre: Float32 = task.points.vectors(some).mean(0)
        return np.nan_to_num(centre, posinf=0, neginf=0)


def _squared_lengths(block: Float32) -> Float64:
    lengths: Float64 = np.einsum("ij,ij->i", block, block).astype(np.float64)
    return lengths


def _finished(task: _Task, fit: _Fit) -> Arrays:
    """Turn the directions to the principal axes and give all points their coordinates."""
    n = len(task.points)
    mean, basis = fit.mean.astype(np.float32), fit.basis.astype(np.float32)
    placed, squares = np.empty((n, len(basis)), np.float32), np.empty(n)
    scatter, is_fitted = np.zeros((len(basis), len(basis))), np.zeros(n, bool)
    is_fitted[task.fitted] = True
    for places, block in task.blocks(None, fit.done, fit.parts):
        block -= mean
        placed[places] = block @ basis.T
        squares[places] = _squared_lengths(block)
        own = placed[places][is_fitted[places]].astype(np.float64)
        scatter += own.T @ own
    variance, turn = np.linalg.eigh(scatter)
    turn = turn[:, ::-1][:, : task.width]
    final = turn.T @ fit.basis
    signs = np.sign(final[np.arange(len(final)), np.abs(final).argmax(1)])
    rounding = (
        1e-13 * len(task.fitted) * float(fit.mean @ fit.mean)
    )  # of float32: what is less is no variance
    total = fit.total if fit.total > rounding else np.inf
    coordinates = placed @ (turn * signs).astype(np.float32)
    task.progress(1.0, "principal components")
    return {
        "mean": mean,
        "basis": (final * signs[:, None]).astype(np.float32),
        "coordinates": coordinates,
        "explained": (variance[::-1][: task.width] / total).clip(0, 1).astype(np.float32),
        "residual": np.sqrt((squares - _squared_lengths(coordinates)).clip(0)).astype(np.float32),
    }


def _not_finite(points: Points) -> DataError:
    wrong = [
        place.start + int(i)
        for place, block in points.blocks()
        for i in np.flatnonzero(~(np.abs(block).max(1) < _LARGEST))
    ]
    told = ", ".join(f"{points.groups[row]}: {points.keys[row]}" for row in wrong[:5])
    return DataError(
        f"{len(wrong)} of {len(points)} vectors hold NaN, an infinity or numbers beyond {_LARGEST:g}: {told}"
        f"{', ...' if len(wrong) > 5 else ''}. Expected finite numbers: encode these images again, or "
        "leave them out."
    )
