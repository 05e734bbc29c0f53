"""Who may ask: a page of this server, on this machine, by a name that is this machine's own."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["HEADERS", "refusal"]

_OWN_NAMES = ("127.0.0.1", "localhost", "::1")  # at any port: one may be led here through another
_READING = ("GET", "HEAD")
_OWN_SITE = ("same-origin", "none")  # none: typed by the user, or asked by a program

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with each answer: no other page may frame it, read it, or take it for something else."""


def refusal(method: str, headers: Mapping[str, str]) -> str:
    """Return why a request is refused, or an empty string.

    A page of another site, open in the same browser, could otherwise read latents under a name that it
    made to lead here (DNS rebinding), or start computations.

    Parameters
    ----------
    method
        GET, POST and so on.
    headers
        Of the request: Host, Origin and Sec-Fetch-Site are looked at.

    Examples
    --------
    >>> refusal("GET", {"Host": "localhost:8050"})
    ''
    >>> refusal("GET", {"Host": "evil.example"})
    'this server answers to 127.0.0.1 and localhost alone.'
    >>> refusal("POST", {"Host": "localhost:8050", "Origin": "http://localhost:9999"})
    'another page asked; only the pages of this server may.'
    """
    host = headers.get("Host", "")
    if _name(host) not in _OWN_NAMES:
        return "this server answers to 127.0.0.1 and localhost alone."
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    is_visit = method in _READING and headers.get("Sec-Fetch-Mode") == "navigate"
    is_foreign = site not in _OWN_SITE and not is_visit
    if is_foreign or (origin is not None and _place(origin) != host.lower()):
        return "another page asked; only the pages of this server may."
    return ""


def _name(host: str) -> str | None:
    """Return the name of a Host header without its port, None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    is_plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return parts.hostname if is_plain else None


def _place(origin: str) -> str | None:
    """Return host and port of an Origin header, None for ``null`` and what is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None
