"""What a checkpoint adds: images decoded along the line of two points, and the translation of one."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import Input, Output, State, ctx, html, no_update

from voxloom.analysis.explorer.placing import asked_of, told_of
from voxloom.analysis.explorer.session import Session

__all__ = ["STEPS", "Decoding"]

STEPS = 9
"""Images along a line, its ends among them."""


@dataclass(frozen=True)
class Decoding:
    """Decoded lines and translations of a session's page."""

    session: Session

    def connect(self, app: Any) -> None:
        """Connect the buttons that decode and translate."""
        app.callback(
            Output("line", "data"), Output("strip", "children"), Output("line-box", "hidden"),
            Output("decode", "hidden"), Output("along", "value"),
            Input("decode", "n_clicks"), Input("picked", "data"),
            prevent_initial_call=True,
        )(self.decode)  # fmt: skip
        app.callback(
            Output("task", "data"),
            Input("translate", "n_clicks"), State("picked", "data"), State("page-id", "data"),
            prevent_initial_call=True,
        )(self.translate)  # fmt: skip
        app.callback(
            Output("task-polled", "data"),
            Input("task-poll", "n_intervals"), State("task", "data"),
            prevent_initial_call=True,
        )(self.poll)  # fmt: skip
        app.callback(
            Output("task-cancelled", "data"),
            Input("task-cancel", "n_clicks"), State("task", "data"), State("page-id", "data"),
            prevent_initial_call=True,
        )(self.cancel)  # fmt: skip
        app.callback(
            Output("translated", "children"), Output("translate", "hidden"),
            Input("task-ready", "data"), Input("picked", "data"),
            prevent_initial_call=True,
        )(self.show)  # fmt: skip

    def decode(self, clicks: int | None, picked: Sequence[int] | None) -> Any:
        """Decode the line of two points; forget it when others are chosen."""
        if ctx.triggered_id != "decode" or not clicks or not picked or len(picked) != 2:
            return [], [], True, False, no_update
        pictures = [_inline(each) for each in self.session.along(picked[0], picked[1], STEPS)]
        return pictures, [_step(i, src) for i, src in enumerate(pictures)], False, True, STEPS // 2

    def translate(self, clicks: int | None, picked: Sequence[int] | None, page: str) -> Any:
        """Ask for the translation of the chosen point."""
        if not clicks or not picked:
            return no_update
        return asked_of(self.session.translate(picked[0], page=page), row=picked[0])

    def poll(self, _: Any, task: Mapping[str, Any] | None) -> Any:
        """Tell how far a translation is."""
        return {**task, **told_of(self.session.job(task["id"]))} if task else no_update

    def cancel(self, clicks: int | None, task: Mapping[str, Any] | None, page: str) -> Any:
        """Give a translation up; the next tick tells so."""
        return self.session.cancel(task["id"], page=page).id if clicks and task else no_update

    def show(self, ready: Mapping[str, Any] | None, picked: Sequence[int] | None) -> Any:
        """Show a translation as long as its point is chosen."""
        if not ready or not picked or ready["row"] != picked[0]:
            return [], False
        found = self.session.translated(ready["id"])
        figures = [
            html.Figure([html.Img(src=_inline(png), alt=title, className="zoomable"), html.Figcaption(title)])
            for title, png in found.pictures
        ]
        return [html.Div(figures, className="figures"), html.P(found.note, className="faint")], True


def _step(number: int, src: str) -> Any:
    label = f"Step {number + 1} of {STEPS}"
    return html.Button(
        html.Img(src=src, alt=""), type="button", title=label,
        **{"data-step": str(number), "aria-label": label},
    )  # fmt: skip


def _inline(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
