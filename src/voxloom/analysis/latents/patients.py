"""The same patient in two groups: how far apart, and whether another patient lies nearer.

Shapes: P patients that are in both groups, D numbers of a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.estimates import Estimate, mean_of, share_of
from voxloom.analysis.summary import Bootstrap

__all__ = ["PatientCells", "PatientNumbers", "PatientRow"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_NONE = Estimate()
_TIE = 1e-12  # of the largest squared distance


@dataclass(frozen=True)
class PatientRow:
    """A patient that is in both of two groups, a line of ``patients.csv``.

    Attributes
    ----------
    a, b
        The groups.
    patient
        The patient.
    points_a, points_b
        How many points there are in each.
    distance
        Of the patient's centroids in the latent space, on full vectors.
    plane_distance
        The same in the projection.
    nearer_others
        How many other patients of b lie nearer to this patient's points of a; 0 is a match if nobody
        else is equally near.
    equally_near
        How many other patients of b lie as near as the patient.
    """

    a: str
    b: str
    patient: str
    points_a: int
    points_b: int
    distance: float
    plane_distance: float
    nearer_others: int
    equally_near: int


@dataclass(frozen=True)
class PatientNumbers:
    """The patients of a pair of groups together; see `PairRow`."""

    shared_patients: int = 0
    patient_distance: Estimate = _NONE
    patient_distance_others: float = math.nan
    patient_matched: Estimate = _NONE
    patient_matched_by_chance: float = math.nan


@dataclass(frozen=True)
class PatientCells:
    """What each patient has in each group.

    Attributes
    ----------
    of_group
        For each group the cell of each patient in it.
    counts
        (C,) points of each cell.
    centroids
        (C, D) their means.
    plane
        (C, dims) their means in the projection, if there is one.
    """

    of_group: Sequence[Mapping[str, int]]
    counts: Codes
    centroids: Matrix
    plane: Matrix | None

    def follow(
        self, a: int, b: int, names: Sequence[str], bootstrap: Bootstrap
    ) -> tuple[list[PatientRow], PatientNumbers]:
        """Return the patients of two groups, the nearest to themselves first, and what they say together."""
        patients = sorted(self.of_group[a].keys() & self.of_group[b].keys())
        if not patients:
            return [], PatientNumbers()
        first, second = ([self.of_group[group][patient] for patient in patients] for group in (a, b))
        squares = squared_distances(self.centroids[first], self.centroids[second])
        gaps = np.linalg.norm(self.centroids[first] - self.centroids[second], axis=1)
        nearer, alike = _nearer(squares)
        flat = np.full(len(patients), math.nan)
        if self.plane is not None:
            flat = np.linalg.norm(self.plane[first] - self.plane[second], axis=1)
        rows = [
            PatientRow(
                a=names[a],
                b=names[b],
                patient=patients[i],
                points_a=int(self.counts[first[i]]),
                points_b=int(self.counts[second[i]]),
                distance=float(gaps[i]),
                plane_distance=float(flat[i]),
                nearer_others=int(nearer[i]),
                equally_near=int(alike[i]),
            )
            for i in np.argsort(gaps, kind="stable")
        ]
        return rows, _together(rows, squares, bootstrap)


def _nearer(squares: Matrix) -> tuple[Codes, Codes]:
    """Return how many other columns each row is nearer to than its own, and how many as near as that.

    Both sides of a tie differ by rounding.
    """
    own, slack = np.diag(squares)[:, None], _TIE * squares.max()
    return (squares < own - slack).sum(axis=1), (np.abs(squares - own) <= slack).sum(axis=1) - 1


def _together(rows: Sequence[PatientRow], squares: Matrix, bootstrap: Bootstrap) -> PatientNumbers:
    count, names = len(rows), [row.patient for row in rows]
    distance = mean_of(np.array([row.distance for row in rows]), names, bootstrap)
    if count < 2:
        return PatientNumbers(count, distance)
    every = np.sqrt(squares)
    # Of several that are equally near one would be drawn: a generator of one image finds nobody.
    matched = np.array([(row.nearer_others == 0) / (1 + row.equally_near) for row in rows])
    return PatientNumbers(
        shared_patients=count,
        patient_distance=distance,
        patient_distance_others=float((every.sum() - np.trace(every)) / (every.size - count)),
        patient_matched=share_of(matched, names, bootstrap),
        patient_matched_by_chance=1 / count,
    )
