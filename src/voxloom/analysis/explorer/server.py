"""The server of the explorer: pictures by number, on this machine alone."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from voxloom.analysis.explorer.guard import HEADERS, refusal
from voxloom.analysis.explorer.pictures import Picture
from voxloom.analysis.explorer.session import Session
from voxloom.errors import ConfigError, MissingExtraError

__all__ = ["Serving", "make_app"]

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_TRIED = 50  # ports from the wanted one on
_LARGEST = 1 << 26  # bytes of a request: a selection of 100,000 points has about 16 MB
_KEEP, _FORGET = "private, max-age=31536000, immutable", "no-store"


def make_app(session: Session) -> Any:
    """Return a Flask application that answers what the page shows of points.

    ``/thumb/ROW``, ``/image/ROW``, ``/panel/A/B`` and ``/strip/A/B`` take ``?size=PIXELS``; with ``?v=``
    and the session's version the browser keeps them. What another site asks is refused (403), what is not
    there is 404, what cannot be meant is 400, another session's version is 409, and an error says no more
    than that there was one: the log has it.

    Parameters
    ----------
    session
        What answers.

    Raises
    ------
    MissingExtraError
        Where Flask, which comes with Dash, is not installed.
    """
    flask = _flask()
    app = flask.Flask("voxloom.explorer", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=_LARGEST, MAX_FORM_MEMORY_SIZE=_LARGEST, PROPAGATE_EXCEPTIONS=False)
    app.before_request(_guard)
    app.after_request(_with_headers)
    app.add_url_rule("/thumb/<int:row>", "thumb", lambda row: _answer(session, session.thumbnail, row))
    app.add_url_rule("/image/<int:row>", "image", lambda row: _answer(session, session.image, row))
    app.add_url_rule("/panel/<int:a>/<int:b>", "panel", lambda a, b: _answer(session, session.panel, a, b))
    app.add_url_rule("/strip/<int:a>/<int:b>", "strip", lambda a, b: _answer(session, session.strip, a, b))
    return app


class Serving:
    """A server of an application at the wanted port of this machine, or at the next that is free.

    Parameters
    ----------
    app
        What answers, for instance of `make_app`.
    port
        The wanted port; 0 takes any.

    Attributes
    ----------
    port
        Where it listens.

    Raises
    ------
    ConfigError
        When none of the next ports is free.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        _flask()
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            """Does not log each picture."""

            server_version, sys_version = "voxloom", ""

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing."""

        with _bound(port) as own:
            self.port: int = own.getsockname()[1]
            self._server = make_server(
                HOST, self.port, app, threaded=True, request_handler=Quiet, fd=own.fileno()
            )

    @property
    def url(self) -> str:
        """Address for the browser."""
        return f"http://{HOST}:{self.port}/"

    def run(self) -> None:
        """Answer until Ctrl-C or `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.shutdown()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


def _bound(port: int) -> socket.socket:
    """Return a socket at the first free port from the wanted one on."""
    last = min(port + _TRIED, 65536)
    for each in range(port, max(last, port + 1)):
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name != "nt":  # there it would share a port that is in use
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((HOST, each))
            found.listen(128)
        except OSError:
            found.close()
            continue
        if each != port:
            logger.warning("port %d is taken; the next free one is %d.", port, each)
        return found
    raise ConfigError(f"no port from {port} to {last - 1} is free on this machine: name another with --port.")


def _flask() -> Any:
    try:
        import flask
    except ImportError as error:
        raise MissingExtraError(
            'the explorer needs Plotly Dash. Install it with: pip install "voxloom[analysis]".'
        ) from error
    return flask


def _guard() -> Any:
    request = _flask().request
    if reason := refusal(request.method, request.headers):
        return _words(reason, 403)
    if (request.content_length or 0) > _LARGEST:
        return _words(f"a request of {request.content_length} bytes: expected at most {_LARGEST}.", 413)
    return None


def _with_headers(response: Any) -> Any:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _answer(session: Session, draw: Callable[..., Picture], *rows: int) -> Any:
    """Return the picture of some rows, or why there is none."""
    asked = _flask().request.args
    if asked.get("v", session.version) != session.version:  # of a page that is open since before a restart
        return _words("the page is of another session; reload it.", 409)
    try:
        picture = draw(*rows, **_size(asked))
    except IndexError as error:
        return _words(str(error), 404)
    except ConfigError as error:
        return _words(str(error), 400)
    is_kept = not picture.problem and "v" in asked
    headers = {"Cache-Control": _KEEP if is_kept else _FORGET}
    return _flask().Response(picture.png, mimetype="image/png", headers=headers)


def _size(asked: Mapping[str, str]) -> dict[str, int]:
    size = asked.get("size")
    if size is None:
        return {}
    if not (size.isascii() and size.isdecimal() and len(size) < 6):
        raise ConfigError(f"size {size[:20]!r}: expected a number of pixels.")
    return {"size": int(size)}


def _words(text: str, status: int) -> Any:
    """Return a text as such: what a page named is never read as HTML."""
    headers = {"Cache-Control": _FORGET}
    return _flask().Response(text, status, mimetype="text/plain", headers=headers)
