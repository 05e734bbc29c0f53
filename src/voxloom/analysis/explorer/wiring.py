"""Which part of the page asks which function; what the browser does by itself stands in assets/."""

from __future__ import annotations

from typing import Any

from dash import MATCH, ClientsideFunction, Input, Output, State

from voxloom.analysis.explorer.decoding import Decoding
from voxloom.analysis.explorer.filtering import Filtering
from voxloom.analysis.explorer.picking import Picking
from voxloom.analysis.explorer.placing import Placing
from voxloom.analysis.explorer.selecting import Selecting
from voxloom.analysis.explorer.session import Session

__all__ = ["connect"]


def connect(app: Any, session: Session) -> None:
    """Connect all parts of the page."""
    _connect_browser(app)
    for part in (Placing, Filtering, Picking, Selecting, Decoding):
        part(session).connect(app)


def _connect_browser(app: Any) -> None:
    def run(name: str, outputs: Any, *inputs: Any) -> None:
        app.clientside_callback(ClientsideFunction("voxloom", name), outputs, *inputs)

    starts = [Output("saved", "data"), Output("theme", "data"), Output("page-id", "data")]
    run("start", starts, Input("page", "id"), State("digest", "data"))
    run("draw", Output("drawn", "data"), Input("figure", "data"))
    run("mark", Output("marked", "data"), Input("picked", "data"), Input("drawn", "data"))
    run("highlight", Output("highlighted", "data"), Input("lasso", "data"), Input("drawn", "data"))
    run("tabs", [Output("points-tab", "hidden"), Output("selection-tab", "hidden")], Input("tab", "value"))
    chosen = [
        ("wanted", "data"),
        ("colour", "value"),
        ("filters", "data"),
        ("picked", "data"),
        ("lasso", "data"),
    ]
    run("remember", Output("kept", "data"), *(Input(*each) for each in chosen), State("digest", "data"))
    for name in ("job", "task"):
        ends = [Output(f"{name}-ready", "data"), Output(f"{name}-poll", "disabled")]
        run("settle", ends, Input(name, "data"), Input(f"{name}-polled", "data"))
    slider = {"type": "slider", "method": MATCH, "name": MATCH}
    run(
        "told",
        Output({**slider, "type": "value"}, "children"),
        Input(slider, "drag_value"),
        Input(slider, "value"),
    )
    run(
        "ends",
        Output("filter-told", "children"),
        Input("filter-range", "drag_value"),
        Input("filter-range", "value"),
    )
    run("fade", Output("problem", "title"), Input("problem-text", "children"))
    run("step", Output("along-image", "src"), Input("along", "value"), Input("line", "data"))
