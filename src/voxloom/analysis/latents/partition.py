"""Which group each point is of, and which unit: the image, or the patient.

Shapes: N points, G groups, U units, C cells (what a patient has in a group).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.points import Labels, Points
from voxloom.seeding import rng_for

__all__ = ["Partition", "unit_codes"]

_NOBODY = "(none)"  # as `Points.labels` has it
_CELLS_BYTES = 1 << 29  # of centroids of cells

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Partition:
    """Points in groups and units.

    Attributes
    ----------
    names
        (G,) of the groups.
    groups
        (N,) number of each point's group, -1 where the group was left out.
    units
        (N,) number of its unit.
    patients
        (N,) its patient; None where no patient was named.
    notices
        What was left out.
    """

    names: tuple[str, ...]
    groups: Codes
    units: Codes
    patients: Labels | None
    notices: tuple[str, ...]

    @classmethod
    def of(cls, points: Points, by: str, *, patient: str | None, most: int) -> Partition:
        """Return the groups by a label, at most the `most` largest, and the units by a patient's."""
        labels = points.labels(by)
        found, first, codes, counts = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first) if by == "group" else np.arange(len(found))
        notices = []
        if len(found) > most:
            largest = np.sort(np.argsort(-counts[order], kind="stable")[:most])
            notices.append(f"{len(found)} groups by {by}: the {most} largest are measured.")
            order = order[largest]
        number = np.full(len(found), -1)
        number[order] = np.arange(len(order))
        patients = None if patient is None else points.labels(patient)
        if patients is not None and (lost := int((patients == _NOBODY).sum())):
            notices.append(f"{lost} points without a patient ({patient}): each counts as one of its own.")
        names = tuple(str(name) for name in found[order])
        return cls(names, number[codes], unit_codes(patients, len(points)), patients, tuple(notices))

    @cached_property
    def counts(self) -> Codes:
        """(G,) points of each group."""
        return np.bincount(self.groups[self.groups >= 0], minlength=len(self.names))

    @property
    def unit_kind(self) -> str:
        """What was sampled independently, in words."""
        return "images" if self.patients is None else "patients"

    @cached_property
    def kept(self) -> Codes:
        """Rows of the points that are in a group."""
        return np.flatnonzero(self.groups >= 0)

    def unit_counts(self) -> Codes:
        """Return how many units each group has, (G,)."""
        pairs = np.unique(np.stack([self.groups[self.kept], self.units[self.kept]]), axis=1)
        return np.bincount(pairs[0], minlength=len(self.names))

    def unit_names(self, rows: Codes) -> Sequence[str]:
        """Return a name for the unit of each of some points."""
        return [str(unit) for unit in self.units[rows].tolist()]

    def shared(self, dim: int, seed: int) -> tuple[Codes, list[dict[str, int]], str]:
        """Return the cells of patients that are in several groups.

        Parameters
        ----------
        dim
            Numbers of a point: of long ones fewer cells fit into memory, and patients are drawn.
        seed
            Of that draw.

        Returns
        -------
        codes
            (N,) number of each point's cell, -1 of none.
        of_group
            For each group the cell of each patient in it.
        notice
            That patients were drawn, or empty.
        """
        codes = np.full(len(self.groups), -1)
        of_group: list[dict[str, int]] = [{} for _ in self.names]
        if self.patients is None:
            return codes, of_group, ""
        rows = self.kept[self.patients[self.kept] != _NOBODY]
        cells, place = np.unique(np.stack([self.units[rows], self.groups[rows]]), axis=1, return_inverse=True)
        units, among = np.unique(cells[0], return_counts=True)
        several = units[among > 1]
        chosen, notice = _fitting(several, among[among > 1], dim, seed)
        usable = np.isin(cells[0], chosen)
        number = np.where(usable, np.cumsum(usable) - 1, -1)
        codes[rows] = number[place.reshape(-1)]
        _, first = np.unique(self.units, return_index=True)
        for (unit, group), cell in zip(cells.T.tolist(), number.tolist(), strict=True):
            if cell >= 0:
                of_group[group][str(self.patients[first[unit]])] = cell
        return codes, of_group, notice


def unit_codes(patients: Labels | None, count: int) -> Codes:
    """Return a number for the unit of each point, (N,) from 0: its patient, or itself where there is none.

    Examples
    --------
    >>> unit_codes(np.array(["p1", "(none)", "p1", "(none)"]), 4).tolist()
    [2, 0, 2, 1]
    >>> unit_codes(None, 2).tolist()
    [0, 1]
    """
    if patients is None:
        return np.arange(count)
    alone = patients == _NOBODY
    _, codes = np.unique(patients, return_inverse=True)
    _, dense = np.unique(np.where(alone, np.arange(count) - count, codes), return_inverse=True)
    return dense.astype(np.int64)


def _fitting(several: Codes, cells: Codes, dim: int, seed: int) -> tuple[Codes, str]:
    """Return as many patients as have room for their centroids, and a notice where that is not all."""
    room = _CELLS_BYTES // (8 * dim)
    if cells.sum() <= room:
        return several, ""
    order = rng_for(seed, "patients").permutation(len(several))
    count = int((np.cumsum(cells[order]) <= room).sum())
    return several[order[:count]], f"{len(several)} patients in several groups: {count} were drawn at random."
