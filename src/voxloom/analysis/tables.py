"""Tables and numbers of a report in words that people read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from voxloom.analysis.markup import Markup, element

__all__ = ["amount", "duration", "entries", "number_of", "pairs_table", "remark", "text_of"]

_DAYS_FROM = 72  # hours
_MOST = 8  # entries of a list that are written out


def pairs_table(values: Mapping[str, Any], **attributes: str) -> Markup | None:
    """Return a table of names and values, or None where there are none."""
    rows = [
        element("tr", element("th", name), element("td", text_of(value))) for name, value in values.items()
    ]
    return element("table", *rows, **attributes) if rows else None


def remark(text: str) -> Markup:
    """Return a sentence that the reader must not miss."""
    return element("p", text, class_="remark")


def text_of(value: Any) -> str:
    """Return a value of a configuration or a record as a person writes it.

    Examples
    --------
    >>> text_of(True), text_of(1234567), text_of(0.00051), text_of([1, None])
    ('yes', '1,234,567', '0.00051', '1, -')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item) for item in value[:_MOST]) + (" ..." if len(value) > _MOST else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {text_of(item)}" for name, item in list(value.items())[:_MOST])
    return str(value)


def entries(value: Any) -> Mapping[str, Any]:
    """Return a value if it is a table of entries, and else no entries: files may hold anything."""
    return value if isinstance(value, dict) else {}


def number_of(value: Any) -> float:
    """Read a number of a summary: null is none, and infinity is a string.

    Examples
    --------
    >>> number_of("inf"), number_of(None), number_of({})
    (inf, nan, nan)
    """
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan


def amount(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> amount(1, "run"), amount(2000, "image")
    ('1 run', '2,000 images')
    """
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a time in at most two units; from three days on in days.

    Examples
    --------
    >>> duration(61.4), duration(3600 * 26), duration(9), duration(1e6)
    ('1 min 01 s', '26 h 00 min', '9 s', '12 days')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= _DAYS_FROM:
        return f"{round(hours / 24):,} days"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
