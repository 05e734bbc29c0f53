"""Do two samples come from one distribution? The maximum mean discrepancy and its permutation test.

Shapes: n and m points of D numbers, C cells of points of both (see resampling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.resampling import Cells, Subset
from voxloom.errors import SchemaError
from voxloom.sample import Array
from voxloom.seeding import rng_for

__all__ = [
    "MmdTest",
    "check_samples",
    "gaussian_kernel",
    "holm",
    "median_bandwidth",
    "mmd2",
    "mmd_test",
    "mmd_test_of_squares",
    "p_value",
    "permuted_mmd2",
]

Matrix = npt.NDArray[np.float64]

_TIE = 1e-12  # relative; two labellings that differ in nothing differ by rounding


@dataclass(frozen=True)
class MmdTest:
    """What a permutation test of the MMD found.

    Attributes
    ----------
    mmd2
        Unbiased estimate of the squared MMD; it may be below zero. NaN for fewer than two points.
    p
        Share of the exchanged labellings that are at least as far apart, both counted with the observed
        one (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585): never 0.
    bandwidth
        Of the kernel.
    """

    mmd2: float
    p: float
    bandwidth: float


def median_bandwidth(squares: Matrix) -> float:
    """Return the median distance of two different points, the usual width of the kernel.

    Where more than half of the distances are 0 it is their mean; where all are 0 it is 1.

    Parameters
    ----------
    squares
        (n, n) squared distances.

    References
    ----------
    Gretton et al. 2012, section 8; Garreau, Jitkrittum and Kanagawa 2017, arXiv:1707.07269.
    """
    distances = np.sqrt(squares[np.triu_indices(len(squares), 1)])
    if not distances.any():
        return 1.0
    return float(np.median(distances)) or float(distances.mean())


def gaussian_kernel(squares: Matrix, bandwidth: float) -> Matrix:
    """Return ``exp(-squares / (2 bandwidth²))``."""
    return np.asarray(np.exp(-squares / (2 * bandwidth**2)))


def mmd2(x: Array, y: Array, *, bandwidth: float | None = None) -> float:
    """Return the unbiased estimate of the squared maximum mean discrepancy of two samples.

    It is zero in the mean where both come from one distribution, and may be negative.

    Parameters
    ----------
    x, y
        (n, D) and (m, D). Memory grows with (n + m)²: of more than some thousand draw a sample.
    bandwidth
        Of the Gaussian kernel ``exp(-|x - y|² / (2 bandwidth²))``; None takes the median distance of all
        points.

    Returns
    -------
    float
        NaN where a sample has fewer than two points.

    References
    ----------
    Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, equation 3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same = mmd2(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)))
    >>> other = mmd2(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + 1)
    >>> abs(same) < 0.01 < 0.1 < other
    True
    """
    check_samples(x, y)
    kernel, cells, _ = _kernel_of(squared_distances(np.concatenate([x, y])), len(x), bandwidth)
    return _mmd2(kernel, cells)


def mmd_test(
    x: Array, y: Array, *, bandwidth: float | None = None, permutations: int = 999, seed: int = 42
) -> MmdTest:
    """Test whether two samples come from one distribution: their MMD against that of exchanged labels.

    Parameters
    ----------
    x, y
        (n, D) and (m, D).
    bandwidth
        As in `mmd2`.
    permutations
        How often the labels are exchanged.
    seed
        Of the exchanges.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(40, 3))
    >>> mmd_test(x[:20], x[20:]).p > 0.05, mmd_test(x[:20], x[20:] + 2).p
    (True, 0.001)
    """
    check_samples(x, y)
    squares = squared_distances(np.concatenate([x, y]))
    return mmd_test_of_squares(squares, len(x), bandwidth=bandwidth, permutations=permutations, seed=seed)


def mmd_test_of_squares(
    squares: Matrix, first: int, *, bandwidth: float | None = None, permutations: int = 999, seed: int = 42
) -> MmdTest:
    """Return what `mmd_test` returns, from the squared distances of both samples alone.

    Parameters
    ----------
    squares
        (n + m, n + m), those of the first sample before those of the second.
    first
        n.
    bandwidth, permutations, seed
        As in `mmd_test`.
    """
    kernel, cells, width = _kernel_of(squares, first, bandwidth)
    found = _mmd2(kernel, cells)
    if math.isnan(found):
        return MmdTest(found, math.nan, width)
    drawn = permuted_mmd2(kernel, cells, permutations=permutations, seed=seed)
    return MmdTest(found, p_value(found, drawn), width)


def p_value(found: float, drawn: Matrix) -> float:
    """Return the share of exchanged labellings at least as far apart, the observed one among them."""
    if math.isnan(found) or np.isnan(drawn).all():
        return math.nan
    slack = _TIE * max(abs(found), float(np.nanmax(np.abs(drawn))))
    return (1 + int((drawn >= found - slack).sum())) / (1 + int((~np.isnan(drawn)).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6); NaN stay.

    Examples
    --------
    >>> holm([0.01, 0.04, float("nan"), 0.5])
    [0.03, 0.08, nan, 0.5]
    """
    found = np.asarray(p_values, np.float64)
    order = np.argsort(found, kind="stable")  # NaN last
    order = order[: int((~np.isnan(found)).sum())]
    adjusted = np.minimum(np.maximum.accumulate(found[order] * np.arange(len(order), 0, -1)), 1)
    out = np.full(len(found), np.nan)
    out[order] = adjusted
    return [float(p) for p in out]


