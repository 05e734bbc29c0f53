"""What a page remembers over a reload, read from the browser with nothing believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.choices import FieldChoice, Slider

__all__ = ["Column", "Filters", "PageState", "Shape", "kept_rows"]

Filters = dict[str, list[Any]]
"""Field -> names that are shown, or [low, high] of numbers."""

Column = tuple[Sequence[str] | None, npt.NDArray[Any]]
"""Names and each point's place in them, or None and each point's number."""

_MOST_NAMES = 1000  # of a filter


@dataclass(frozen=True)
class Shape:
    """What a page of these points may say.

    Attributes
    ----------
    count
        Number of points.
    methods
        Sliders of each method.
    fields
        What points can be coloured and filtered by.
    """

    count: int
    methods: Mapping[str, tuple[Slider, ...]]
    fields: tuple[FieldChoice, ...]

    def kind(self, name: object) -> str | None:
        """Return the kind of a field, None where there is no such field."""
        return next((each.kind for each in self.fields if each.name == name), None)


@dataclass(frozen=True)
class PageState:
    """Choices of one page, all of them possible.

    Attributes
    ----------
    method, dims
        Of the projection.
    parameters
        Of every method: a person who changes the method and comes back finds what was set.
    colour
        Field.
    filters
        By field: names that are shown, or the two ends of a range.
    picked
        One or two rows.
    lasso
        Rows of the selection.
    """

    method: str
    dims: int
    parameters: Mapping[str, Mapping[str, float]]
    colour: str
    filters: Filters = field(default_factory=dict)
    picked: tuple[int, ...] = ()
    lasso: tuple[int, ...] = ()

    @classmethod
    def read(cls, told: Any, shape: Shape) -> PageState:
        """Return a state from what a browser kept; what is missing, wrong or of other points is left out.

        Examples
        --------
        >>> shape = Shape(5, {"pca": ()}, (FieldChoice("group", "category", 2),))
        >>> state = PageState.read({"method": "magic", "picked": [1, 99]}, shape)
        >>> state.method, state.colour, state.picked
        ('pca', 'group', (1,))
        """
        told = told if isinstance(told, dict) else {}
        first = next(iter(shape.methods))
        colours = [each.name for each in shape.fields]
        return cls(
            method=told["method"] if told.get("method") in [*shape.methods] else first,
            dims=3 if told.get("dims") == 3 else 2,
            parameters=_parameters(told.get("parameters"), shape.methods),
            colour=told["colour"] if told.get("colour") in colours else colours[0],
            filters=_filters(told.get("filters"), shape),
            picked=_rows(told.get("picked"), shape.count)[:2],
            lasso=_rows(told.get("lasso"), shape.count),
        )


def kept_rows(filters: Filters, columns: Mapping[str, Column], *, count: int) -> npt.NDArray[np.bool_]:
    """Return which points pass all filters, (N,).

    Parameters
    ----------
    filters
        By field.
    columns
        Of the filters' fields at least.
    count
        Number of points.

    Examples
    --------
    >>> columns = {"site": (("a", "b"), np.array([0, 1, 1])), "age": (None, np.array([1.0, 2.0, np.nan]))}
    >>> kept_rows({"site": ["b"], "age": [0, 5]}, columns, count=3).tolist()
    [False, True, False]
    """
    keep = np.ones(count, bool)
    for field_name, wanted in filters.items():
        names, values = columns[field_name]
        if names is None:
            keep &= (values >= wanted[0]) & (values <= wanted[1])
        else:
            shown = set(wanted)
            keep &= np.array([name in shown for name in names], bool)[values]
    return keep


def _parameters(told: Any, methods: Mapping[str, tuple[Slider, ...]]) -> Mapping[str, Mapping[str, float]]:
    told = told if isinstance(told, dict) else {}
    found = {}
    for method, sliders in methods.items():
        mine = told.get(method) if isinstance(told.get(method), dict) else {}
        found[method] = {each.name: _value(mine.get(each.name), each) for each in sliders}
    return found


def _value(told: Any, slider: Slider) -> float:
    return slider.nearest(told) if _is_number(told) and slider.low <= told <= slider.high else slider.default


def _filters(told: Any, shape: Shape) -> Filters:
    told = told if isinstance(told, dict) else {}
    found: Filters = {}
    for name, wanted in told.items():
        kind = shape.kind(name)
        if kind is None or not isinstance(wanted, list) or not wanted:
            continue
        if kind == "category" and all(isinstance(each, str) for each in wanted):
            found[name] = wanted[:_MOST_NAMES]
        if kind == "number" and len(wanted) == 2 and all(_is_number(each) for each in wanted):
            found[name] = sorted(wanted)
    return found


def _rows(told: Any, count: int) -> tuple[int, ...]:
    if not isinstance(told, list):
        return ()
    whole = [each for each in told if isinstance(each, int) and not isinstance(each, bool)]
    return tuple(dict.fromkeys(row for row in whole if 0 <= row < count))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
