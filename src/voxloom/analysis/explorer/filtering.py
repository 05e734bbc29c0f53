"""Filters: one a field, names or a range of numbers, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import ALL, Input, Output, State, ctx, html, no_update

from voxloom.analysis.explorer.placing import columns_of
from voxloom.analysis.explorer.session import Session
from voxloom.analysis.explorer.state import Filters

__all__ = ["Filtering", "ends_of", "filtered"]

_STEPS = 200  # of the slider of a range


@dataclass(frozen=True)
class Filtering:
    """Filters of a session's page."""

    session: Session

    def connect(self, app: Any) -> None:
        """Connect the filter's controls."""
        names, ends = ("options", "value"), ("min", "max", "step", "value")
        app.callback(
            Output("filter-names-box", "hidden"), *(Output("filter-names", each) for each in names),
            Output("filter-range-box", "hidden"), *(Output("filter-range", each) for each in ends),
            Input("filter-field", "value"), State("filters", "data"),
            prevent_initial_call=True,
        )(self.choose)  # fmt: skip
        app.callback(
            Output("filters", "data", allow_duplicate=True),
            Input("filter-names", "value"), Input("filter-range", "value"),
            State("filter-field", "value"), State("filters", "data"),
            prevent_initial_call=True,
        )(self.change)  # fmt: skip
        app.callback(Output("chips", "children"), Input("filters", "data"))(self.show)
        app.callback(
            Output("filters", "data", allow_duplicate=True),
            Output("filter-field", "value", allow_duplicate=True),
            Input({"type": "chip", "field": ALL}, "n_clicks"), State("filters", "data"),
            prevent_initial_call=True,
        )(self.remove)  # fmt: skip

    def choose(self, field: str | None, filters: Filters) -> Any:
        """Show the control of a field: its names, or its range."""
        same = no_update
        if field is None:
            return True, same, same, True, same, same, same, same
        names, values = columns_of(self.session, [field])[field]
        if names is not None:
            return False, _options(names, values), filters.get(field, []), True, same, same, same, same
        low, high, step = ends_of(values)
        return True, same, same, False, low, high, step, filters.get(field, [low, high])

    def change(self, names: Any, ends: Any, field: str | None, filters: Filters) -> Any:
        """Set the filter of the field; all names, or the whole range, are no filter."""
        if field is None:
            return no_update
        known, values = columns_of(self.session, [field])[field]
        is_whole = known is None and list(ends) == list(ends_of(values)[:2])
        wanted = names if known is not None else [] if is_whole else ends
        changed = filtered(filters, field, wanted)
        return no_update if changed == filters else changed

    def show(self, filters: Filters | None) -> list[Any]:
        """Return a button for each filter, which takes it away."""
        return [_chip(field, wanted) for field, wanted in (filters or {}).items()]

    def remove(self, clicks: Sequence[int | None], filters: Filters) -> Any:
        """Take a filter away."""
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            return no_update, no_update
        return filtered(filters, ctx.triggered_id["field"], None), None


def filtered(filters: Filters, field: str, wanted: Any) -> Filters:
    """Return filters with another one for a field; None or nothing takes it away.

    Examples
    --------
    >>> filtered({"site": ["a"]}, "age", [20, 40])
    {'site': ['a'], 'age': [20, 40]}
    >>> filtered({"site": ["a"]}, "site", [])
    {}
    """
    return {**filters, field: wanted} if wanted else {k: v for k, v in filters.items() if k != field}


def ends_of(values: Any) -> tuple[float, float, float]:
    """Return the ends of a range that holds all numbers, and its step.

    Examples
    --------
    >>> ends_of(np.array([20.0, np.nan, 79.0])), ends_of(np.array([0.113, 0.987]))
    ((20.0, 79.0, 1.0), (0.113, 0.987, 0.001))
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if (finite == np.round(finite)).all() and high > low:
        return low, high, 1.0
    step = 10.0 ** float(np.floor(np.log10(((high - low) or 1.0) / _STEPS)))
    low, high = np.floor(low / step), max(np.ceil(high / step), np.floor(low / step) + 1)
    digits = max(0, -round(float(np.log10(step))))
    return round(float(low * step), digits), round(float(high * step), digits), step


def _options(names: Sequence[str], codes: Any) -> list[dict[str, str]]:
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return [
        {"label": f"{name} ({count:,})", "value": name, "search": name}
        for name, count in zip(names, counts, strict=True)
    ]


def _chip(field: str, wanted: list[Any]) -> Any:
    if isinstance(wanted[0], str):
        text = f"{field}: {', '.join(wanted) if len(wanted) <= 2 else f'{len(wanted)} chosen'}"
    else:
        text = f"{field}: {wanted[0]:g} to {wanted[1]:g}"
    return html.Button(
        text, id={"type": "chip", "field": field}, className="chip", type="button",
        title="Remove this filter", **{"aria-label": f"Remove the filter {text}"},
    )  # fmt: skip
