"""What is measured of groups of points, piece by piece.

Centroids and deviations are those of all points on full vectors, read once in blocks. What compares points
each with each takes a drawn sample of a stated size where there are more. Shapes: N points, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.estimates import FEWEST_UNITS, Estimate, mean_of, share_of
from voxloom.analysis.latents.frechet import MAX_DIMS
from voxloom.analysis.latents.groups import GroupRow, PairRow
from voxloom.analysis.latents.memorisation import MemorisationRow, Training
from voxloom.analysis.latents.moments import Moments, moments
from voxloom.analysis.latents.nearness import FEWEST_FOR_PERCENTILE, FEWEST_TRAIN
from voxloom.analysis.latents.neighbourhoods import (
    ProjectionQuality,
    continuity,
    neighbours_kept,
    ranks,
    same_group,
    silhouette,
    trustworthiness,
)
from voxloom.analysis.latents.pairs import Compared
from voxloom.analysis.latents.partition import Partition, unit_codes
from voxloom.analysis.latents.patients import PatientCells, PatientNumbers, PatientRow
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.resampling import Subset, balanced
from voxloom.analysis.latents.statistics_options import Placed, StatisticsOptions
from voxloom.analysis.latents.two_samples import holm
from voxloom.errors import ConfigError
from voxloom.seeding import rng_for

__all__ = ["Measured"]

_FEW_UNITS = 10  # images or patients below which an interval is too narrow
_FEW_TRAIN = 50  # training images or patients below which an interval is too narrow
_LEVEL = 0.05  # of a test, by custom
_TOLD = 5  # groups that a notice names

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """Points, and what is measured of them when it is asked for."""

    points: Points
    partition: Partition
    projected: Placed | None
    options: StatisticsOptions
    notices: list[str] = field(default_factory=list)

    @cached_property
    def plane(self) -> Points | None:
        """The projection as points."""
        return None if self.projected is None else Points.of_arrays({"plane": self.projected.coordinates})

    @cached_property
    def compared(self) -> Compared:
        """Points that are compared each with each: as many of each group as of the others."""
        rows = balanced(self.partition.groups, self.options.sample, self.options.seed)
        subset = Subset.of(rows, self.partition.groups, self.partition.units)
        squares = squared_distances(self.points.vectors(subset.rows))
        options = self.options
        return Compared(subset, squares, options.bootstrap, options.permutations, options.seed)

    @cached_property
    def drawn(self) -> Compared:
        """Points for what depends on how many there are of each group: drawn from all alike."""
        kept, limit = self.partition.kept, self.options.sample
        if len(kept) <= limit:
            return self.compared
        self.notices.append(f"{limit} of {len(kept)} points were drawn for what compares each with each.")
        rows = rng_for(self.options.seed, "neighbours").choice(kept, limit, replace=False)
        subset = Subset.of(np.sort(rows), self.partition.groups, self.partition.units)
        squares = squared_distances(self.points.vectors(subset.rows))
        return Compared(subset, squares, self.options.bootstrap, self.options.permutations, self.options.seed)

    @cached_property
    def shared(self) -> tuple[Codes, list[dict[str, int]]]:
        """Cells of the patients in several groups."""
        codes, of_group, notice = self.partition.shared(self.points.dim, self.options.seed)
        self.notices.extend([notice] if notice else [])
        return codes, of_group

    @cached_property
    def moments(self) -> Moments:
        """Centroids and deviations in the latent space."""
        return moments(self.points, self.partition.groups, self.shared[0])

    @cached_property
    def plane_moments(self) -> Moments | None:
        """Centroids and deviations in the projection."""
        if self.plane is None:
            return None
        return moments(self.plane, self.partition.groups, self.shared[0])

    @property
    def neighbours(self) -> int:
        """How many neighbours of a point are looked at: fewer than half of all."""
        return min(self.options.neighbours, (len(self.drawn.subset) - 1) // 2)

    @cached_property
    def places(self) -> npt.NDArray[np.int32]:
        """Ranks of the drawn points."""
        return ranks(self.drawn.squares)

    @cached_property
    def same_group(self) -> Matrix:
        """Share of the neighbours of each drawn point that are of its group."""
        if self.neighbours < 1:
            self.notices.append("too few points for neighbours: expected at least 3.")
            return np.full(len(self.drawn.subset), math.nan)
        return same_group(self.places, self.drawn.subset.groups, self.neighbours)

    def silhouettes(self, compared: Compared) -> Matrix:
        """Return the silhouette of each compared point."""
        return silhouette(np.sqrt(compared.squares), compared.subset.groups)

    def mean(self, values: Matrix, compared: Compared, group: int | None = None) -> Estimate:
        """Return the mean of compared points, or those of a group, with its interval."""
        chosen = slice(None) if group is None else compared.subset.groups == group
        names = self.partition.unit_names(compared.subset.rows[chosen])
        return mean_of(values[chosen], names, self.options.bootstrap)

    def share(self, values: Matrix, group: int | None = None) -> Estimate:
        """Return the mean of shares of the drawn points, or those of a group, with its interval."""
        chosen = slice(None) if group is None else self.drawn.subset.groups == group
        names = self.partition.unit_names(self.drawn.subset.rows[chosen])
        return share_of(values[chosen], names, self.options.bootstrap)

    def groups(self) -> tuple[GroupRow, ...]:
        """Return a row for each group."""
        units, spreads = self.partition.unit_counts(), self.compared.spreads()
        self._tell_small(units)
        silhouettes = self.silhouettes(self.compared)
        chance = np.bincount(self.drawn.subset.groups, minlength=len(units)) - 1.0
        chance = np.where(chance >= 0, chance, np.nan) / max(1, len(self.drawn.subset) - 1)
        plane = self.plane_moments
        return tuple(
            GroupRow(
                group=name,
                points=int(self.partition.counts[i]),
                patients=None if self.partition.patients is None else int(units[i]),
                spread=spreads[i],
                std_mean=float(self.moments.std_mean[i]),
                plane_std_mean=math.nan if plane is None else float(plane.std_mean[i]),
                silhouette=self.mean(silhouettes, self.compared, i)
                if self.partition.counts[i] > 1
                else Estimate(),
                same_group_neighbours=self.share(self.same_group, i),
                same_group_by_chance=float(chance[i]),
            )
            for i, name in enumerate(self.partition.names)
        )

    def _tell_small(self, units: Codes) -> None:
        what = self.partition.unit_kind
        for most, told in [
            (FEWEST_UNITS, "no interval"),
            (_FEW_UNITS, "intervals are narrower than they should be"),
        ]:
            least = 0 if most == FEWEST_UNITS else FEWEST_UNITS
            few = [n for n, u in zip(self.partition.names, units, strict=True) if least <= u < most]
            if few:
                named = ", ".join(few[:_TOLD]) + (f" and {len(few) - _TOLD} more" if len(few) > _TOLD else "")
                self.notices.append(f"fewer than {most} {what} in {named}: {told}.")

    def pairs(self) -> tuple[tuple[PairRow, ...], tuple[PatientRow, ...]]:
        """Return a row for each pair of groups, and one for each patient that is in both."""
        cells = self._patient_cells()
        plane = self._plane_distances()
        rows, patients = [], []
        for a, b, found in self.compared.pairs():
            followed: list[PatientRow] = []
            told = PatientNumbers()
            if cells:
                followed, told = cells.follow(a, b, self.partition.names, self.options.bootstrap)
            gap = self.moments.centroids[a] - self.moments.centroids[b]
            rows.append(
                PairRow(
                    a=self.partition.names[a],
                    b=self.partition.names[b],
                    centroid_distance=float(np.linalg.norm(gap)),
                    plane_centroid_distance=float(plane[0][a, b]),
                    plane_cross_distance=float(plane[1][a, b]),
                    mmd_p_holm=math.nan,
                    **vars(found),
                    **({**vars(told), "shared_patients": told.shared_patients if cells else None}),
                )
            )
            patients += followed
        self._tell_frechet(rows)
        self._tell_permutations(sum(not math.isnan(row.mmd_p) for row in rows))
        adjusted = holm([row.mmd_p for row in rows])
        rows = [replace(row, mmd_p_holm=p) for row, p in zip(rows, adjusted, strict=True)]
        return tuple(rows), tuple(patients)

    def _patient_cells(self) -> PatientCells | None:
        if self.partition.patients is None:
            return None
        codes, of_group = self.shared
        plane = None if self.plane_moments is None else self.plane_moments.cells
        return PatientCells(of_group, np.bincount(codes[codes >= 0]), self.moments.cells, plane)

    def _plane_distances(self) -> tuple[Matrix, Matrix]:
        """Return distances of centroids (all points) and mean cross distances (compared), (G, G) each."""
        count = len(self.partition.names)
        if self.plane is None or self.plane_moments is None:
            return np.full((count, count), math.nan), np.full((count, count), math.nan)
        subset = self.compared.subset
        member = (subset.groups[:, None] == np.arange(count)).astype(np.float64)
        distances = np.sqrt(squared_distances(self.plane.vectors(subset.rows)))
        crossed = member.T @ distances @ member / np.outer(member.sum(0), member.sum(0))
        return np.sqrt(squared_distances(self.plane_moments.centroids)), crossed

    def _tell_frechet(self, rows: Sequence[PairRow]) -> None:
        dims = sorted({row.frechet_dims for row in rows if row.frechet_dims})
        if dims and dims[0] < self.points.dim:
            told = f"{dims[0]}" if len(dims) == 1 else f"{dims[0]} to {dims[-1]}"
            self.notices.append(
                f"Frechet distances are measured in {told} of {self.points.dim} dimensions: principal "
                f"components, at most {MAX_DIMS} and half as many as the smaller group has "
                f"{self.partition.unit_kind}. Those of different frechet_dims cannot be compared."
            )
        if rows and not self.compared.frechet_draws:
            self.notices.append(f"{len(rows)} pairs: too many for intervals of the Frechet distance.")

    def _tell_permutations(self, tests: int) -> None:
        least = tests / (self.options.permutations + 1)
        if least > _LEVEL:
            self.notices.append(
                f"{tests} pairs and {self.options.permutations} permutations: no p-value adjusted for the "
                f"pairs can be below {min(least, 1.0):.2g}. Take StatisticsOptions(permutations="
                f"{math.ceil(tests / _LEVEL)}) or more, or compare fewer groups."
            )

    def projection(self) -> ProjectionQuality | None:
        """Return what the projection kept of the neighbourhoods."""
        if self.plane is None or self.neighbours < 1:
            return None
        k, n = self.neighbours, len(self.drawn.subset)
        plane = ranks(squared_distances(self.plane.vectors(self.drawn.subset.rows)))
        return ProjectionQuality(
            neighbours=k,
            points=n,
            trustworthiness=self.mean(trustworthiness(self.places, plane, k), self.drawn),
            continuity=self.mean(continuity(self.places, plane, k), self.drawn),
            neighbours_kept=self.share(neighbours_kept(self.places, plane, k)),
            neighbours_kept_by_chance=k / (n - 1),
        )

    def memorisation(self, train: Points, patient: str | None) -> tuple[MemorisationRow, ...]:
        """Return how near each group lies to the training data."""
        training = Training(train, self._train_units(train, patient), self.options.bootstrap)
        subset, options = self.compared.subset, self.options
        seen = training.see(self.points, subset.rows, limit=options.sample, seed=options.seed)
        if len(train) > options.sample:
            self.notices.append(
                f"{options.sample} of {len(train)} training points were drawn for their own nearest; "
                "neighbours are looked for among all."
            )
        self._tell_few_train(training.count)
        rows = []
        for i, name in enumerate(self.partition.names):
            chosen = subset.groups == i
            keys = [self.points.keys[row] for row in subset.rows[chosen].tolist()]
            units = self.partition.unit_names(subset.rows[chosen])
            rows.append(training.judge(name, seen, chosen, keys=keys, units=units))
            if rows[-1].median_distance == 0:
                self.notices.append(
                    f"{name} lies at distance 0 of the training data: is it the training data?"
                )
        return tuple(rows)

    def _tell_few_train(self, units: int) -> None:
        for most, told in [
            (FEWEST_TRAIN, "no intervals beside them"),
            (_FEW_TRAIN, "intervals beside them are narrower than they should be"),
            (FEWEST_FOR_PERCENTILE, "too few for a first percentile"),
        ]:
            if units < most:
                self.notices.append(f"fewer than {most} training {self.partition.unit_kind}: {told}.")

    def _train_units(self, train: Points, patient: str | None) -> Codes:
        if patient is None:
            return unit_codes(None, len(train))
        try:
            return unit_codes(train.labels(patient), len(train))
        except ConfigError as error:
            self.notices.append(f"training points are taken for one patient each: {error}")
            return unit_codes(None, len(train))

    def facts(self, by: str, patient: str | None, train: int | None) -> dict[str, Any]:
        """Return how all of it was found."""
        sample = f"{len(self.compared.subset)} points, as many of each group as of the others"
        drawn = f"{len(self.drawn.subset)} points, drawn from all"
        return {
            "by": by,
            "patient": patient,
            "intervals_over": self.partition.unit_kind,
            "points": len(self.points),
            "dimensions": self.points.dim,
            "training_points": train,
            "neighbours": self.neighbours,
            "mmd_bandwidth": self.compared.bandwidth,
            "frechet_resamples": self.compared.frechet_draws,
            "options": self.options.model_dump(mode="json"),
            "measured_on": {
                "centroid_distance, std_mean, patients": "all points, full vectors",
                "spread, centroid_distance_corrected, cross_distance, mmd2, silhouette of a group": (
                    f"{sample}; full vectors"
                ),
                "frechet": f"{sample}; principal components of them",
                "silhouette of all, neighbours": f"{drawn}; full vectors",
                "projection": f"{drawn}; full vectors and the projection",
                "memorisation": f"{sample}; full vectors; nearest of all training points",
            },
        }
