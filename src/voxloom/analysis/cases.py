"""The cases of a report: which images are shown, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.pictures import pooled_window, shown
from voxloom.analysis.records import PredictionRecord
from voxloom.analysis.results import Result
from voxloom.analysis.summary import METRICS
from voxloom.analysis.tables import amount, remark
from voxloom.errors import DataError, SchemaError
from voxloom.panels import Window, panel, window_of
from voxloom.sources.images import read_image

__all__ = ["cases_section", "chosen_cases"]

_ORDER = "psnr"  # by which the best and the worst are told
_OTHERS = 4  # beside those three, of one result; of several there are fewer
_MOST_PANELS = 24
_SHOWN = ("psnr", "ssim", "dice")
_DARK = 0.1  # share of the common window below which an image's own is told


def chosen_cases(
    names: Sequence[str], values: Mapping[str, Mapping[str, float]], *, others: int = _OTHERS
) -> list[tuple[str, str]]:
    """Choose the images to show: the best, the median, the worst, and others evenly between.

    Parameters
    ----------
    names
        Images that can be shown.
    values
        Their metrics by name. Without any, the first names are taken.
    others
        How many to show beside those three.

    Returns
    -------
    list of tuple
        Role and name; the role of the others is empty.

    Examples
    --------
    >>> values = {name: {"psnr": float(i)} for i, name in enumerate("abcde")}
    >>> chosen_cases("abcde", values, others=1)
    [('best', 'e'), ('median', 'c'), ('worst', 'a'), ('', 'd')]
    """
    judged = {name: values[name].get(_ORDER, math.nan) for name in names if name in values}
    ranked = sorted((name for name in judged if not math.isnan(judged[name])), key=lambda n: (-judged[n], n))
    if len(ranked) < 3:
        return [("", name) for name in list(names)[: 3 + others]]
    places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
    rest = [name for i, name in enumerate(ranked) if i not in places.values()]
    spread = np.unique(np.linspace(0, len(rest) - 1, min(others, len(rest)) + 2)[1:-1].round().astype(int))
    return [(role, ranked[place]) for role, place in places.items()] + [("", rest[i]) for i in spread]


def cases_section(results: Sequence[Result]) -> Markup:
    """Return the heading and a figure for each chosen image; each result is a row of it.

    The first result with predictions decides which images are shown; at most 24 panels are embedded.
    """
    title = element("h2", "Images", id="images")
    made = [result for result in results if result.predictions is not None]
    if not made:
        return joined(title, remark("No folder of predictions was given."))
    first = made[0].predictions
    assert first is not None
    others = _OTHERS if len(made) == 1 else 1
    cases = chosen_cases(first.names, made[0].values, others=others)[: max(1, _MOST_PANELS // len(made))]
    drawn = _drawn(made)
    figures = [_figure(role, name, made, drawn) for role, name in cases]
    remarks = [remark(text) for each in made if each.predictions for text in each.predictions.remarks]
    return joined(title, *remarks, _explanation(made, cases, drawn), *figures)


@dataclass(frozen=True)
class _Drawn:
    """The windows that all pictures of the section share, and how they were found."""

    window: Window | None
    spread: Window | None
    how: str


def _drawn(made: Sequence[Result]) -> _Drawn:
    """Find the windows from the first result's targets, and from what deviations there are."""
    records = [result.predictions for result in made if result.predictions is not None]
    true = next((each.truth for each in records if each.truth), None)
    images = pooled_window(true or records[0].images.get("prediction", {}))
    deviations = {
        f"{i}/{name}": path
        for i, each in enumerate(records)
        for name, path in each.images.get("deviation", {}).items()
    }
    spread = pooled_window(deviations, low=0)
    window, count = images or (None, 0)
    how = f"{count} {'targets' if true else 'predictions'}"
    return _Drawn(window, (0.0, spread[0][1] or 1.0) if spread else None, how)


