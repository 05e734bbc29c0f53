"""Has a generator learnt training data by heart? Distances to the nearest training neighbour.

Of fresh samples the nearest training point is about as far as training points are from one another. A
generator that copies comes nearer. Shapes: n points, M training points, D numbers of a point, B resamples.

References
----------
Meehan, Chaudhuri and Dasgupta 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models,
AISTATS, arXiv:2004.05675 (`nearer_than_train`); Alaa et al. 2022, How Faithful is your Synthetic Data?,
ICML, arXiv:2102.08921 (authenticity: `inauthentic` is one minus it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import Nearest, nearest_points
from voxloom.analysis.latents.estimates import FEWEST_UNITS, Estimate, share_of
from voxloom.analysis.latents.points import Points
from voxloom.analysis.summary import Bootstrap
from voxloom.seeding import rng_for

__all__ = ["MemorisationRow", "Seen", "Training"]

_FIRST = 0.01  # percentile of the training points' distances below which a point is near
_AT_ONCE = 2048  # points whose nearest are looked for in one reading of the training data
_DRAWS = 64  # resamples at once

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MemorisationRow:
    """How near one group lies to the training data, a line of ``memorisation.csv``.

    Attributes
    ----------
    group
        The group.
    points
        How many of its points were looked at.
    median_distance
        To the nearest training point, on full vectors.
    ratio
        That, divided by the median distance of training points to the nearest other one. About 1 for
        fresh samples, toward 0 for copies.
    nearer_than_train
        Chance that a point lies nearer to the training data than a training point to the others. About
        one half for fresh samples, 1 for copies.
    below_first_percentile
        Share of points nearer than 99 % of the training points are to the nearest other one. About 0.01
        for fresh samples.
    inauthentic
        Share of points nearer to their training point than that is to the nearest other one. One half or
        less for fresh samples, 1 for copies.
    nearest_distance, nearest_key, nearest_train_key
        The point that lies nearest to the training data, and its neighbour there: look at these two.
    """

    group: str
    points: int
    median_distance: float
    ratio: Estimate
    nearer_than_train: Estimate
    below_first_percentile: Estimate
    inauthentic: Estimate
    nearest_distance: float
    nearest_key: str
    nearest_train_key: str


@dataclass(frozen=True)
class Seen:
    """Points beside the training data.

    Attributes
    ----------
    nearest
        The nearest training point of each.
    own
        (n,) how far that one lies from the nearest other training point; NaN where there is none.
    among
        (m,) the same of training points drawn at random, in order of size.
    """

    nearest: Nearest
    own: Matrix
    among: Matrix


class Training:
    """Training points, and how far they lie from one another.

    Parameters
    ----------
    points
        The points.
    units
        (M,) number of the patient of each, or of the point itself: neighbours of the same are passed over
        where training points are compared with training points.
    bootstrap
        How intervals are found, over the points that are judged or their patients.
    """

    def __init__(self, points: Points, units: Codes, bootstrap: Bootstrap) -> None:
        self.points = points
        self.units = units
        self.bootstrap = bootstrap

    def see(self, points: Points, rows: Codes, *, limit: int, seed: int) -> Seen:
        """Look for the nearest of some points, and of at most `limit` training points, among all of them."""
        parts = [nearest_points(points.vectors(chunk), self.points) for chunk in _chunks(rows)]
        found = Nearest(
            np.concatenate([part.rows for part in parts]), np.concatenate([part.distances for part in parts])
        )
        count = len(self.points)
        drawn = np.arange(count)
        if count > limit:
            drawn = rng_for(seed, "train").choice(count, limit, replace=False)
        every, place = np.unique(np.concatenate([found.rows, drawn]), return_inverse=True)
        own = self._among(every)[place]
        among = own[len(rows) :]
        return Seen(found, own[: len(rows)], np.sort(among[np.isfinite(among)]))

    def judge(
        self,
        name: str,
        seen: Seen,
        chosen: npt.NDArray[np.bool_],
        *,
        keys: Sequence[str],
        units: Sequence[str],
    ) -> MemorisationRow:
        """Return how near a group lies.

        Parameters
        ----------
        name
            Of the group.
        seen, chosen
            What `see` returned, and which of it is the group.
        keys, units
            (n,) key, and image or patient, of each point of the group.
        """
        distances, own, among = seen.nearest.distances[chosen], seen.own[chosen], seen.among
        least = int(np.argmin(distances))
        first = float(np.quantile(among, _FIRST)) if len(among) else math.nan
        values = [
            _nearer(distances, among),
            np.where(len(among) > 0, distances < first, np.nan),
            np.where(np.isfinite(own), distances < own, np.nan),
        ]
        nearer, below, inauthentic = (share_of(each * 1.0, units, self.bootstrap) for each in values)
        return MemorisationRow(
            group=name,
            points=len(distances),
            median_distance=float(np.median(distances)),
            ratio=self._ratio(distances, units, among),
            nearer_than_train=nearer,
            below_first_percentile=below,
            inauthentic=inauthentic,
            nearest_distance=float(distances[least]),
            nearest_key=keys[least],
            nearest_train_key=self.points.keys[int(seen.nearest.rows[chosen][least])],
        )

    def _among(self, rows: Codes) -> Matrix:
        """Return the distances of training points to the nearest other one; NaN where there is none."""
        parts = [
            nearest_points(
                self.points.vectors(chunk), self.points, apart=(self.units[chunk], self.units)
            ).distances
            for chunk in _chunks(rows)
        ]
        return np.concatenate(parts)

    def _ratio(self, distances: Matrix, units: Sequence[str], reference: Matrix) -> Estimate:
        """Return the ratio of medians; both samples are drawn again for its interval."""
        if not len(reference) or np.median(reference) == 0:
            return Estimate()
        value = float(np.median(distances) / np.median(reference))
        _, codes = np.unique(units, return_inverse=True)
        if codes.max() + 1 < FEWEST_UNITS:
            return Estimate(value)
        rng = rng_for(self.bootstrap.seed, "bootstrap")
        top = _medians(distances, codes, self.bootstrap.resamples, rng)
        bottom = _medians(reference, np.arange(len(reference)), self.bootstrap.resamples, rng)
        drawn = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
        return Estimate.of(value, drawn, confidence=self.bootstrap.confidence)


def _nearer(distances: Matrix, reference: Matrix) -> Matrix:
    """Return the share of (sorted) reference distances that are larger than each; equal ones count half."""
    if not len(reference):
        return np.full(len(distances), np.nan)
    below = np.searchsorted(reference, distances, "left") + np.searchsorted(reference, distances, "right")
    return np.asarray(1 - below / (2 * len(reference)))


def _medians(values: Matrix, units: Codes, resamples: int, rng: np.random.Generator) -> Matrix:
    """Return the (lower) medians of values after their units were drawn again, (B,)."""
    order = np.argsort(values, kind="stable")
    count = int(units.max()) + 1
    found = []
    for start in range(0, resamples, _DRAWS):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(_DRAWS, resamples - start))
        summed = np.cumsum(drawn[:, units[order]], axis=1)
        found.append(values[order][np.argmax(2 * summed >= summed[:, -1:], axis=1)])
    return np.concatenate(found)


def _chunks(rows: Codes) -> list[Codes]:
    return np.array_split(rows, max(1, -(-len(rows) // _AT_ONCE)))