def permuted_mmd2(kernel: Matrix, cells: Cells, *, permutations: int, seed: int) -> Matrix:
    """Return the unbiased squared MMD of two groups after their labels were exchanged, (permutations,).

    Units of one group exchange their labels with one another; a unit in both keeps its two cells apart
    and may swap them, as in a paired test.

    Parameters
    ----------
    kernel
        (C, C) sums of the kernel over the points of two cells of two groups.
    """
    first = _exchanged(cells, permutations, rng_for(seed, "permutation"))
    second = 1 - first
    sums = np.where(cells.other, kernel, 0.0)
    half = first @ sums
    own, cross = (half * first).sum(1), (half * second).sum(1)
    rest = sums.sum() - own - 2 * cross
    pairs = np.where(cells.other, cells.pairs, 0.0)
    half = first @ pairs
    counts = (half * first).sum(1), (half * second).sum(1)
    left = pairs.sum() - counts[0] - 2 * counts[1]
    with np.errstate(invalid="ignore", divide="ignore"):  # a group without pairs: NaN, left out later
        return np.asarray(own / counts[0] + rest / left - 2 * cross / counts[1])


def _exchanged(cells: Cells, permutations: int, rng: np.random.Generator) -> Matrix:
    """Return which cells stand in the first group, (permutations, C) of 0 and 1."""
    is_first = np.tile((cells.groups == cells.groups[0]) * 1.0, (permutations, 1))
    alone = np.bincount(cells.units)[cells.units] == 1
    is_first[:, alone] = rng.permuted(is_first[:, alone], axis=1)
    swapped = rng.integers(2, size=(permutations, int(cells.units.max()) + 1))[:, cells.units]
    swapped[:, alone] = 0
    return np.abs(is_first - swapped)


def _kernel_of(squares: Matrix, first: int, bandwidth: float | None) -> tuple[Matrix, Cells, float]:
    width = median_bandwidth(squares) if bandwidth is None else bandwidth
    rows = np.arange(len(squares))
    return gaussian_kernel(squares, width), Subset(rows, (rows >= first) * 1, rows).cells, width


def _mmd2(kernel: Matrix, cells: Cells) -> float:
    """Return the estimate of single points of two groups."""
    n = int((cells.groups == 0).sum())
    m = len(cells) - n
    if min(n, m) < 2:
        return math.nan
    own, other = kernel[:n, :n], kernel[n:, n:]
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def check_samples(x: Array, y: Array) -> None:
    """Refuse what are not two samples of one space.

    Raises
    ------
    SchemaError
        When the arrays are not (n, D) and (m, D) with a point each.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not min(len(x), len(y)):
        raise SchemaError(
            f"samples of shape {x.shape} and {y.shape}: expected (n, D) and (m, D), at least a point each."
        )
