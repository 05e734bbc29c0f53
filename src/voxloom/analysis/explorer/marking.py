"""Which mark each name and group has: the same as in the figures of ``voxloom analyze``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from voxloom.analysis.latents.palette import Mark
from voxloom.analysis.latents.series import Scatter

__all__ = ["Marking", "marking_of"]


@dataclass(frozen=True)
class Marking:
    """Marks of points by name and group.

    Attributes
    ----------
    marks
        Of (name, group); the name is empty where colour tells a number.
    names
        In the legend, by name.
    groups
        In the legend, by group; empty where all groups look alike, or colour tells them.
    """

    marks: Mapping[tuple[str, str], Mark]
    names: Mapping[str, Mark]
    groups: Mapping[str, Mark]


@lru_cache(maxsize=16)
def marking_of(names: tuple[str, ...] | None, groups: tuple[str, ...], *, is_by_group: bool) -> Marking:
    """Return the marks of names and groups.

    Parameters
    ----------
    names
        What colour tells; None where that is a number.
    groups
        In the order of the points.
    is_by_group
        Whether the names are the groups.

    Examples
    --------
    >>> found = marking_of(("p1", "p2"), ("ct", "mr"), is_by_group=False)
    >>> [(mark.colour, mark.is_filled) for mark in found.marks.values()]
    [('#0072B2', True), ('#0072B2', False), ('#E69F00', True), ('#E69F00', False)]
    """
    labels: Sequence[str] = groups if is_by_group else names if names is not None else ("",)
    pairs = [(name, group) for group in groups for name in labels if not is_by_group or name == group]
    kinds = np.array([name for name, _ in pairs])
    # One point of each kind: what it looks like there is what it looks like here.
    drawn = Scatter(
        coordinates=np.zeros((len(pairs), 2)),
        keys=kinds.tolist(),
        groups=np.array([group for _, group in pairs]),
        labels=kinds if names is not None else None,
        values=np.zeros(len(pairs)) if names is None else None,
    )
    marks = {(series.label, series.group): series.mark for series in drawn.series}
    return Marking(
        marks,
        {entry.name: entry.mark for entry in drawn.label_entries},
        {entry.name: entry.mark for entry in drawn.group_entries},
    )
