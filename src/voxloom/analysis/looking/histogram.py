"""Histograms of what was seen, as numbers, as SVG for a page, and as a picture for a sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from voxloom.analysis.looking.drawing import Picture
from voxloom.analysis.looking.seen import Seen
from voxloom.analysis.markup import Markup, element, joined
from voxloom.component import Component
from voxloom.lettering import drawable

__all__ = ["Histogram", "as_picture", "as_svg", "histogram_of"]

_BINS = 64
_WIDTH, _HEIGHT = 300, 84  # pixels of a drawing
_GROUND, _WELL, _BAR, _TEXT, _FAINT = (
    (24, 24, 27), (36, 36, 40), (86, 180, 233), (236, 236, 240), (161, 161, 170)
)  # fmt: skip
_LINE, _SIZE = 18, 13
_TAIL = 0.1  # percent left out at each end


class Histogram(Component):
    """Counts of values in bins of one width, of one or several parts."""

    field: str
    """What it is of."""
    low: float
    """Lower end of the first bin."""
    high: float
    """Upper end of the last bin."""
    shares: Mapping[str, tuple[float, ...]]
    """Share of the values in each bin, by part."""
    beyond: float
    """Share of the values outside: the outermost 0.1 % at each end are left out where they are far away."""


def histogram_of(name: str, parts: Mapping[str, Sequence[Seen]]) -> Histogram | None:
    """Return the histogram of a field over what was remembered of its values; None without any.

    Parameters
    ----------
    name
        Of the field.
    parts
        What was seen of each part of a split; one part is enough.

    Examples
    --------
    >>> from voxloom.sample import Field
    >>> seen = Seen.of("a", np.arange(256, dtype="uint8").reshape(16, 16), Field(name="x", axes="yx"))
    >>> made = histogram_of("x", {"": [seen]})
    >>> made.low, made.high, len(made.shares[""])
    (-0.5, 255.5, 64)
    """
    values = {part: _values(seen) for part, seen in parts.items()}
    values = {part: each for part, each in values.items() if each.size}
    if not values:
        return None
    together = np.concatenate(list(values.values()))
    is_whole = all(np.dtype(s.dtype).kind in "biu" for seen in parts.values() for s in seen)
    low, high = _ends(together, is_whole=is_whole)
    bins = _BINS
    if is_whole:  # bins as wide as a whole number of values, or some would hold one more than others
        width = max(1, -(-round(high - low) // _BINS))
        bins = -(-round(high - low) // width)
        high = low + bins * width
        above = max(0.0, high - 0.5 - _most(parts))
        low, high = low - above, high - above  # no value that the type does not have
    edges = np.linspace(low, high, bins + 1)
    shares = {part: np.histogram(each, edges)[0] / each.size for part, each in values.items()}
    beyond = float(np.mean((together < low) | (together > high)))
    return Histogram(
        field=name,
        low=low,
        high=high,
        shares={part: tuple(each.tolist()) for part, each in shares.items()},
        beyond=beyond,
    )


def as_svg(histogram: Histogram) -> Markup:
    """Draw a histogram for a page: bars, or a line for each of several parts; the style is the page's."""
    top = max((max(each) for each in _heights(histogram).values()), default=1.0) or 1.0
    shapes = [
        _bars(each, top) if len(histogram.shares) == 1 else _line(each, top, number)
        for number, each in enumerate(_heights(histogram).values())
    ]
    drawn = joined(*shapes)
    picture = _element_svg(drawn, f"Histogram of {histogram.field}")
    ends = element(
        "div",
        *(element("span", end) for end in _ends_told(histogram)),
        class_="ends",
    )
    names = [
        element("span", element("i", class_=f"part{number}"), part)
        for number, part in enumerate(histogram.shares)
        if len(histogram.shares) > 1
    ]
    return joined(picture, ends, element("div", *names, class_="parts") if names else None)


