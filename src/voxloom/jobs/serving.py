"""A server of local volumes for viewers in the browser: this machine only, reading only, parts of files."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["VolumeServer"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 1 << 20  # bytes copied at once
_OWN_NAMES = ("127.0.0.1", "localhost")  # at any port: one may be led here through another
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "*",
    "Access-Control-Allow-Private-Network": "true",
}


class VolumeServer(ThreadingHTTPServer):
    """Serves folders under ``/TOKEN/0/NAME``, ``/TOKEN/1/NAME`` and so on, to one viewer in the browser.

    Nothing outside the folders is given out, and it listens on this machine's own address alone. A page
    of the viewer may read, no other page that is open in the browser: others are refused by their origin,
    names that were made to lead here by the host, and guesses by the token, which is drawn at random.

    Parameters
    ----------
    folders
        What is served.
    port
        0 takes a free one.
    viewer
        Address of the viewer, whose pages may read.

    Examples
    --------
    >>> with VolumeServer(["data/pred.zarr"], viewer="https://viewer.example/v/1") as server:
    ...     server.urls[0].endswith(f"/{server.token}/0/pred.zarr"), server.origin
    (True, 'https://viewer.example')
    """

    daemon_threads = True

    def __init__(self, folders: Sequence[str], port: int = 0, *, viewer: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.folders = [Path(folder).resolve() for folder in folders]
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(viewer))
        self.token = secrets.token_urlsafe(16)

    @property
    def urls(self) -> list[str]:
        """Where each folder is found."""
        host = f"http://127.0.0.1:{self.server_port}/{self.token}"
        return [f"{host}/{number}/{folder.name}" for number, folder in enumerate(self.folders)]

    def file(self, path: str) -> Path | None:
        """Return the file that a request names, or None where it names none that is served."""
        token, _, asked = unquote(urlsplit(path).path).lstrip("/").partition("/")
        number, _, rest = asked.partition("/")
        is_known = secrets.compare_digest(token.encode(), self.token.encode())
        if not is_known or not number.isdecimal() or int(number) >= len(self.folders):
            return None
        folder = self.folders[int(number)]
        try:
            found = (folder.parent / rest).resolve()
            return found if found.is_relative_to(folder) and found.is_file() else None
        except (OSError, ValueError):  # no name that a file could have
            return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a viewer no longer wants what it asked for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VolumeServer

    def do_GET(self) -> None:
        """Send a file or a part of it."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Say how large a file is."""
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        """Let a page of another origin ask for parts of files."""
        self._head(HTTPStatus.NO_CONTENT if self._is_allowed else HTTPStatus.FORBIDDEN, 0)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""

    def _answer(self, *, with_body: bool) -> None:
        if not self._is_allowed:
            self._head(HTTPStatus.FORBIDDEN, 0)
            return
        path = self.server.file(self.path)
        if path is None or not os.access(path, os.R_OK):
            self._head(HTTPStatus.NOT_FOUND, 0)
            return
        size = path.stat().st_size
        part = _part(self.headers.get("Range"), size)
        if part is None:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, {"Content-Range": f"bytes */{size}"})
            return
        told = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
        status = HTTPStatus.OK
        if "Range" in self.headers:
            status, told["Content-Range"] = (
                HTTPStatus.PARTIAL_CONTENT,
                f"bytes {part[0]}-{part[1] - 1}/{size}",
            )
        self._head(status, part[1] - part[0], told)
        if with_body:
            self._send(path, *part)

    def _head(self, status: HTTPStatus, length: int, told: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(length), "Vary": "Origin", **(told or {})}
        if self._is_allowed and "Origin" in self.headers:
            headers |= {"Access-Control-Allow-Origin": self.server.origin, **_ALLOWED}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    @property
    def _is_allowed(self) -> bool:
        """Whether the viewer asks, or no page at all; and by a name that is this machine's own."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return host in _OWN_NAMES and self.headers.get("Origin", self.server.origin) == self.server.origin

    def _send(self, path: Path, first: int, stop: int) -> None:
        with path.open("rb") as file:
            file.seek(first)
            left = stop - first
            while left and (piece := file.read(min(left, _PIECE))):
                self.wfile.write(piece)
                left -= len(piece)


def _part(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and one past the last of a Range header; None where there are no such bytes.

    Examples
    --------
    >>> _part("bytes=2-5", 10), _part("bytes=-4", 10), _part("bytes=8-", 10), _part(None, 10)
    ((2, 6), (6, 10), (8, 10), (0, 10))
    """
    if asked is None:
        return 0, size
    match = _RANGE.fullmatch(asked.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        return (max(0, size - int(match[2])), size) if int(match[2]) else None
    first, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    return (first, stop) if first < stop else None
