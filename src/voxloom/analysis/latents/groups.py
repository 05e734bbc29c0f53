"""What is found of groups of points: rows of tables, and the files that hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxloom import __version__
from voxloom.analysis.latents.estimates import Estimate, csv_text, plain, table_text
from voxloom.analysis.latents.memorisation import MemorisationRow
from voxloom.analysis.latents.neighbourhoods import ProjectionQuality
from voxloom.analysis.latents.patients import PatientRow
from voxloom.atomic import replacing, write_json

__all__ = ["GroupRow", "GroupStatistics", "PairRow"]

_SHOWN = 20  # rows of a table in a terminal; the files hold all


@dataclass(frozen=True)
class GroupRow:
    """One group, a line of ``groups.csv``.

    Attributes
    ----------
    group
        The group.
    points, patients
        How many it has; None where no patient was named.
    spread
        Root of its total variance: how far a point typically lies from the centroid, in the unit of a
        distance (`voxloom.analysis.latents.pairs.Compared.spreads`).
    std_mean
        Standard deviation of each number of the vectors over the group (divided by n), their mean.
    plane_std_mean
        The same in the projection.
    silhouette
        Mean of its points, from -1 to 1.
    same_group_neighbours
        Share of its points' nearest neighbours that are of the group.
    same_group_by_chance
        The same if the groups were mixed at random.
    """

    group: str
    points: int
    patients: int | None
    spread: Estimate
    std_mean: float
    plane_std_mean: float
    silhouette: Estimate
    same_group_neighbours: Estimate
    same_group_by_chance: float


@dataclass(frozen=True)
class PairRow:
    """Two groups, a line of ``pairs.csv``.

    Attributes
    ----------
    a, b
        The groups.
    centroid_distance
        Of their centroids, all points. It grows with the spread of small groups even where the
        populations are the same.
    centroid_distance_corrected
        The same without what comes of the groups being samples: the root of an unbiased estimate of the
        squared distance, 0 where that is negative.
    cross_distance
        Mean distance of a point of one to a point of the other.
    plane_centroid_distance, plane_cross_distance
        The same in the projection.
    mmd2, mmd_p
        Squared maximum mean discrepancy, unbiased, and the p-value of its permutation test.
    mmd_p_holm
        That p-value, adjusted for the number of pairs.
    frechet_squared
        Squared Frechet distance, as the FID has it.
    frechet_corrected
        The same without the bias of small samples, as resampling shows it.
    frechet_dims
        Principal components that it was measured in.
    shared_patients
        Patients in both; None where no patient was named.
    patient_distance
        Mean distance of a patient's two centroids.
    patient_distance_others
        Mean distance of centroids of two different patients, one in each group.
    patient_matched
        Share of the shared patients of a whose nearest of b is the same patient. One of several that are
        equally near counts as a share of one.
    patient_matched_by_chance
        The same if the patients of b were shuffled.
    """

    a: str
    b: str
    centroid_distance: float
    centroid_distance_corrected: Estimate
    cross_distance: Estimate
    plane_centroid_distance: float
    plane_cross_distance: float
    mmd2: Estimate
    mmd_p: float
    mmd_p_holm: float
    frechet_squared: float
    frechet_corrected: Estimate
    frechet_dims: int
    shared_patients: int | None
    patient_distance: Estimate
    patient_distance_others: float
    patient_matched: Estimate
    patient_matched_by_chance: float


@dataclass(frozen=True)
class GroupStatistics:
    """What `group_statistics` found; ``save`` writes it, ``table`` tells it.

    Attributes
    ----------
    groups, pairs, patients, memorisation
        Rows of the tables; the patients of each pair are sorted by distance, the nearest first.
    projection
        What the projection kept; None where none was given.
    silhouette, same_group_neighbours
        Of all points.
    facts
        How it was found: settings, and for each number which points in which space.
    notices
        What the reader should know: samples that were drawn, groups that are too small.
    """

    groups: tuple[GroupRow, ...]
    pairs: tuple[PairRow, ...]
    patients: tuple[PatientRow, ...]
    memorisation: tuple[MemorisationRow, ...]
    projection: ProjectionQuality | None
    silhouette: Estimate
    same_group_neighbours: Estimate
    facts: Mapping[str, Any]
    notices: tuple[str, ...]

    def save(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the tables as CSV and all of it as ``statistics.json``; return the paths.

        Each file is whole or not there; the JSON is written last. What is not a finite number is empty
        in the CSV and null in the JSON.

        Raises
        ------
        SaveError
            When a file could not be written.
        """
        folder = Path(folder)
        tables: dict[str, tuple[Sequence[Any], type]] = {
            "groups": (self.groups, GroupRow),
            "pairs": (self.pairs, PairRow),
            "patients": (self.patients, PatientRow),
            "memorisation": (self.memorisation, MemorisationRow),
        }
        paths = []
        for name, (rows, kind) in tables.items():
            paths.append(folder / f"{name}.csv")
            with replacing(paths[-1]) as file:
                file.write(csv_text(rows, kind).encode())
        write_json(folder / "statistics.json", self.to_dict())
        return (*paths, folder / "statistics.json")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it, but the patients, who are many and stand in their CSV."""
        found = plain(self)
        del found["patients"]
        return {"kind": "group_statistics", "version": 1, "producer": f"voxloom {__version__}", **found}

    def table(self) -> str:
        """Return the numbers as text for a terminal; of many rows the first."""
        parts = [self._groups_text(), self._pairs_text(), self._whole_text(), self._memorisation_text()]
        parts.append("\n".join(f"note: {notice}" for notice in self.notices))
        return "\n\n".join(part for part in parts if part)

    def _groups_text(self) -> str:
        head = ["group", "points", "spread", "silhouette", "same-group neighbours", "by chance"]
        rows = [
            [r.group, r.points, r.spread, r.silhouette, r.same_group_neighbours, r.same_group_by_chance]
            for r in self.groups
        ]
        return _shortened(head, rows, "groups.csv")

    def _pairs_text(self) -> str:
        several = len(self.pairs) > 1
        p = ["p", "p adjusted"] if several else ["p"]
        head = ["pair", "centroids", "corrected", "cross distance", "MMD²", *p, "Frechet²", "dims"]
        rows = [
            [
                *(f"{r.a} | {r.b}", r.centroid_distance, r.centroid_distance_corrected, r.cross_distance),
                *(r.mmd2, r.mmd_p, *([r.mmd_p_holm] if several else [])),
                *(r.frechet_squared, r.frechet_dims or "-"),
            ]
            for r in self.pairs
        ]
        patients = [
            [
                *(f"{r.a} | {r.b}", r.shared_patients, r.patient_distance),
                *(r.patient_distance_others, r.patient_matched, r.patient_matched_by_chance),
            ]
            for r in self.pairs
            if r.shared_patients
        ]
        shared = ["pair", "shared patients", "own distance", "others' distance"]
        shared += ["nearest is own", "by chance"]
        texts = [_shortened(head, rows, "pairs.csv"), _shortened(shared, patients, "pairs.csv")]
        return "\n\n".join(text for text in texts if text)

    def _whole_text(self) -> str:
        rows: list[tuple[str, Estimate]] = []
        if not math.isnan(self.silhouette.value):
            rows.append(("silhouette", self.silhouette))
        if self.projection is not None:
            kept = self.projection
            rows.append(("trustworthiness of the projection", kept.trustworthiness))
            rows.append(("continuity of the projection", kept.continuity))
            rows.append((f"{kept.neighbours} nearest kept by the projection", kept.neighbours_kept))
        return table_text(["over all points", ""], rows) if rows else ""

    def _memorisation_text(self) -> str:
        head = [
            "group",
            "to nearest training",
            "ratio",
            "nearer than train",
            "below 1st percentile",
            "inauthentic",
            "of held-out training",
        ]
        rows = [
            [
                r.group,
                r.median_distance,
                r.ratio,
                r.nearer_than_train,
                r.below_first_percentile,
                r.inauthentic,
                r.inauthentic_of_train,
            ]
            for r in self.memorisation
        ]
        return _shortened(head, rows, "memorisation.csv")


def _shortened(head: Sequence[str], rows: Sequence[Sequence[object]], file: str) -> str:
    if not rows:
        return ""
    text = table_text(head, rows[:_SHOWN])
    return text if len(rows) <= _SHOWN else f"{text}\n... {len(rows) - _SHOWN} more in {file}"