def as_picture(histogram: Histogram) -> Picture:
    """Draw a histogram for a sheet, its title above and the ends of its values below; the parts together."""
    heights = np.mean(list(_heights(histogram).values()), axis=0)
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT + 2 * _LINE), _GROUND)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, _LINE, _WIDTH - 1, _LINE + _HEIGHT - 1), fill=_WELL)
    top, bins = max(float(heights.max()), 1e-12), len(heights)
    for i, height in enumerate(heights / top):
        left, right = round(i * _WIDTH / bins), round((i + 1) * _WIDTH / bins) - 1
        upper = _LINE + _HEIGHT - max(1, round(height * (_HEIGHT - 4))) if height > 0 else None
        if upper is not None:
            draw.rectangle((left, upper, max(left, right), _LINE + _HEIGHT - 1), fill=_BAR)
    title, font = drawable(f"values of {histogram.field}", _SIZE)
    draw.text((0, _LINE / 2), title, fill=_TEXT, font=font, anchor="lm")
    below = _LINE + _HEIGHT + _LINE / 2
    low, high = _ends_told(histogram)
    draw.text((0, below), low, fill=_FAINT, font=font, anchor="lm")
    draw.text((_WIDTH - 1, below), high, fill=_FAINT, font=font, anchor="rm")
    return np.asarray(canvas)


def _values(seen: Sequence[Seen]) -> npt.NDArray[np.float32]:
    return np.concatenate([each.values for each in seen]) if seen else np.zeros(0, np.float32)


def _most(parts: Mapping[str, Sequence[Seen]]) -> float:
    """Return the largest whole number that any of the types holds."""
    types = {np.dtype(each.dtype) for seen in parts.values() for each in seen}
    return float(max(np.iinfo(dtype).max if dtype.kind in "iu" else 1 for dtype in types))


def _ends(values: npt.NDArray[np.float32], *, is_whole: bool) -> tuple[float, float]:
    """Return the ends: those of all values, or of all but the outermost where these are far away."""
    low, high = float(values.min()), float(values.max())
    inner = [float(v) for v in np.percentile(values, (_TAIL, 100 - _TAIL))]
    if high - low > 2 * (inner[1] - inner[0]) > 0:
        low, high = inner
    if is_whole:
        return low - 0.5, high + 0.5
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _heights(histogram: Histogram) -> dict[str, npt.NDArray[np.float64]]:
    """Return square roots of the shares, so that a large background leaves the rest to be seen."""
    return {part: np.sqrt(np.asarray(each)) for part, each in histogram.shares.items()}


def _bars(heights: npt.NDArray[np.float64], top: float) -> Markup:
    """Return the bars as one outline: bars of their own would have hairlines between them."""
    step = _WIDTH / len(heights)
    path = "".join(f"V{_HEIGHT - height / top * (_HEIGHT - 4):.1f}h{step:.3f}" for height in heights)
    return element("path", d=f"M0 {_HEIGHT}{path}V{_HEIGHT}z", class_="bars")


def _line(heights: npt.NDArray[np.float64], top: float, number: int) -> Markup:
    step = _WIDTH / len(heights)
    points = "".join(
        f"{'L' if i else 'M'}{i * step:.1f} {_HEIGHT - height / top * (_HEIGHT - 4):.1f}h{step:.2f}"
        for i, height in enumerate(heights)
    )
    return element("path", d=points, class_=f"line part{number}")


def _element_svg(drawn: Markup, label: str) -> Markup:
    attributes: dict[str, Any] = {
        "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "preserveAspectRatio": "none", "role": "img",
        "aria-label": label,
    }  # fmt: skip
    return element("svg", drawn, **attributes)


def _ends_told(histogram: Histogram) -> tuple[str, str]:
    """Return the lowest and the highest value; of whole numbers those, and not the ends of bins."""
    low, high = histogram.low, histogram.high
    if low % 1 == 0.5 and high % 1 == 0.5:
        return _short(low + 0.5), _short(high - 0.5)
    return _short(low), _short(high)


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
