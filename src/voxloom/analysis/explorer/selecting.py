"""The points inside a lasso or box: counted, listed, exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import Input, Output, State, dcc, html, no_update

from voxloom.analysis.explorer.placing import kept_points
from voxloom.analysis.explorer.session import Session
from voxloom.analysis.explorer.state import Filters

__all__ = ["Selecting"]

_LISTED = 300


@dataclass(frozen=True)
class Selecting:
    """The selection of a session's page."""

    session: Session

    def connect(self, app: Any) -> None:
        """Connect the selection."""
        app.callback(
            Output("selection", "children"), Output("selection-buttons", "hidden"), Output("tab", "options"),
            Input("lasso", "data"), Input("filters", "data"),
        )(self.show)  # fmt: skip
        app.callback(
            Output("download", "data"),
            Input("export", "n_clicks"), State("lasso", "data"), State("job-ready", "data"),
            prevent_initial_call=True,
        )(self.export)  # fmt: skip
        app.callback(
            Output("lasso", "data", allow_duplicate=True),
            Input("clear", "n_clicks"),
            prevent_initial_call=True,
        )(lambda clicks: [] if clicks else no_update)

    def show(self, lasso: Sequence[int] | None, filters: Filters | None) -> Any:
        """Return the selection in words and as a list, and the tab with its count."""
        rows = list(lasso or [])
        label = f"Selection · {len(rows):,}" if rows else "Selection"
        tabs = [{"label": "Points", "value": "points"}, {"label": label, "value": "selection"}]
        hidden = int((~kept_points(self.session, filters)[np.array(rows)]).sum()) if filters and rows else 0
        return (self._list(rows, hidden) if rows else _nothing()), not rows, tabs

    def export(self, clicks: int | None, lasso: Sequence[int], shown: Any) -> Any:
        """Return the selection as a file to download."""
        if not clicks or not lasso:
            return no_update
        table = self.session.export(lasso, shown["id"] if shown else None)
        return dcc.send_bytes(table, f"selection-{len(lasso)}.csv", type="text/csv")

    def _list(self, rows: Sequence[int], hidden: int) -> list[Any]:
        told = f"{len(rows):,} point{'' if len(rows) == 1 else 's'} selected"
        told += f", {hidden:,} of them hidden by the filter" if hidden else ""
        items = [html.Li(self._entry(row)) for row in rows[:_LISTED]]
        more = f"and {len(rows) - _LISTED:,} more; the export has all" if len(rows) > _LISTED else ""
        return [
            html.P(told, className="count"),
            html.Ol(items, className="keys"),
            html.P(more, className="faint"),
        ]

    def _entry(self, row: int) -> Any:
        points = self.session.points
        group = [html.Span(str(points.groups[row]), className="faint")] if len(points.parts) > 1 else []
        key = html.Span(points.keys[row], className="key")
        return html.Button([key, *group], type="button", **{"data-row": str(row)})


def _nothing() -> Any:
    return html.Div(
        [
            html.P("Nothing is selected."),
            html.P("Choose the lasso or the box above the points and draw round some of them."),
            html.P("In 3D there is no lasso: change to 2D, where points keep their keys."),
            html.P("Their keys can then be exported, with what is known of them and where they lie."),
        ],
        className="hint",
    )
