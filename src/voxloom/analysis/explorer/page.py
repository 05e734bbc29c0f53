"""The page: what it is made of, before anything is computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from voxloom.analysis.explorer.restricting import restrict
from voxloom.analysis.explorer.routes import add_routes
from voxloom.analysis.explorer.session import Session
from voxloom.errors import MissingExtraError, VoxloomError

try:
    from dash import Dash, dcc, html, set_props

    from voxloom.analysis.explorer.panes import button, controls, details, plot
    from voxloom.analysis.explorer.wiring import connect
except ImportError as error:
    raise MissingExtraError(
        'the explorer needs Plotly Dash. Install it with: pip install "voxloom[analysis]".'
    ) from error

__all__ = ["make_page"]

logger = logging.getLogger(__name__)

_ASSETS = Path(str(files("voxloom.analysis.explorer"))) / "assets"
_POLL = 200  # ms between two questions how far a computation is
_LOST = (
    "The server does not answer. If it was stopped, start voxloom explore again at this port: "
    "the page then goes on by itself."
)


def make_page(session: Session, server: Any) -> Any:
    """Return the page of a session as a Dash application on a Flask server.

    The server is expected to answer ``/thumb/ROW`` and ``/image/ROW``, as `make_server` does. All scripts
    and styles come from this machine.

    Parameters
    ----------
    session
        What the page asks.
    server
        Flask application; routes are added to it.
    """
    add_routes(session, server)
    app = Dash(
        "voxloom",
        server=server,
        assets_folder=str(_ASSETS),
        title=escape(f"{session.title} · voxloom"),  # Dash writes it into the page as it is
        update_title=None,
        external_scripts=["/plotly.js"],
        add_log_handler=False,
        on_error=_tell,
    )
    app.layout = _layout(session)
    connect(app, session)
    restrict(app, session)
    return app


def _tell(error: Exception) -> None:
    """Say in words on the page what went wrong; what was not foreseen is told in full in the terminal."""
    foreseen = isinstance(error, VoxloomError)
    logger.log(logging.WARNING if foreseen else logging.ERROR, "%s", error, exc_info=not foreseen)
    text = (
        str(error)
        if foreseen
        else f"{type(error).__name__}: {str(error).rstrip('.')}. The terminal says more."
    )
    set_props("problem-text", {"children": text[:1].upper() + text[1:]})
    set_props("problem", {"hidden": False})


def _layout(session: Session) -> Any:
    large = html.Img(id="large-image", alt="")
    return html.Div(
        [
            html.A("Skip to the points", href="#plot", className="skip"),
            _header(session),
            *_notices(session.notices),
            html.Div([controls(session), plot(), details()], className="panes"),
            html.Div(id="tip", className="tip", hidden=True),
            html.Dialog(large, id="large", **{"aria-label": "Picture, large"}),
            html.Div(
                [html.Span(id="problem-text"), button("Close", "problem-close")],
                id="problem",
                role="alert",
                hidden=True,
            ),
            html.Div(_LOST, id="lost", role="alert", hidden=True),
            *(dcc.Store(id=name, data=data) for name, data in _stores(session).items()),
            *(dcc.Interval(id=f"{name}-poll", interval=_POLL, disabled=True) for name in ("job", "task")),
            dcc.Download(id="download"),
        ],
        id="page",
        className="page",
        **{"data-version": session.version},
    )


def _notices(notices: Sequence[str]) -> list[Any]:
    """Return what the reader should know; assets/page.js shows it until it was closed once."""
    if not notices:
        return []
    told = [html.Div([html.P(text) for text in notices]), button("Close", "notices-close")]
    return [html.Div(told, id="notices", role="status", hidden=True)]


def _stores(session: Session) -> dict[str, Any]:
    """Return what a page knows at first; the browser holds it, so that two pages stay apart."""
    empty = [
        "saved", "page-id", "wanted", "job", "job-polled", "job-ready", "job-cancelled",
        "task", "task-polled", "task-ready", "task-cancelled",
        "figure", "drawn", "marked", "highlighted", "kept", "line",
    ]  # fmt: skip
    known = {"digest": session.points.digest, "theme": "light", "filters": {}, "picked": [], "lasso": []}
    return {**dict.fromkeys(empty), **known}


def _header(session: Session) -> Any:
    count, groups = len(session.points), len(session.groups)
    facts = [f"{count:,} points", f"{session.points.dim:,} dimensions"]
    facts += [f"{groups} groups"] if groups > 1 else []
    find = html.Div(
        [
            dcc.Input(
                id="find",
                type="search",
                placeholder="Find a key",
                autoComplete="off",
                spellCheck=False,
                name="find",
            ),
            html.Ul(id="find-list", role="listbox", hidden=True, **{"aria-label": "Keys found"}),
        ],
        className="find",
    )
    return html.Header(
        [
            html.Span("voxloom", className="brand"),
            html.H1(session.title, title=session.title),
            html.Span(" · ".join(facts), className="faint facts"),
            find,
        ]
    )
