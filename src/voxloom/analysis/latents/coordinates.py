"""Tables of what a figure shows: where each point is, and what each mark stands for."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import Projected
from voxloom.analysis.latents.series import Scatter
from voxloom.atomic import replacing

__all__ = ["write_coordinates", "write_legend"]

_AXES = ("x", "y", "z")


def write_coordinates(points: Points, projected: Projected, path: str | Path) -> Path:
    """Write a row for each point: key, group, its attributes, then x, y (and z); return the path.

    A number that is not known is an empty cell.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import mkdtemp
    >>> from voxloom.analysis.latents.projection import Pca, project
    >>> points = Points.of_arrays({"a": np.array([[0.0], [2.0]])})
    >>> path = write_coordinates(points, project(points, Pca()), Path(mkdtemp()) / "c.csv")
    >>> path.read_text().split()
    ['key,group,x,y', '0,a,-1,0', '1,a,1,0']
    """
    columns = points.attributes
    names = [name for name in columns if name not in ("key", "group", *_AXES)]
    told = zip(*(columns[name].tolist() for name in names), strict=True) if names else ((),) * len(points)
    places = projected.coordinates.tolist()
    rows = (
        [key, group, *map(_cell, values), *map(_cell, place)]
        for key, group, values, place in zip(points.keys, points.groups.tolist(), told, places, strict=True)
    )
    return _write(path, ["key", "group", *names, *_AXES[: projected.coordinates.shape[1]]], rows)


def write_legend(scatter: Scatter, path: str | Path) -> Path:
    """Write a row for each label: its points, colour, shape, and whether it is filled; return the path."""
    head = ["kind", "name", "points", "colour", "shape", "filled"]
    entries = [(scatter.colour_by, entry) for entry in scatter.label_entries]
    entries += [("group", entry) for entry in scatter.group_entries]
    rows = (
        [kind, entry.name, entry.count, entry.mark.colour, entry.mark.shape, int(entry.mark.is_filled)]
        for kind, entry in entries
    )
    return _write(path, head, rows)


def _write(path: str | Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
    return Path(path)


def _cell(value: object) -> object:
    """Return a number as text: whole ones have all digits, for others nine tell every float32 apart."""
    if not isinstance(value, float):
        return value
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return f"{value:.9g}" if math.isfinite(value) else ""
