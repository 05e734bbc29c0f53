"""The parts of a chart as SVG text: axes, a grid, lines, colours that follow the reader's scheme.

The SVG is written by hand: it stays small and sharp, its text is text, and its colours can follow the
page's light or dark scheme, which a plotting library's cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["COLOURS", "Axis", "Box", "dash_of", "drawing", "grid", "line", "note", "tick_label"]

Points = list[tuple[float, float]]

_LOG_FROM = 20  # largest over smallest value from which an axis is logarithmic
_TICK = 4  # pixels between an axis and its numbers

# Okabe and Ito's colours, told apart by colour-blind readers; lighter ones of the same hues on dark.
_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#b35a8c", "#b07800", "#2a8fc7", "#4d4d52")
_DARK = ("#56b4e9", "#ff9a4d", "#2fc99a", "#e6a3ca", "#f0c040", "#a5d8f5", "#c9c9d1")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "14 4", "4 2 1 2", "1 2")

COLOURS = len(_LIGHT)
"""How many colours there are before they begin again, then with other dashes."""


def _variables(colours: Sequence[str]) -> str:
    return "".join(f"--c{i}:{colour};" for i, colour in enumerate(colours))


_STYLE = (
    ".vx{font:12px system-ui,sans-serif}"
    f".vx{{--ink:#18181b;--faint:#63636e;--line:#e4e4e7;{_variables(_LIGHT)}}}"
    "@media (prefers-color-scheme:dark){"
    f".vx{{--ink:#f4f4f5;--faint:#a1a1aa;--line:#3f3f46;{_variables(_DARK)}}}}}"
    f"@media print{{.vx{{--ink:#18181b;--faint:#52525b;--line:#d4d4d8;{_variables(_LIGHT)}}}}}"
    ".vx .name{fill:var(--ink);font-weight:600;font-size:13px}"
    ".vx .note{fill:var(--faint);font-weight:400}"
    ".vx .grid{stroke:var(--line);stroke-width:1}"
    ".vx .ideal{stroke:var(--faint);stroke-dasharray:3 4;stroke-width:1.4}"
    ".vx path{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    + "".join(
        f".vx path.c{i}{{stroke:var(--c{i})}}.vx .mark.c{i}{{fill:var(--c{i})}}" for i in range(len(_LIGHT))
    )
)


@dataclass(frozen=True)
class Axis:
    """Places values between two pixels.

    Attributes
    ----------
    low, high
        Values at the ends.
    start, end
        Pixels of the ends.
    log
        Whether it is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> Axis:
        """Return an axis with room around some values, logarithmic where they span a factor of 20.

        Examples
        --------
        >>> Axis.around([1, 1000], 0, 100).log, Axis.around([0, 1000], 0, 100).log
        (True, False)
        """
        values = list(values)
        low, high = min(values), max(values)
        log = low > 0 and high / low >= _LOG_FROM
        if log:
            return cls(low / 1.15, high * 1.15, start, end, log=True)
        margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        return cls(low - margin, high + margin, start, end)

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Return a few round values within the axis."""
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


@dataclass(frozen=True)
class Box:
    """Size of one chart and the room around its axes, in pixels."""

    width: int = 360
    height: int = 200
    left: int = 56
    right: int = 14
    top: int = 40
    bottom: int = 28

    def x(self, low: float, high: float, *, log: bool = False) -> Axis:
        """Return a horizontal axis between two values."""
        return Axis(low, high, self.left, self.width - self.right, log)

    def y(self, low: float, high: float, *, log: bool = False) -> Axis:
        """Return a vertical axis between two values, the low one below."""
        return Axis(low, high, self.height - self.bottom, self.top, log)

    def y_around(self, values: Iterable[float]) -> Axis:
        """Return a vertical axis with room around some values."""
        return Axis.around(values, self.height - self.bottom, self.top)


def drawing(parts: Iterable[str], *, width: int, height: int, label: str) -> str:
    """Return an ``<svg>`` that follows the light or dark scheme and never grows beyond its size.

    Examples
    --------
    >>> drawing([note(1, 2, "a & b")], width=9, height=9, label="example").endswith("</svg>")
    True
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vx" viewBox="0 0 {width} {height}" '
        f'style="width:100%;max-width:{width}px" role="img" aria-label="{escape(label)}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>"
    )


def grid(x: Axis, y: Axis, *, upright: bool = False) -> str:
    """Return the lines of a grid and the numbers at its axes; upright lines only where asked for."""
    heights = [(y.place(tick), tick_label(tick)) for tick in y.ticks()]
    places = [(x.place(tick), tick_label(tick)) for tick in x.ticks()]
    lines = [f'<path class="grid" d="M{x.start} {h:.1f}H{x.end}"/>' for h, _ in heights]
    if upright:
        lines += [f'<path class="grid" d="M{p:.1f} {y.start}V{y.end}"/>' for p, _ in places]
    left = [note(x.start - 6, h + _TICK, text, "end") for h, text in heights]
    bottom = [note(place, y.start + 16, text, "middle") for place, text in places]
    return "".join(lines + left + bottom)


def line(points: Points, x: Axis, y: Axis, number: int, *, dots: bool = False, dash: str = "") -> str:
    """Return points joined in the colour of a number; with dots where each of them is to be seen."""
    places = [(x.place(a), y.place(b)) for a, b in points]
    path = " ".join(f"{'L' if i else 'M'}{px:.1f} {py:.1f}" for i, (px, py) in enumerate(places))
    style, dashed = f"c{number % COLOURS}", f' stroke-dasharray="{dash}"' if dash else ""
    marks = [f'<circle class="mark {style}" cx="{px:.1f}" cy="{py:.1f}" r="2.6"/>' for px, py in places]
    return (f'<path class="{style}" d="{path}"{dashed}/>' if path else "") + ("".join(marks) if dots else "")


def note(x: float, y: float, text: str, anchor: str = "start", style: str = "note") -> str:
    """Return a text, by default a small and faint one."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def dash_of(number: int) -> str:
    """Return a pattern of dashes: with the colour of the same number it is told apart from 48 others."""
    return _DASHES[(number + number // COLOURS) % len(_DASHES)]


def tick_label(value: float) -> str:
    """Return a short text for a number at an axis.

    Examples
    --------
    >>> tick_label(20_000), tick_label(0.25)
    ('20k', '0.25')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
