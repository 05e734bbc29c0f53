"""What is drawn: points with their labels or values, as series of one mark each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.palette import MISSING_COLOUR, Mark, marks
from voxloom.errors import SchemaError

__all__ = ["MISSING", "MOST_ENTRIES", "Entry", "Scatter", "Series", "natural"]

MISSING = "(none)"
"""The label of a point that has none, as `Points.labels` gives it."""

MOST_ENTRIES = 120
"""Labels of a legend; with more there is none, and a table tells."""

_MANY = 2000  # points that cover each other
_LAYERS, _MOST_SERIES = 12, 120
_IN_SPACE = ("circle", "square", "diamond", "cross", "x")
"""Shapes that a page in three dimensions can draw, in the place of all. Five, so that 120 labels differ."""
_PLAIN = "#6b6b6b"  # of a legend's marks that stand for a group, whatever the colour

Strings = npt.NDArray[np.str_]
Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """Points of one label and one group.

    Attributes
    ----------
    label, group
        What they share; `label` is empty where colour tells a number.
    rows
        Which points, (n,).
    mark
        How they look; its colour has no meaning where colour tells a number.
    """

    label: str
    group: str
    rows: Rows
    mark: Mark


@dataclass(frozen=True)
class Entry:
    """One line of a legend: a label or a group, its mark, and the number of its points."""

    name: str
    mark: Mark
    count: int


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Points in a plane or in space, and what tells them apart.

    Attributes
    ----------
    coordinates
        (N, 2) or (N, 3).
    keys, groups
        Of each point.
    labels
        Of each point, told by colour; None where `values` are.
    values
        A number of each point, NaN where there is none, told by colour; None where `labels` are.
    colour_by
        What colour tells, for the legend: ``group``, ``patient``, ``age``.
    axes
        Names of the axes.
    title, subtitle
        Above the picture. The subtitle says how the coordinates were made.

    Raises
    ------
    SchemaError
        When the lengths differ, or there are neither labels nor values, or both.

    Examples
    --------
    >>> scatter = Scatter(
    ...     coordinates=np.eye(3)[:, :2], keys=["a", "b", "c"], groups=np.array(["ct", "mr", "mr"]),
    ...     labels=np.array(["ct", "mr", "mr"]), axes=("PC 1", "PC 2"),
    ... )
    >>> [(s.label, s.rows.tolist(), s.mark.is_filled) for s in scatter.series]
    [('ct', [0], True), ('mr', [1, 2], False)]
    """

    coordinates: Floats
    keys: Sequence[str]
    groups: Strings
    labels: Strings | None = None
    values: Floats | None = None
    colour_by: str = "group"
    axes: tuple[str, ...] = ("x", "y")
    title: str = ""
    subtitle: str = ""

    def __post_init__(self) -> None:
        told = self.labels if self.values is None else self.values
        if told is None or (self.labels is not None and self.values is not None):
            raise SchemaError("a scatter has labels or values: expected one of the two.")
        lengths = {len(self.coordinates), len(self.keys), len(self.groups), len(told)}
        if len(lengths) > 1 or self.coordinates.ndim != 2 or self.dims != len(self.axes):
            raise SchemaError(
                f"coordinates {self.coordinates.shape} of {len(self.keys)} keys, {len(self.groups)} groups, "
                f"{len(told)} labels or values and {len(self.axes)} axes: expected as many of each."
            )

    @property
    def dims(self) -> int:
        """2 or 3."""
        return int(self.coordinates.shape[1])

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """The groups in the order in which they come."""
        return tuple(dict.fromkeys(self.groups.tolist()))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The labels: groups as they come, all else in natural order, points without a label last."""
        if self.labels is None:
            return ()
        if self.is_by_group:
            return self.group_names
        return tuple(sorted(set(self.labels.tolist()), key=natural))

    @property
    def is_by_group(self) -> bool:
        """Whether colour tells the group, so that one mark tells all."""
        return self.labels is not None and np.array_equal(self.labels, self.groups)

    @cached_property
    def label_marks(self) -> dict[str, Mark]:
        """The mark of each label."""
        known = [name for name in self.label_names if name != MISSING]
        many_groups = len(self.group_names) > 1 and not self.is_by_group
        found = self._marks(len(known))
        plain = [replace(mark, is_filled=True) for mark in found] if many_groups else found
        missing = {MISSING: Mark(MISSING_COLOUR)} if MISSING in self.label_names else {}
        return dict(zip(known, plain, strict=True)) | missing

    @cached_property
    def group_marks(self) -> dict[str, Mark]:
        """How groups differ where colour tells something else: two by their filling, more by shape."""
        found = self._marks(len(self.group_names))
        return {
            name: replace(mark, colour=_PLAIN) for name, mark in zip(self.group_names, found, strict=True)
        }

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """All points, each in one series, empty ones left out."""
        labels = self.label_names or ("",)
        label_codes = np.zeros(len(self.groups), np.int64)
        if self.labels is not None:
            label_codes = _codes(self.labels, self.label_names)
        codes = label_codes * len(self.group_names) + _codes(self.groups, self.group_names)
        order = np.argsort(codes, kind="stable")
        found, starts = np.unique(codes[order], return_index=True)
        names = [divmod(code, len(self.group_names)) for code in found.tolist()]
        return tuple(
            Series(labels[label], self.group_names[group], rows, self._mark(label, group))
            for (label, group), rows in zip(names, np.split(order, starts[1:]), strict=True)
        )

    @cached_property
    def drawn(self) -> tuple[Series, ...]:
        """The series in the order in which they are drawn.

        Where a legend has no room for the labels there is one for each mark, without a label. Of many
        points each series comes in several layers, so that the last does not cover all others.
        """
        found = self.series if len(self.label_names) <= MOST_ENTRIES else _by_mark(self.series)
        layers = min(_LAYERS, _MOST_SERIES // max(1, len(found)))
        if len(self.groups) <= _MANY or len(found) == 1 or layers < 2:
            return found
        return tuple(
            replace(series, rows=series.rows[layer::layers])
            for layer in range(layers)
            for series in found
            if len(series.rows) > layer
        )

    def _marks(self, count: int) -> tuple[Mark, ...]:
        found = marks(count)
        if self.dims == 2 or count <= 2:
            return found
        shapes = _IN_SPACE
        return tuple(
            replace(mark, shape=shapes[i % len(shapes)], is_filled=True) for i, mark in enumerate(found)
        )

    def _mark(self, label: int, group: int) -> Mark:
        of_group = self.group_marks[self.group_names[group]]
        if self.labels is None:
            return of_group
        mark = self.label_marks[self.label_names[label]]
        if self.is_by_group or len(self.group_names) == 1:
            return mark
        if len(self.group_names) == 2:
            return replace(mark, is_filled=of_group.is_filled)
        return replace(of_group, colour=mark.colour)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of points of each label."""
        return dict(Counter([] if self.labels is None else self.labels.tolist()))

    @cached_property
    def label_entries(self) -> tuple[Entry, ...]:
        """The legend of labels."""
        by_shape = len(self.group_names) > 2 and not self.is_by_group
        return tuple(
            Entry(name, Mark(mark.colour) if by_shape else mark, self.counts[name])
            for name, mark in self.label_marks.items()
        )

    @cached_property
    def group_entries(self) -> tuple[Entry, ...]:
        """The legend of groups, where colour tells something else and there are several."""
        if self.is_by_group or len(self.group_names) == 1:
            return ()
        return tuple(
            Entry(name, mark, int((self.groups == name).sum())) for name, mark in self.group_marks.items()
        )


def _by_mark(found: Sequence[Series]) -> tuple[Series, ...]:
    rows: dict[Mark, list[Rows]] = {}
    for series in found:
        rows.setdefault(series.mark, []).append(series.rows)
    return tuple(Series("", "", np.sort(np.concatenate(each)), mark) for mark, each in rows.items())


def _codes(values: Strings, names: Sequence[str]) -> Rows:
    """Return the place of each value among the names, (N,)."""
    known, codes = np.unique(values, return_inverse=True)
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[name] for name in known.tolist()], np.int64)[codes]


def natural(name: str) -> tuple[bool, list[tuple[int, float, str]]]:
    """Return a sorting key in which ``p2`` comes before ``p10``, and points without a label last.

    Examples
    --------
    >>> sorted(["p10", MISSING, "p2", "3"], key=natural)
    ['3', 'p2', 'p10', '(none)']
    """
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?)", name)
    return name == MISSING, [(0, float(p), "") if p[:1].isdigit() else (1, 0.0, p) for p in parts if p]