def _explanation(made: Sequence[Result], cases: Sequence[tuple[str, str]], drawn: _Drawn) -> Markup | None:
    if not cases or drawn.window is None:
        return None
    first = made[0].predictions
    total = len(first.names) if first else 0
    by = f" by {METRICS[_ORDER].label}" + (f" of {made[0].name}" if len(made) > 1 else "")
    order = f" Best, median and worst are{by}." if any(role for role, _ in cases) else ""
    black, white = drawn.window
    deviation = f" Deviations are drawn from 0 to {drawn.spread[1]:.4g}." if drawn.spread else ""
    told = element(
        "p",
        f"{len(cases)} of {amount(total, 'prediction')}.{order} All images share one intensity window, black "
        f"{black:.4g} and white {white:.4g}: the 0.5 and 99.5 percentiles of {drawn.how}. The "
        "difference is blue where the prediction is too low and red where it is too high, with the same "
        f"scale everywhere.{deviation}",
        class_="faint",
    )
    how = [(result.name, _how(result.predictions)) for result in made if result.predictions]
    lines = [
        element("p", f"{name + ' made' if len(made) > 1 else 'Made'} with: {text}.", class_="faint")
        for name, text in how
        if text
    ]
    return joined(told, *lines)


def _how(predictions: PredictionRecord) -> str:
    return ", ".join(
        f"{key.replace('_', ' ')} {predictions.facts[key]}"
        for key in ("task", "solver", "num_steps", "steps", "seed", "units", "samples_per_image")
        if predictions.facts.get(key) is not None
    )


def _figure(role: str, name: str, made: Sequence[Result], drawn: _Drawn) -> Markup:
    alone = len(made) == 1
    numbers = _numbers(made[0].values.get(name, {})) if alone else ""
    title = [element("b", role.capitalize()), " · "] if role else []
    caption = element("figcaption", *title, name, f" · {numbers}" if numbers else None)
    rows = [_row(name, result, drawn, is_named=not alone) for result in made]
    return element("figure", caption, *rows, class_="card")


def _row(name: str, result: Result, drawn: _Drawn, *, is_named: bool) -> Markup:
    """Return the pictures of one image from one result, below its name where there are several."""
    numbers = _numbers(result.values.get(name, {}))
    text = result.name + (f" · {numbers}" if numbers else "")
    head = element("div", text, class_="by") if is_named else None
    predictions = result.predictions
    if predictions is None or name not in predictions.images.get("prediction", {}):
        return joined(head, element("p", "Was not predicted.", class_="faint"))
    try:
        pictures = _pictures(name, predictions, drawn)
    except (DataError, SchemaError) as error:
        return joined(head, remark(f"Cannot be shown: {error}"))
    return joined(head, *pictures)


def _numbers(values: Mapping[str, float]) -> str:
    return " · ".join(
        f"{METRICS[m].label} {METRICS[m].format(values[m])} {METRICS[m].unit}".rstrip()
        for m in _SHOWN
        if m in values
    )


def _pictures(name: str, predictions: PredictionRecord, drawn: _Drawn) -> list[Markup]:
    row = [(role, read_image(path)[0]) for role, path in predictions.row(name)]
    roles = [role for role, _ in row]
    # What can be compared with the prediction: its target, or the original of a reconstruction.
    comparable = "target" in roles or "original" in roles
    images = panel(row, window=drawn.window, difference=comparable)
    pictures = [shown(images, f"{name}: {', '.join(roles)}")]
    deviation = predictions.images.get("deviation", {}).get(name)
    if drawn.spread is not None:
        title = "deviation of samples"
        spread = np.zeros_like(row[0][1]) if deviation is None else read_image(deviation)[0]
        beside = panel([(title, spread)], window=drawn.spread, difference=False)
        # Without a deviation its place stays empty, so that the scale is that of the other results.
        space = element("span", style=f"flex: 0 1 {beside.shape[1]}px")
        pictures.append(space if deviation is None else shown(beside, f"{name}: {title}"))
    own = window_of(row[-2 if comparable else -1][1])
    return [element("div", *pictures, class_="pictures"), *_in_the_dark(own, drawn.window)]


def _in_the_dark(own: Window, common: Window | None) -> list[Markup]:
    """Tell where the common window hides what an image holds."""
    if common is None or own[1] - own[0] >= _DARK * (common[1] - common[0]):
        return []
    text = f"Its own window is {own[0]:.4g} to {own[1]:.4g}, a small part of the common one."
    return [element("p", text, class_="faint")]
