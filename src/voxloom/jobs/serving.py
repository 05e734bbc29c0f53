"""A server of local volumes for viewers in the browser: this machine only, reading only, parts of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["VolumeServer"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE = 1 << 20  # bytes copied at once


class VolumeServer(ThreadingHTTPServer):
    """Serves folders under ``/0/NAME``, ``/1/NAME`` and so on, with the headers that viewers ask for.

    Nothing outside the folders is given out, and it listens on this machine's own address alone.

    Parameters
    ----------
    folders
        What is served.
    port
        0 takes a free one.

    Examples
    --------
    >>> with VolumeServer(["data/pred.zarr"]) as server:
    ...     server.urls[0].endswith("/0/pred.zarr")
    True
    """

    daemon_threads = True

    def __init__(self, folders: Sequence[str], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.folders = [Path(folder).resolve() for folder in folders]

    @property
    def urls(self) -> list[str]:
        """Where each folder is found."""
        host = f"http://127.0.0.1:{self.server_port}"
        return [f"{host}/{number}/{folder.name}" for number, folder in enumerate(self.folders)]

    def file(self, path: str) -> Path | None:
        """Return the file that a request names, or None where it names none that is served."""
        number, _, rest = unquote(urlsplit(path).path).lstrip("/").partition("/")
        if not number.isdecimal() or int(number) >= len(self.folders):
            return None
        folder = self.folders[int(number)]
        found = (folder.parent / rest).resolve()
        return found if found.is_relative_to(folder) and found.is_file() else None


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
        self._head(HTTPStatus.NO_CONTENT, 0)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.server.file(self.path)
        if path is None:
            self._head(HTTPStatus.NOT_FOUND, 0)
            return
        size = path.stat().st_size
        part = _part(self.headers.get("Range"), size)
        if part is None:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, {"Content-Range": f"bytes */{size}"})
            return
        told = {"Accept-Ranges": "bytes"}
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
        allowed = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
            "Access-Control-Allow-Headers": "*",
            "Access-Control-Expose-Headers": "*",
            "Access-Control-Allow-Private-Network": "true",
            "Content-Length": str(length),
        }
        for name, value in {**allowed, **(told or {})}.items():
            self.send_header(name, value)
        self.end_headers()

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
