"""The three panes of the page: controls, plot, and what is told of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from voxloom.analysis.explorer.choices import FieldChoice, Slider
from voxloom.analysis.explorer.decoding import STEPS
from voxloom.analysis.explorer.placing import METHOD_NAMES
from voxloom.analysis.explorer.session import Session

__all__ = ["button", "controls", "details", "plot"]

_SEARCHED = 8  # fields, from which on one can search among them
_TOOLS = (
    ("pan", "Move", "Drag to move, roll the wheel to zoom"),
    ("lasso", "Lasso", "Draw round points to select them; with Shift to add to the selection"),
    ("select", "Box", "Draw a box to select points; with Shift to add to the selection"),
    ("in", "Zoom in", "Zoom in"),
    ("out", "Zoom out", "Zoom out"),
    ("reset", "Show all", "Show all points"),
)
_PLOT = (
    "Scatter of the points. Arrow keys go to the nearest point, with Shift to a second one to compare; "
    "Escape chooses none."
)


def button(text: str, id: str, *, kind: str = "", hidden: bool = False) -> Any:
    """Return a button."""
    return html.Button(text, id=id, className=kind, hidden=hidden, type="button")


def controls(session: Session) -> Any:
    """Return the pane on the left."""
    names = [each.name for each in session.fields]
    colour = [
        dcc.Dropdown(names, names[0], id="colour", clearable=False, searchable=len(names) > _SEARCHED),
        html.Div(id="legend", className="legend", role="group", **{"aria-label": "Legend"}),
    ]
    return html.Aside(
        [
            _section("Projection", _projection(session)),
            _section("Colour", colour, kind="grows"),
            _section("Filter", _filter(session.fields)),
        ],
        className="pane controls",
        **{"aria-label": "Projection, colour and filter"},
    )


def plot() -> Any:
    """Return the pane in the middle."""
    tools = [
        html.Button(
            title=hint, className=f"tool {name}", type="button", **{"aria-label": label, "data-tool": name}
        )
        for name, label, hint in _TOOLS
    ]
    bar = html.Div(tools, className="tools", role="toolbar", **{"aria-label": "Tools of the plot"})
    return html.Main(
        [
            html.Div([html.Div(id="status", className="status", role="status"), bar], className="strip"),
            html.Div(id="plot", className="plot", tabIndex="0", role="application", **{"aria-label": _PLOT}),
            html.P("Placing the points …", id="empty", className="empty"),
        ],
        className="middle",
    )


def details() -> Any:
    """Return the pane on the right."""
    tabs = [{"label": "Points", "value": "points"}, {"label": "Selection", "value": "selection"}]
    buttons = [button("Export keys (CSV)", "export", kind="main"), button("Clear", "clear")]
    selection = [
        html.Div(buttons, id="selection-buttons", className="row", hidden=True),
        html.Div(id="selection"),
    ]
    return html.Aside(
        [
            dcc.RadioItems(tabs, "points", id="tab", className="segments tabs", inline=True),
            html.Div([html.Div(id="details"), *_actions(), html.Div(id="neighbours")], id="points-tab"),
            html.Div(selection, id="selection-tab", hidden=True),
        ],
        className="pane details",
        **{"aria-label": "Chosen points and selection"},
    )


def _section(title: str, children: Sequence[Any], *, kind: str = "") -> Any:
    return html.Section([html.H2(title), *children], className=kind)


def _projection(session: Session) -> list[Any]:
    methods = [{"label": METHOD_NAMES.get(name, name), "value": name} for name in session.methods]
    dims = [{"label": "2D", "value": 2}, {"label": "3D", "value": 3}]
    return [
        dcc.RadioItems(dims, 2, id="dims", className="segments corner", inline=True),
        dcc.RadioItems(methods, methods[0]["value"], id="method", className="segments wide", inline=True),
        *(_sliders(method, sliders) for method, sliders in session.methods.items()),
        _progress("job", button("Cancel", "cancel", kind="plain")),
        button("Compute", "again", hidden=True),
    ]


def _sliders(method: str, sliders: Sequence[Slider]) -> Any:
    made = [
        html.Div(
            [
                html.Span([each.label, html.B(f"{each.default:g}", id=_part("value", method, each))]),
                dcc.Slider(
                    each.low, each.high, each.step, value=each.default, marks=None,
                    allow_direct_input=False, id=_part("slider", method, each),
                ),
            ],
            className="slider",
        )
        for each in sliders
    ]  # fmt: skip
    return html.Div(made, id={"type": "sliders", "method": method}, hidden=True)


def _part(type: str, method: str, slider: Slider) -> dict[str, str]:
    return {"type": type, "method": method, "name": slider.name}


def _progress(name: str, cancel: Any) -> Any:
    """Return a bar, a text and a button; assets/page.js moves them."""
    numbers = {"aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "Share that is computed"}
    bar = html.Div(html.Div(), className="bar", role="progressbar", **numbers)
    text = html.Span(className="faint", role="status")
    return html.Div([bar, html.Div([text, cancel], className="row")], id=f"{name}-progress", hidden=True)


def _filter(fields: Sequence[FieldChoice]) -> list[Any]:
    names = dcc.Dropdown([], [], multi=True, id="filter-names", placeholder="All are shown")
    ends = [
        dcc.RangeSlider(0, 1, value=[0, 1], marks=None, id="filter-range", allow_direct_input=False),
        html.Div(id="filter-told", className="told"),
    ]
    return [
        dcc.Dropdown([each.name for each in fields], id="filter-field", placeholder="Choose a field"),
        html.Div(names, id="filter-names-box", hidden=True),
        html.Div(ends, id="filter-range-box", hidden=True),
        html.Div(id="chips", className="chips"),
    ]


def _actions() -> list[Any]:
    """Return what can be done with one point or two."""
    step = dcc.Slider(
        0,
        STEPS - 1,
        1,
        value=STEPS // 2,
        marks=None,
        id="along",
        updatemode="drag",
        included=False,
        allow_direct_input=False,
    )
    line = [
        html.Img(
            id="along-image", className="picture zoomable", alt="Image decoded at this place of the line"
        ),
        html.Div(
            [html.Span("1", className="badge"), step, html.Span("2", className="badge")], className="ends"
        ),
        html.Div(id="strip", className="strip-of-images"),
    ]
    along = [button("Decode along the line", "decode"), html.Div(line, id="line-box", hidden=True)]
    translate = [
        button("Translate", "translate"),
        _progress("task", button("Cancel", "task-cancel", kind="plain")),
        html.Div(id="translated"),
    ]
    return [
        html.Button("Compare with another point", id="arm", type="button", hidden=True, **{"data-arm": "1"}),
        html.Div(translate, id="translate-box", hidden=True),
        html.Div(along, id="along-box", hidden=True),
    ]
