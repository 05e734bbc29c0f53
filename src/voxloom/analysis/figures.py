"""Curves of one run, or of several over each other, as one SVG picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from typing import Any

from voxloom.analysis.axes import COLOURS, Axis, Box, dash_of, drawing, grid, line, note

__all__ = ["loss_curves", "run_curves"]

Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]

_SPLITS = ("train", "validation")
_NOT_CURVES = {"step", "epoch", "split", "time"}
_FIRST, _LAST = ("loss", "psnr"), ("lr", "images_per_second")  # the rest stands between, as it comes
_COLUMNS = 3
_BOX = Box()
_LEGEND = 28
_MOST_POINTS = 240  # of a line; more are averaged in bins
_MOST_DOTS = 40  # on a line of validations
_FEW_DOTS = 12  # on a line of several runs
_LETTER = 6.6  # pixels, about, of a letter of the legend


def loss_curves(rows: Rows) -> str:
    """Draw each value that a run reported over its steps: training as a line, validation with dots.

    One small chart a value. Its axis is logarithmic where all values are positive and the largest
    is 20 times the smallest or more. Long lines are drawn as averages over bins of steps. Rows without
    a step, and values that are not finite, are left out.

    Parameters
    ----------
    rows
        As in ``metrics.jsonl``: ``step``, ``split`` (train or validation) and one number a value.

    Returns
    -------
    str
        An ``<svg>`` element; empty when there is nothing to draw.

    Examples
    --------
    >>> svg = loss_curves([{"step": s, "split": "train", "loss": 1 / (s + 1)} for s in range(50)])
    >>> svg.startswith("<svg") and "loss" in svg
    True
    >>> loss_curves([])
    ''
    """
    curves = {name: {split: _points(rows, name, split) for split in _SPLITS} for name in _names(rows)}
    charts = [(name, lines) for name, lines in curves.items() if any(lines.values())]
    if not charts:
        return ""
    return _sheet(charts, _split_line, legend=_split_legend(), legend_height=_LEGEND)


def run_curves(runs: Mapping[str, Rows], *, only: Collection[str] | None = None) -> str:
    """Draw the values of several runs over each other, a colour and a pattern of dashes for each run.

    Training and validation are charts of their own, so that lines are told apart. A value that only
    one run has reported is left out: there is nothing to compare.

    Parameters
    ----------
    runs
        Name of a run -> its rows, as in `loss_curves`.
    only
        Names of values to draw; None draws all.

    Returns
    -------
    str
        An ``<svg>`` element; empty when no two runs share a value.

    Examples
    --------
    >>> rows = [{"step": s, "split": "train", "loss": 1 / (s + 1)} for s in range(50)]
    >>> "loss · train" in run_curves({"a": rows, "b": rows})
    True
    >>> run_curves({"a": rows})
    ''
    """
    names = _names([row for rows in runs.values() for row in rows])
    charts = []
    for name in names if only is None else [name for name in names if name in only]:
        for split in reversed(_SPLITS):  # what is judged by comes first
            lines = {run: _points(rows, name, split) for run, rows in runs.items()}
            if sum(map(bool, lines.values())) > 1:
                charts.append((f"{name} · {split}", lines))
    if not charts:
        return ""
    legend, height = _run_legend(list(runs), min(_COLUMNS, len(charts)) * _BOX.width)
    return _sheet(charts, _run_line, legend=legend, legend_height=height)


Drawer = Callable[[int, str, Points, Axis, Axis], str]


def _sheet(
    charts: Sequence[tuple[str, Mapping[str, Points]]], draw: Drawer, *, legend: str, legend_height: int
) -> str:
    columns = min(_COLUMNS, len(charts))
    height = legend_height + math.ceil(len(charts) / columns) * _BOX.height
    parts = [
        f'<g transform="translate({i % columns * _BOX.width},{legend_height + i // columns * _BOX.height})">'
        f"{_chart(name, lines, draw)}</g>"
        for i, (name, lines) in enumerate(charts)
    ]
    label = f"curves of {', '.join(name for name, _ in charts)}"
    return drawing([legend, *parts], width=columns * _BOX.width, height=height, label=label)


def _chart(name: str, lines: Mapping[str, Points], draw: Drawer) -> str:
    points = [point for line in lines.values() for point in line]
    x = _BOX.x(0, max(x for x, _ in points) or 1)
    y = _BOX.y_around(value for _, value in points)
    ends = [f"{line[-1][1]:.4g}" for line in lines.values() if line]
    if set(lines) <= set(_SPLITS):
        ends = [f"{each} {line[-1][1]:.4g}" for each, line in lines.items() if line]
    title = escape(name.replace("_", " ")) + ('<tspan class="note"> (log)</tspan>' if y.log else "")
    return (
        f'<text class="name" x="{_BOX.left}" y="16">{title}</text>'
        + note(_BOX.left, 31, " · ".join(ends) if len(ends) <= 4 else "")
        + grid(x, y)
        + "".join(draw(i, each, line, x, y) for i, (each, line) in enumerate(lines.items()))
    )


def _split_line(number: int, split: str, points: Points, x: Axis, y: Axis) -> str:
    few = 1 if split == "train" else _MOST_DOTS
    return line(points, x, y, number, dots=len(points) <= few)


def _run_line(number: int, run: str, points: Points, x: Axis, y: Axis) -> str:  # noqa: ARG001 - a Drawer
    return line(points, x, y, number, dots=len(points) <= _FEW_DOTS, dash=dash_of(number))


def _split_legend() -> str:
    left = _BOX.left
    return (
        f'<path class="c0" d="M{left} 10h22"/><path class="c1" d="M{left + 96} 10h22"/>'
        f'<circle class="mark c1" cx="{left + 107}" cy="10" r="2.6"/>'
        + note(left + 28, 14, "training")
        + note(left + 124, 14, "validation, over optimizer steps")
    )


def _run_legend(names: Sequence[str], width: int) -> tuple[str, int]:
    """Return the names of the runs beside their lines, in as many rows as they need, and the height."""
    x, y, parts = float(_BOX.left), 10, []
    for number, name in enumerate(names):
        short = name if len(name) <= 40 else f"{name[:19]}…{name[-20:]}"
        needed = 46 + _LETTER * len(short)
        if x > _BOX.left and x + needed > width:
            x, y = float(_BOX.left), y + 18
        dash = dash_of(number)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(
            f'<path class="c{number % COLOURS}" d="M{x:.0f} {y}h28"{dashed}/>' + note(x + 34, y + 4, short)
        )
        x += needed
    return "".join(parts), y + _LEGEND - 10


def _names(rows: Rows) -> list[str]:
    seen = dict.fromkeys(name for row in rows for name in row if name not in _NOT_CURVES)
    middle = [name for name in seen if name not in _FIRST + _LAST]
    return [n for n in _FIRST if n in seen] + middle + [n for n in _LAST if n in seen]


def _points(rows: Rows, name: str, split: str) -> Points:
    chosen = [
        (_number(row, "step"), _number(row, name)) for row in rows if row.get("split", "train") == split
    ]
    return _thinned(sorted(point for point in chosen if all(map(math.isfinite, point))))


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _thinned(points: Points) -> Points:
    size = math.ceil(len(points) / _MOST_POINTS)
    bins = [points[i : i + size] for i in range(0, len(points), size)] if size > 1 else [[p] for p in points]
    return [(sum(x for x, _ in b) / len(b), sum(y for _, y in b) / len(b)) for b in bins]
