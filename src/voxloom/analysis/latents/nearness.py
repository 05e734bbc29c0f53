"""Distances to the nearest training point, beside those of training points to one another.

Both are samples: other training data would give other distances. So points and training points are drawn
again, each by their unit (patient or image), for all intervals.

Shapes: n points, m training points, B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.estimates import FEWEST_UNITS, Estimate, score_interval
from voxloom.analysis.summary import Bootstrap
from voxloom.seeding import rng_for

__all__ = ["FEWEST_FOR_PERCENTILE", "FEWEST_TRAIN", "Nearness"]

FEWEST_TRAIN = 20
"""Training images or patients below which there is no interval: it would hold the truth too seldom."""

FEWEST_FOR_PERCENTILE = 199
"""Training images or patients below which 1 % of them is not even two; an interval wants five times that."""

_FIRST = 0.01
_DRAWS = 64  # resamples at once
_SAME = 1e-12  # width of an interval that is rounding

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_Statistic = Callable[[Matrix, Matrix], Matrix]


@dataclass(frozen=True)
class Nearness:
    """Distances of a group and of training points.

    Attributes
    ----------
    distances
        (n,) of the points to the nearest training point.
    units
        (n,) number of the image or patient of each, from 0.
    reference
        (m,) of training points to the nearest one of another unit, in order of size.
    reference_units
        (m,) number of the image or patient of each, from 0.
    bootstrap
        How the intervals are found.
    """

    distances: Matrix
    units: Codes
    reference: Matrix
    reference_units: Codes
    bootstrap: Bootstrap

    @property
    def ratio(self) -> Estimate:
        """Median distance of the points, divided by that of the training points."""
        if not len(self.reference) or np.median(self.reference) == 0:
            return Estimate()
        order = np.argsort(self.distances, kind="stable")
        distances = self.distances[order]

        def ratio(points: Matrix, train: Matrix) -> Matrix:
            low = _weighted_median(self.reference, train)
            high = _weighted_median(distances, points[:, order])
            out = np.full(len(low), np.nan)
            np.divide(high, low, out=out, where=low > 0)
            return out

        value = float(np.median(self.distances) / np.median(self.reference))
        return self._estimate(value, ratio, self._enough)

    @property
    def nearer(self) -> Estimate:
        """Chance that a point is nearer than a training point to the others; equal ones count half."""
        if not len(self.reference):
            return Estimate()
        places = [np.searchsorted(self.reference, self.distances, side) for side in ("left", "right")]

        def nearer(points: Matrix, train: Matrix) -> Matrix:
            summed = np.concatenate([np.zeros((len(train), 1)), np.cumsum(train, axis=1)], axis=1)
            below = (summed[:, places[0]] + summed[:, places[1]]) / (2 * summed[:, -1:])
            return np.asarray((points * (1 - below)).sum(1) / points.sum(1))

        return self._share(nearer, self._enough)

    @property
    def below_first(self) -> Estimate:
        """Share of points nearer than 99 % of the training points are to the others.

        Below the k-th smallest of m distances lies a fresh one with chance k / (m + 1). The smallest come in
        pairs, as they are of points that are each other's nearest, so k is even: the largest for which
        the chance is at most 1 %. None where there are too few to have such a k.
        """
        rank = 2 * int(_FIRST / 2 * (len(self.reference) + 1))
        if self._trains < FEWEST_FOR_PERCENTILE:
            return Estimate()

        def below(points: Matrix, train: Matrix) -> Matrix:
            summed = np.cumsum(train, axis=1)
            place = np.argmax(summed >= summed[:, -1:] * (rank / len(self.reference)), axis=1)
            first = self.reference[place]
            return np.asarray((points * (self.distances < first[:, None])).sum(1) / points.sum(1))

        many = self._trains >= 5 * FEWEST_FOR_PERCENTILE
        return self._share(below, self._enough and many)

    @property
    def _trains(self) -> int:
        return int(self.reference_units.max(initial=-1)) + 1

    @property
    def _enough(self) -> bool:
        return int(self.units.max()) + 1 >= FEWEST_UNITS and self._trains >= FEWEST_TRAIN

    def _share(self, statistic: _Statistic, enough: bool) -> Estimate:
        """Return a share with its interval, also where it is 0 or 1 in each resample."""
        value = float(statistic(np.ones((1, len(self.distances))), np.ones((1, len(self.reference))))[0])
        found = self._estimate(value, statistic, enough)
        if math.isnan(found.low) or found.high - found.low > _SAME:
            return found
        trials = min(int(self.units.max()) + 1, self._trains)
        return score_interval(value, trials, self.bootstrap.confidence)

    def _estimate(self, value: float, statistic: _Statistic, enough: bool) -> Estimate:
        if not enough:
            return Estimate(value)
        drawn = np.concatenate([statistic(points, train) for points, train in self._weights()])
        return Estimate.of(value, drawn, confidence=self.bootstrap.confidence)

    def _weights(self) -> Iterator[tuple[Matrix, Matrix]]:
        """Yield how often each point and each training point is drawn, (b, n) and (b, m)."""
        rng = rng_for(self.bootstrap.seed, "bootstrap")
        for start in range(0, self.bootstrap.resamples, _DRAWS):
            size = min(_DRAWS, self.bootstrap.resamples - start)
            yield _drawn(self.units, 1.0, size, rng), _drawn(self.reference_units, self._different, size, rng)

    @property
    def _different(self) -> float:
        """Share of the training points' distances that are different.

        Two points that are each other's nearest have one distance between them, which says no more for
        being there twice: as many fewer are drawn.
        """
        return len(np.unique(self.reference)) / len(self.reference)


def _drawn(units: Codes, share: float, size: int, rng: np.random.Generator) -> Matrix:
    """Return how often each point is drawn where a share of the units is, (size, n)."""
    count = int(units.max()) + 1
    drawn = rng.multinomial(max(1, round(share * count)), np.full(count, 1 / count), size=size)
    return drawn[:, units].astype(np.float64)


def _weighted_median(values: Matrix, weights: Matrix) -> Matrix:
    """Return the (lower) median of values (n,) in order of size, for each row of weights (b, n): (b,)."""
    summed = np.cumsum(weights, axis=1)
    return np.asarray(values[np.argmax(2 * summed >= summed[:, -1:], axis=1)])
