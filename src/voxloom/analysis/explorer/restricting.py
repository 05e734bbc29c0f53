"""What Dash would answer, or run, and a page of this session never needs."""

from __future__ import annotations

from typing import Any

from voxloom.analysis.explorer.guard import HEADERS
from voxloom.analysis.explorer.session import Session

__all__ = ["SESSION_HEADER", "restrict"]

SESSION_HEADER = "X-Voxloom-Session"
"""Of a request: the version of the session whose page asks."""

_ASKED = {"output", "outputs", "inputs", "changedPropIds"}  # what a callback's request says
_ANY_PATH = "/<path:path>"  # Dash's name for all addresses that lead to the page
_POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-eval' {hashes}",  # plotly.js compiles what it draws by WebGL
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
}


def restrict(app: Any, session: Session) -> None:
    """Refuse addresses that lead nowhere, requests that say nothing, and pages of another session.

    A page that stays open while the server is started again with other data would show its points under
    the others' names: its requests name its session, and get 409, on which it reloads. Scripts within
    the page do not run, whatever a key or a title holds.

    Parameters
    ----------
    app
        The Dash application, complete.
    session
        Whose page it is.
    """
    rules = {**_POLICY, "script-src": _POLICY["script-src"].format(hashes=_hashes(app))}
    policy = "; ".join([*(f"{name} {value}" for name, value in rules.items()), _own_policy()])
    server = app.server

    def tell(response: Any) -> Any:
        if response.mimetype == "text/html":
            response.headers["Content-Security-Policy"] = policy
        return response

    server.before_request(lambda: _refused(session))
    server.after_request(tell)


def _hashes(app: Any) -> str:
    return " ".join(app.csp_hashes())  # each in quotes; they change once a callback is added


def _own_policy() -> str:
    return HEADERS["Content-Security-Policy"]


def _refused(session: Session) -> Any:
    """Return why a request is not answered, None where it is."""
    from flask import request

    if request.path == "/favicon.ico":  # asked for by browsers beside what is no page
        return _words("", 204)
    if request.endpoint == _ANY_PATH:
        return _words("there is nothing here; the page is at /.", 404)
    if request.headers.get(SESSION_HEADER, session.version) != session.version:
        return _words("the page is of another session; reload it.", 409)
    if request.method == "POST" and not _says_what():
        return _words("expected a request of the page.", 400)
    return None


def _says_what() -> bool:
    """Return whether a body is JSON that Dash can take apart."""
    from flask import request

    try:
        body = request.get_json(silent=True)
    except RecursionError:
        return False
    return isinstance(body, dict) and body.keys() >= _ASKED


def _words(text: str, status: int) -> Any:
    from flask import Response

    return Response(text, status, mimetype="text/plain", headers={"Cache-Control": "no-store"})
