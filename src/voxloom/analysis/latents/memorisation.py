"""Has a generator learnt training data by heart? Distances to the nearest training neighbour.

Of fresh samples the nearest training point is about as far as training points are from one another. A
generator that copies comes nearer. Shapes: n points, M training points, D numbers of a point, B resamples.

References
----------
Meehan, Chaudhuri and Dasgupta 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models,
AISTATS, arXiv:2004.05675 (`nearer_than_train`); Alaa et al. 2022, How Faithful is your Synthetic Data?,
ICML, arXiv:2102.08921 (authenticity: `inauthentic` is one minus it); Pickard 1982, Isolated nearest
neighbors, Journal of Applied Probability 19 (how many are mutual).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import Nearest, lookups, nearest_points
from voxloom.analysis.latents.estimates import Estimate, share_of
from voxloom.analysis.latents.nearness import FEWEST_TRAIN, Nearness
from voxloom.analysis.latents.points import Points
from voxloom.analysis.summary import Bootstrap
from voxloom.seeding import rng_for

__all__ = ["MemorisationRow", "Seen", "Training"]

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
        for fresh samples; NaN for fewer than 199 training images or patients.
    inauthentic
        Share of points nearer to their training point than that is to the nearest other one. 1 for
        copies; for fresh samples what `inauthentic_of_train` says.
    inauthentic_of_train
        The same share of the training points, each held out. For points in k dimensions it is the chance
        of being mutual neighbours: 2/3 for k = 1, 0.62 for 2 (Pickard 1982), and less for many.
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
    inauthentic_of_train: float
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
    among_units
        (m,) number of the unit of each of those, from 0.
    inauthentic
        Share of them that are nearer to their neighbour than that is to any third.
    """

    nearest: Nearest
    own: Matrix
    among: Matrix
    among_units: Codes
    inauthentic: float


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
        How intervals are found, over the points that are judged or their patients, and over the training
        points or theirs.
    """

    def __init__(self, points: Points, units: Codes, bootstrap: Bootstrap) -> None:
        self.points = points
        self.units = units
        self.bootstrap = bootstrap
        self.count = len(np.unique(units))

    def see(self, points: Points, rows: Codes, *, limit: int, seed: int) -> Seen:
        """Look for the nearest of some points, and of at most `limit` training points, among all of them.

        Raises
        ------
        DataError
            When a training vector is not finite.
        """
        found = _joined([nearest_points(points.vectors(part), self.points) for part in self._parts(rows)])
        count = len(self.points)
        drawn = np.arange(count)
        if count > limit:
            drawn = rng_for(seed, "train").choice(count, limit, replace=False)
        every, place = np.unique(np.concatenate([found.rows, drawn]), return_inverse=True)
        own = self._others(every, self.units[every])
        of_drawn = place[len(rows) :]
        among = Nearest(own.rows[of_drawn], own.distances[of_drawn])
        there = np.flatnonzero(np.isfinite(among.distances))
        order = there[np.argsort(among.distances[there], kind="stable")]
        return Seen(
            nearest=found,
            own=own.distances[place[: len(rows)]],
            among=among.distances[order],
            among_units=np.unique(self.units[drawn[order]], return_inverse=True)[1],
            inauthentic=self._inauthentic(drawn[there], among.rows[there], among.distances[there]),
        )

    def _parts(self, rows: Codes) -> list[Codes]:
        return [np.asarray(part) for part in lookups(rows, self.points.dim)]

    def _others(self, rows: Codes, codes: Codes) -> Nearest:
        """Return the nearest to training points of which no unit is among their codes, (n,) or (n, k)."""
        return _joined(
            [
                nearest_points(self.points.vectors(rows[part]), self.points, apart=(codes[part], self.units))
                for part in self._parts(np.arange(len(rows)))
            ]
        )

    def _inauthentic(self, rows: Codes, neighbours: Codes, distances: Matrix) -> float:
        """Return the share of training points that are nearer to their neighbour than it is to any third.

        That is `MemorisationRow.inauthentic` of training points, each held out with its unit.
        """
        if not len(rows):
            return math.nan
        codes = np.stack([self.units[rows], self.units[neighbours]], axis=1)
        third = self._others(neighbours, codes).distances
        known = np.isfinite(third)
        return float((distances < third)[known].mean()) if known.any() else math.nan

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
        distances, rows = seen.nearest.distances[chosen], seen.nearest.rows[chosen]
        least = int(np.argmin(distances))
        codes = np.unique(units, return_inverse=True)[1]
        nearness = Nearness(distances, codes, seen.among, seen.among_units, self.bootstrap)
        return MemorisationRow(
            group=name,
            points=len(distances),
            median_distance=float(np.median(distances)),
            ratio=nearness.ratio,
            nearer_than_train=nearness.nearer,
            below_first_percentile=nearness.below_first,
            inauthentic=self._share(distances, seen.own[chosen], rows, units),
            inauthentic_of_train=seen.inauthentic,
            nearest_distance=float(distances[least]),
            nearest_key=keys[least],
            nearest_train_key=self.points.keys[int(rows[least])],
        )

    def _share(self, distances: Matrix, own: Matrix, rows: Codes, units: Sequence[str]) -> Estimate:
        """Return the share of distances that are less than the neighbour's own.

        What is drawn again for its interval are the points' units, or those of their neighbours where these
        are fewer: points with one neighbour share its distance.
        """
        values = np.where(np.isfinite(own), distances < own, np.nan) * 1.0
        neighbours = [str(unit) for unit in self.units[rows].tolist()]
        found = share_of(values, min(units, neighbours, key=lambda each: len(set(each))), self.bootstrap)
        return found if self.count >= FEWEST_TRAIN else Estimate(found.value)


def _joined(parts: Sequence[Nearest]) -> Nearest:
    return Nearest(
        np.concatenate([part.rows for part in parts]), np.concatenate([part.distances for part in parts])
    )
