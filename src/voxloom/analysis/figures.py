"""Curves of a run as one SVG picture that follows the page's light or dark colours.

The SVG is written by hand: it stays small and sharp, its text is text, and its colours can follow the
reader's scheme, which a plotting library's cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["loss_curves"]

Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]

_NOT_CURVES = {"step", "epoch", "split", "time"}
_FIRST, _LAST = ("loss", "psnr"), ("lr", "images_per_second")  # the rest stands between, as it comes
_COLUMNS, _WIDTH, _HEIGHT = 3, 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 40, 28  # around the axes of one chart
_LEGEND = 28
_MOST_POINTS = 240  # of a line; more are averaged in bins
_MOST_DOTS = 40  # on a line of validations
_LOG_FROM = 20  # largest over smallest value from which the axis is logarithmic

# Blue and orange of Okabe and Ito: told apart by colour-blind readers, and by the dots in print.
_STYLE = """
.vx{font:12px system-ui,sans-serif}
.vx{--ink:#18181b;--faint:#63636e;--line:#e4e4e7;--train:#0072b2;--val:#d55e00}
@media (prefers-color-scheme:dark){
.vx{--ink:#f4f4f5;--faint:#a1a1aa;--line:#3f3f46;--train:#56b4e9;--val:#ff9a4d}}
@media print{
.vx{--ink:#18181b;--faint:#52525b;--line:#d4d4d8;--train:#0072b2;--val:#d55e00}}
.vx .name{fill:var(--ink);font-weight:600;font-size:13px}
.vx .note{fill:var(--faint);font-weight:400}
.vx .grid{stroke:var(--line)}
.vx path{fill:none;stroke-width:1.8;stroke-linejoin:round}
.vx path.train{stroke:var(--train)}.vx circle.train{fill:var(--train)}
.vx path.val{stroke:var(--val)}.vx circle.val{fill:var(--val)}
""".strip().replace("\n", "")


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
    curves = {
        name: {split: _points(rows, name, split) for split in ("train", "validation")}
        for name in _names(rows)
    }
    curves = {name: lines for name, lines in curves.items() if any(lines.values())}
    if not curves:
        return ""
    columns, label = min(_COLUMNS, len(curves)), escape(f"curves of {', '.join(curves)}")
    width, height = columns * _WIDTH, _LEGEND + math.ceil(len(curves) / columns) * _HEIGHT
    charts = [
        f'<g transform="translate({i % columns * _WIDTH},{_LEGEND + i // columns * _HEIGHT})">'
        f"{_chart(name, lines)}</g>"
        for i, (name, lines) in enumerate(curves.items())
    ]
    # max-width: a few charts keep their size instead of growing to the width of the page
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vx" viewBox="0 0 {width} {height}" '
        f'style="width:100%;max-width:{width}px" role="img" aria-label="{label}">'
        f"<style>{_STYLE}</style>{_legend()}{''.join(charts)}</svg>"
    )


@dataclass(frozen=True)
class _Axis:
    """Places values between two pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> _Axis:
        values = list(values)
        low, high = min(values), max(values)
        log = low > 0 and high / low >= _LOG_FROM
        if log:
            return cls(low / 1.15, high * 1.15, start, end, log=True)
        margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        return cls(low - margin, high + margin, start, end)

    def place(self, value: float) -> float:
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        return [tick for tick in self._candidates() if self.low <= tick <= self.high]

    def _candidates(self) -> list[float]:
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            every = max(1, (last - first) // 4)
            digits = (1, 2, 5) if last - first <= 2 else (1,)
            return [digit * 10.0**power for power in range(first, last + 1, every) for digit in digits]
        rough = (self.high - self.low) / 4
        unit = 10 ** math.floor(math.log10(rough))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
        return [i * step for i in range(math.floor(self.low / step), math.ceil(self.high / step) + 1)]


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


def _chart(name: str, lines: Mapping[str, Points]) -> str:
    points = [point for line in lines.values() for point in line]
    last = max(x for x, _ in points)
    x = _Axis(0, last or 1, _LEFT, _WIDTH - _RIGHT)
    y = _Axis.around((value for _, value in points), _HEIGHT - _BOTTOM, _TOP)
    ends = " · ".join(f"{split} {line[-1][1]:.4g}" for split, line in lines.items() if line)
    title = escape(name.replace("_", " ")) + ('<tspan class="note"> (log)</tspan>' if y.log else "")
    return (
        f'<text class="name" x="{_LEFT}" y="16">{title}</text>'
        f'<text class="note" x="{_LEFT}" y="31">{escape(ends)}</text>'
        + _grid(x, y)
        + _line(lines["train"], x, y, "train", dots=len(lines["train"]) == 1)
        + _line(lines["validation"], x, y, "val", dots=len(lines["validation"]) <= _MOST_DOTS)
    )


def _grid(x: _Axis, y: _Axis) -> str:
    right, below = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM + 16
    heights, places = (
        [(y.place(t), _label(t)) for t in y.ticks()],
        [(x.place(t), _label(t)) for t in x.ticks()],
    )
    lines = [f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{h:.1f}" y2="{h:.1f}"/>' for h, _ in heights]
    left = [_note(_LEFT - 6, h + 4, text, "end") for h, text in heights]
    bottom = [_note(place, below, text, "middle") for place, text in places]
    return "".join(lines + left + bottom)


def _note(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="note" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _line(points: Points, x: _Axis, y: _Axis, style: str, *, dots: bool) -> str:
    places = [(x.place(step), y.place(value)) for step, value in points]
    path = " ".join(f"{'L' if i else 'M'}{px:.1f} {py:.1f}" for i, (px, py) in enumerate(places))
    marks = [f'<circle class="{style}" cx="{px:.1f}" cy="{py:.1f}" r="2.6"/>' for px, py in places]
    return (f'<path class="{style}" d="{path}"/>' if path else "") + ("".join(marks) if dots else "")


def _legend() -> str:
    return (
        f'<path class="train" d="M{_LEFT} 10h22"/><path class="val" d="M{_LEFT + 96} 10h22"/>'
        f'<circle class="val" cx="{_LEFT + 107}" cy="10" r="2.6"/>'
        + _note(_LEFT + 28, 14, "training")
        + _note(_LEFT + 124, 14, "validation, over optimizer steps")
    )


def _label(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
