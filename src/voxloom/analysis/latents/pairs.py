"""Groups against each other: spread, centroids, cross distances, MMD and Frechet distance, with intervals.

Shapes: n compared points, C cells of them, G groups, B resamples, k principal components.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.estimates import FEWEST_UNITS, Estimate
from voxloom.analysis.latents.frechet import (
    MAX_DIMS,
    frechet_dims,
    frechet_of_moments,
    principal_coordinates,
)
from voxloom.analysis.latents.resampling import Cells, Subset
from voxloom.analysis.latents.two_samples import gaussian_kernel, median_bandwidth, p_value, permuted_mmd2
from voxloom.analysis.summary import Bootstrap

__all__ = ["Compared", "PairNumbers"]

_FRECHET_DRAWS = 4000  # over all pairs: each takes two eigenvalue problems
_DRAWS = (100, 400)  # fewest and most of a pair

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairNumbers:
    """What is measured of two groups of compared points; `PairRow` says what it means."""

    centroid_distance_corrected: Estimate
    cross_distance: Estimate
    mmd2: Estimate
    mmd_p: float
    frechet_squared: float
    frechet_corrected: Estimate
    frechet_dims: int


@dataclass(frozen=True)
class Compared:
    """Points that are compared each with each.

    Attributes
    ----------
    subset
        Which they are; their groups are numbered from 0 without a gap.
    squares
        (n, n) their squared distances.
    bootstrap
        How the intervals are found.
    permutations
        Of the labels, for a p-value.
    seed
        Of the permutations.
    """

    subset: Subset
    squares: Matrix
    bootstrap: Bootstrap
    permutations: int
    seed: int

    @property
    def cells(self) -> Cells:
        """Cells of the points."""
        return self.subset.cells

    @cached_property
    def bandwidth(self) -> float:
        """Width of the MMD's kernel, one for all pairs so that they can be compared."""
        return median_bandwidth(self.squares)

    @cached_property
    def units(self) -> npt.NDArray[np.int64]:
        """(G,) how many units each group has."""
        return np.bincount(self.cells.groups)

    @cached_property
    def coordinates(self) -> Matrix:
        """(n, k) along the first principal components of the points."""
        return principal_coordinates(self.squares, MAX_DIMS)[0]

    def explained(self, dims: int) -> float:
        """Return the share of the points' variance in the first principal components."""
        total = self.squares.sum() / (2 * len(self.squares))
        return float((self.coordinates[:, :dims] ** 2).sum() / total) if total > 0 else 1.0

    def spreads(self) -> list[Estimate]:
        """Return the spread of each group: the root of its total variance.

        Half the mean squared distance of two points of different units, which is the trace of the
        covariance, without the bias of small groups (the standard distance of Bachi 1963).
        """
        found = self._within_squares / 2
        return [self._estimate(found[:, g], g).root() for g in range(len(self.units))]

    def pairs(self) -> Iterator[tuple[int, int, PairNumbers]]:
        """Yield the numbers of each pair of groups."""
        squares, kernel = self._of_others(self.squares), self._kernel
        distances, pairs = self.cells.totals(np.sqrt(self.squares)), self.cells.pairs
        own, own_kernel = self._within_squares, self._within(kernel)
        crossed = zip(
            self.cells.across(squares, self._pairs, self._weights),
            self.cells.across(distances, pairs, self._weights),
            self.cells.across(kernel, self._pairs, self._weights),
            strict=True,
        )
        for a, (cross2, cross, cross_kernel) in enumerate(crossed):
            for b in range(a + 1, len(self.units)):
                mmd2 = own_kernel[:, a] + own_kernel[:, b] - 2 * cross_kernel[:, b]
                gap = cross2[:, b] - (own[:, a] + own[:, b]) / 2
                plain, corrected, dims = self._frechet(a, b)
                yield (
                    a,
                    b,
                    PairNumbers(
                        centroid_distance_corrected=self._estimate(gap, a, b).root(),
                        cross_distance=self._estimate(cross[:, b], a, b),
                        mmd2=self._estimate(mmd2, a, b),
                        mmd_p=self._p_value(float(mmd2[0]), a, b),
                        frechet_squared=plain,
                        frechet_corrected=corrected,
                        frechet_dims=dims,
                    ),
                )

    @property
    def frechet_draws(self) -> int:
        """Resamples of each pair's Frechet distance; 0 where there are too many pairs."""
        pairs = max(1, math.comb(len(self.units), 2))
        draws = min(self.bootstrap.resamples, _DRAWS[1], _FRECHET_DRAWS // pairs)
        return draws if draws >= _DRAWS[0] else 0

    @cached_property
    def _weights(self) -> Matrix:
        """(1 + B, C) how often each cell counts: first once, then as it was drawn."""
        drawn = self.cells.weights(self.bootstrap.resamples, self.bootstrap.seed)
        return np.concatenate([np.ones((1, len(self.cells))), drawn])

    @cached_property
    def _pairs(self) -> Matrix:
        return np.where(self.cells.other, self.cells.pairs, 0.0)

    @cached_property
    def _kernel(self) -> Matrix:
        return self._of_others(gaussian_kernel(self.squares, self.bandwidth))

    @cached_property
    def _within_squares(self) -> Matrix:
        return self._within(self._of_others(self.squares))

    def _of_others(self, matrix: Matrix) -> Matrix:
        """Return the sums over the points of two cells of different units, (C, C)."""
        return np.where(self.cells.other, self.cells.totals(matrix), 0.0)

    def _within(self, sums: Matrix) -> Matrix:
        return self.cells.within(sums, self._pairs, self._weights)

    def _estimate(self, found: Matrix, *groups: int) -> Estimate:
        """Return the first number with the interval of the others, where the groups have enough units."""
        enough = self.units[list(groups)].min() >= FEWEST_UNITS
        draws = found[1:] if enough else found[:0]
        return Estimate.of(float(found[0]), draws, confidence=self.bootstrap.confidence)

    def _p_value(self, found: float, a: int, b: int) -> float:
        if math.isnan(found):
            return math.nan
        chosen = np.r_[self.cells.of_group(a), self.cells.of_group(b)]
        _, units = np.unique(self.cells.units[chosen], return_inverse=True)
        counts, groups = self.cells.counts[chosen], self.cells.groups[chosen]
        cells = replace(self.cells, points=chosen, groups=groups, units=units, counts=counts)
        kernel = self._kernel[np.ix_(chosen, chosen)]
        drawn = permuted_mmd2(kernel, cells, permutations=self.permutations, seed=self.seed)
        return p_value(found, drawn)

    def _frechet(self, a: int, b: int) -> tuple[float, Estimate, int]:
        """Return the squared distance, the same without its bias and with an interval, and dimensions."""
        fewest = int(self.units[[a, b]].min())
        if fewest < 2:
            return math.nan, Estimate(), 0
        dims = frechet_dims(self.coordinates.shape[1], fewest)
        draws = self.frechet_draws if fewest >= FEWEST_UNITS else 0
        first, second = (self._moments(group, dims, draws) for group in (a, b))
        found = frechet_of_moments((first[0], second[0]), (first[1], second[1]))
        drawn = found[1:][np.isfinite(found[1:])]
        if not len(drawn):
            return float(found[0]), Estimate(), dims
        # What resampling adds is what sampling has added: it is taken off (Efron and Tibshirani 1993, 10.2).
        mirrored = np.maximum(2 * found[0] - drawn, 0)
        value = max(float(2 * found[0] - drawn.mean()), 0.0)
        corrected = Estimate.of(value, mirrored, confidence=self.bootstrap.confidence)
        return float(found[0]), corrected, dims

    def _moments(self, group: int, dims: int, draws: int) -> tuple[Matrix, Matrix]:
        """Return means (1 + draws, k) and covariances (1 + draws, k, k), identity where one point is left."""
        chosen = self.subset.groups == group
        cell = np.repeat(np.arange(len(self.cells)), self.cells.counts.astype(int))[chosen]
        z = self.coordinates[chosen, :dims]
        weights = self._weights[: 1 + draws, cell]
        totals = weights.sum(1)
        usable = totals > 1
        weights[~usable], totals = 1.0, np.where(usable, totals, len(z))
        means = weights @ z / totals[:, None]
        squares = np.stack([(z * w[:, None]).T @ z for w in weights])
        outer = means[:, :, None] * means[:, None, :]
        covariances = (squares - totals[:, None, None] * outer) / (totals - 1)[:, None, None]
        means[~usable] = np.nan
        return means, covariances
