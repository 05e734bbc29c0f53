"""Groups of points in numbers: how far apart, how wide, how mixed, and whether any was learnt by heart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.analysis.latents.estimates import Estimate
from voxloom.analysis.latents.points import Points
from voxloom.analysis.summary import Bootstrap
from voxloom.component import Component

__all__ = [
    "GroupRow",
    "GroupStatistics",
    "MemorisationRow",
    "PairRow",
    "PatientRow",
    "ProjectionQuality",
    "StatisticsOptions",
    "group_statistics",
]


class Placed(Protocol):
    """What is asked of a projection: a `voxloom.analysis.latents.Projected`."""

    @property
    def coordinates(self) -> npt.NDArray[np.float32]:
        """(N, dims), a row for each point."""


class StatisticsOptions(Component):
    """How the numbers of groups are found."""

    bootstrap: Bootstrap = Bootstrap(resamples=1000)
    """Confidence intervals. Its `group` finds the patient in the keys where no label is named for it."""
    sample: int = Field(default=2000, ge=4)
    """Most points that are compared each with each. Of more, this many are drawn, and it is said."""
    neighbours: int = Field(default=15, ge=1)
    """Neighbours of a point; fewer in small sets."""
    permutations: int = Field(default=999, ge=99)
    """How often the groups' labels are exchanged for the p-value of the MMD."""
    groups: int = Field(default=100, ge=2)
    """Most groups that are compared in pairs; of more, the largest."""
    seed: int = 42
    """Seed of the drawn points and of the permutations."""


@dataclass(frozen=True)
class GroupRow:
    """One group, a line of ``groups.csv``."""

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
    """Two groups, a line of ``pairs.csv``."""

    a: str
    b: str
    centroid_distance: float
    centroid_distance_corrected: Estimate
    cross_distance: Estimate
    plane_centroid_distance: float
    plane_cross_distance: float
    mmd2: Estimate
    mmd_p: float
    frechet_squared: Estimate
    frechet_dims: int
    shared_patients: int | None
    patient_distance: Estimate
    patient_distance_others: float
    patient_matched: Estimate


@dataclass(frozen=True)
class PatientRow:
    """A patient that is in both of two groups, a line of ``patients.csv``."""

    a: str
    b: str
    patient: str
    points_a: int
    points_b: int
    distance: float
    plane_distance: float
    nearer_others: int


@dataclass(frozen=True)
class MemorisationRow:
    """How near one group lies to the training data, a line of ``memorisation.csv``."""

    group: str
    points: int
    median_distance: float
    ratio: Estimate
    nearer_than_train: Estimate
    below_first_percentile: Estimate
    copies: Estimate
    nearest_distance: float
    nearest_key: str
    nearest_train_key: str


@dataclass(frozen=True)
class ProjectionQuality:
    """What a projection kept of the neighbourhoods of the latent space."""

    neighbours: int
    points: int
    trustworthiness: Estimate
    continuity: Estimate
    neighbours_kept: Estimate
    neighbours_kept_by_chance: float


@dataclass(frozen=True)
class GroupStatistics:
    """What `group_statistics` found; ``save`` writes it, ``table`` tells it."""

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
        """Write CSV files and ``statistics.json`` into a folder; return their paths."""
        raise NotImplementedError

    def table(self) -> str:
        """Return the numbers as text for a terminal."""
        raise NotImplementedError


def group_statistics(
    points: Points,
    by: str = "group",
    *,
    patient: str | None = None,
    projected: Placed | None = None,
    train: Points | None = None,
    options: StatisticsOptions | None = None,
) -> GroupStatistics:
    """Return what can be said in numbers of groups of points (`by` and `patient` as `Points.labels`)."""
    raise NotImplementedError
