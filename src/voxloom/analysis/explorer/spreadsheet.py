"""Points as a CSV that a spreadsheet may open."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxloom.analysis.latents.points import Points
from voxloom.sample import Array

__all__ = ["cell", "csv_of"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_AXES = ("x", "y", "z")


def csv_of(
    points: Points,
    rows: Sequence[int],
    coordinates: Array | None,
    *,
    named: Mapping[str, Sequence[str] | Array] | None = None,
) -> bytes:
    """Return key, group, named labels, attributes and coordinates of some points, UTF-8, one line each.

    Parameters
    ----------
    points, rows
        Which points.
    coordinates
        (N, 2) or (N, 3) of all points; None leaves them out.
    named
        Further columns by their names, each of all points.
    """
    columns = {**points.attributes, **(named or {})}
    columns = {name: columns[name] for name in dict.fromkeys([*(named or {}), *columns])}
    dims = 0 if coordinates is None else coordinates.shape[1]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["key", "group", *(cell(name) for name in columns), *_AXES[:dims]])
    for row in rows:
        known = [values[row] for values in columns.values()]
        place = [] if coordinates is None else coordinates[row].tolist()
        texts = (points.keys[row], points.groups[row], *known)
        writer.writerow([*(cell(each) for each in texts), *(f"{value:.7g}" for value in place)])
    return buffer.getvalue().encode("utf-8")


def cell(value: Any) -> str:
    """Return a value as it stands in the file.

    A text that a spreadsheet would compute, since it begins with = + - @, a tab or a carriage return
    and is no number, gets an apostrophe before it: a file name that somebody else chose must not run.

    Examples
    --------
    >>> cell("p1/slice"), cell("=1+1"), cell("-4"), cell(np.float64("nan"))
    ('p1/slice', "'=1+1", '-4', '')
    """
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.9g}"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
