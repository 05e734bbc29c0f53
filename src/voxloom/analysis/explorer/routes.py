"""What the page's scripts fetch beside pictures: the drawing library, all keys, and which session this is."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

from voxloom.analysis.explorer.session import Session

__all__ = ["add_routes"]

_A_DAY = "private, max-age=86400"


def add_routes(session: Session, server: Any) -> None:
    """Add ``/plotly.js``, ``/keys.json`` and ``/version`` to a Flask application."""
    keys = cache(lambda: json.dumps({"keys": list(session.points.keys), "groups": _groups(session)}))

    def answer(body: str, kind: str, kept: str) -> Any:
        return server.response_class(body, mimetype=kind, headers={"Cache-Control": kept})

    server.add_url_rule("/plotly.js", "plotly_js", lambda: answer(_plotly(), "text/javascript", _A_DAY))
    server.add_url_rule("/version", "version", lambda: answer(session.version, "text/plain", "no-store"))
    server.add_url_rule("/keys.json", "keys", lambda: answer(keys(), "application/json", "no-store"))


def _groups(session: Session) -> list[tuple[str, int]]:
    """Return each group and the row after its last one; one group tells nothing."""
    parts = session.points.parts
    ends = accumulate(len(part) for part in parts.values())
    return list(zip(parts, ends, strict=True)) if len(parts) > 1 else []


@cache
def _plotly() -> str:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
