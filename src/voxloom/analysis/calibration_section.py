"""Uncertainty on the page: whether what a model calls uncertain is where it errs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from voxloom.analysis.axes import COLOURS, Box, dash_of, drawing, grid, line, note
from voxloom.analysis.calibration import LEVELS, Calibration, measure_calibration
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.results import Result
from voxloom.analysis.tables import amount, remark

__all__ = ["calibration_charts", "calibration_section"]

_BOX = Box(width=380, height=330, left=62, right=18, top=34, bottom=50)
_GAP = 40


def calibration_section(results: Sequence[Result]) -> Markup:
    """Return charts and a table for the results that have deviations; nothing where none has.

    Parameters
    ----------
    results
        Those with images of the role deviation are compared with their targets.
    """
    with_deviation = [r for r in results if r.predictions and r.predictions.images.get("deviation")]
    if not with_deviation:
        return Markup()
    measured = {r.name: measure_calibration(r.predictions) for r in with_deviation if r.predictions}
    found = {name: each for name, each in measured.items() if each is not None and each.pixels}
    told = [
        remark(f"{name}: no image has a prediction, its deviation and a target, so nothing can be said.")
        for name in measured
        if name not in found
    ]
    content = [Markup(calibration_charts(found)), _table(found), _explained(found)] if found else []
    return joined(
        element("h2", "Uncertainty", id="uncertainty"), element("div", *told, *content, class_="card whole")
    )


def calibration_charts(found: Mapping[str, Calibration]) -> str:
    """Draw the reliability of deviations and the coverage of intervals, a line a result.

    Parameters
    ----------
    found
        Calibration by name.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    charts = [_reliability(found), _coverage(found)]
    moved = [
        f'<g transform="translate({i * (_BOX.width + _GAP)},0)">{chart}</g>' for i, chart in enumerate(charts)
    ]
    names = list(found)
    legend = (
        "".join(_key(i, name, _BOX.height + 16 + 18 * i) for i, name in enumerate(names))
        if len(names) > 1
        else ""
    )
    height = _BOX.height + (18 * len(names) + 12 if legend else 0)
    label = "reliability of the predicted deviation, and coverage of central intervals"
    return drawing([*moved, legend], width=2 * _BOX.width + _GAP, height=height, label=label)


def _reliability(found: Mapping[str, Calibration]) -> str:
    values = [float(v) for each in found.values() for v in (*each.sigma, *each.rmse) if v > 0]
    if not values:
        return note(_BOX.left, 60, "All deviations are 0: all samples agree.")
    both = _BOX.y_around(values)
    x, y = (axis(both.low, both.high, log=both.log) for axis in (_BOX.x, _BOX.y))
    lines = [
        line(_bins(each, both.low), x, y, i, dots=True, dash=dash_of(i))
        for i, each in enumerate(found.values())
    ]
    ideal = f'<path class="ideal" d="M{x.start} {y.start}L{x.end} {y.end}"/>'
    axes = _titles(
        "Actual error of pixels, by their deviation", "predicted deviation", "root mean squared error"
    )
    return axes + grid(x, y, upright=True) + ideal + "".join(lines) + _sides()


def _bins(each: Calibration, least: float) -> list[tuple[float, float]]:
    """Return the points of a line; an error too small for the axis is drawn at its end."""
    pairs = zip(each.sigma.tolist(), each.rmse.tolist(), strict=True)
    return [(sigma, max(rmse, least)) for sigma, rmse in pairs if sigma >= least]


def _sides() -> str:
    top, low = (_BOX.left + 10, _BOX.top + 16), (_BOX.width - _BOX.right - 8, _BOX.height - _BOX.bottom - 8)
    return note(*top, "errs more than it says") + note(*low, "errs less than it says", "end")


def _coverage(found: Mapping[str, Calibration]) -> str:
    x, y = _BOX.x(0, 1), _BOX.y(0, 1)
    lines = [
        line(sorted(each.coverage.items()), x, y, i, dash=dash_of(i))
        + line([(level, each.coverage[level]) for level in LEVELS], x, y, i, dots=True, dash="0 9999")
        for i, each in enumerate(found.values())
        if each.constant < 1
    ]
    ideal = f'<path class="ideal" d="M{x.start} {y.start}L{x.end} {y.end}"/>'
    axes = _titles("Targets inside central intervals", "nominal share", "share of pixels")
    return axes + grid(x, y, upright=True) + ideal + "".join(lines)


def _titles(title: str, below: str, beside: str) -> str:
    middle = (_BOX.left + _BOX.width - _BOX.right) / 2
    height = (_BOX.top + _BOX.height - _BOX.bottom) / 2
    turned = f'<g transform="rotate(-90 14 {height:.0f})">{note(14, height, beside, "middle")}</g>'
    return note(_BOX.left, 18, title, style="name") + note(middle, _BOX.height - 12, below, "middle") + turned


def _key(number: int, name: str, y: int) -> str:
    dash = dash_of(number)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path class="c{number % COLOURS}" d="M{_BOX.left} {y}h28"{dashed}/>' + note(
        _BOX.left + 36, y + 4, name
    )


def _table(found: Mapping[str, Calibration]) -> Markup:
    levels = [f"inside {100 * level:g} %" for level in LEVELS]
    names = ("", "Calibration error (ENCE) ↓", *levels, "deviation 0", "of these wrong", "images", "pixels")
    head = element("tr", *(element("th", text) for text in names))
    body = [
        element("tr", element("th", name), *(element("td", text) for text in _row(each)))
        for name, each in found.items()
    ]
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")


def _row(each: Calibration) -> list[str]:
    ence = "-" if math.isnan(each.ence) else f"{each.ence:.3f}"
    inside = [_percent(each.coverage[level]) for level in LEVELS]
    constant = [_percent(each.constant), _percent(each.constant_wrong)]
    return [ence, *inside, *constant, f"{each.images:,}", f"{each.pixels:,}"]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def _explained(found: Mapping[str, Calibration]) -> Markup:
    told = (
        "Left: pixels in 15 bins of equal number, in order of their predicted deviation; on the dotted "
        "diagonal the deviation tells the size of the error. The calibration error is the mean over the "
        "bins of |deviation - error| / deviation (ENCE, Levi et al. 2022); 0 is perfect. Right: how often "
        "the target lies inside the central interval; below the diagonal a model is too sure. Pixels are "
        "drawn at random from at most 256 images, two million in all. Pixels whose deviation is 0 (all "
        "samples agree, as on an empty background) are left out of both; the table tells their share, "
        "and how many of them have an error."
    )
    few = [f"{name} {each.samples}" for name, each in found.items() if each.samples]
    drawn = (
        f" Samples of each image: {', '.join(few)}. The deviation of n samples is multiplied by "
        "√((n + 1) / (n - 1)), so that a perfect sampler lies on the diagonal (Fortin et al. 2014), and "
        "intervals are Student's with n - 1 degrees of freedom. With few samples the deviation itself is "
        "noisy: the line is then flatter than the diagonal even for a perfect sampler."
    )
    left = [f"{name}: {amount(each.left_out, 'image')}" for name, each in found.items() if each.left_out]
    rest = f" Left out, as they cannot be read or differ in size: {', '.join(left)}." if left else ""
    return element("p", told + (drawn if few else "") + rest, class_="faint")
