"""The pictures of a report: which images are shown, and how."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import EvaluationRecord, PredictionRecord
from voxloom.analysis.summary import METRICS
from voxloom.errors import DataError, SchemaError
from voxloom.panels import panel
from voxloom.sources.images import read_image

__all__ = ["cases_section", "chosen_cases"]

Picture = tuple[str, npt.NDArray[np.uint8]]

_ORDER = "psnr"  # by which the best and the worst are told
_OTHERS = 4
_SHOWN = ("psnr", "ssim", "dice")


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


def cases_section(predictions: PredictionRecord | None, evaluation: EvaluationRecord | None) -> Markup:
    """Return the heading and a figure for each chosen image."""
    if predictions is None:
        return joined(
            element("h2", "Images"), element("p", "No folder of predictions was given.", class_="remark")
        )
    values = evaluation.images if evaluation else {}
    cases = chosen_cases(predictions.names, values)
    figures = [_figure(role, name, predictions, values.get(name, {})) for role, name in cases]
    remarks = [element("p", remark, class_="remark") for remark in predictions.remarks]
    return joined(element("h2", "Images"), *remarks, _explanation(predictions, cases), *figures)


def _explanation(predictions: PredictionRecord, cases: Sequence[tuple[str, str]]) -> Markup | None:
    if not cases:
        return None
    order = (
        f" Best, median and worst are by {METRICS[_ORDER].label}." if any(role for role, _ in cases) else ""
    )
    made = ", ".join(
        f"{key.replace('_', ' ')} {predictions.facts[key]}"
        for key in ("task", "solver", "num_steps", "steps", "seed", "units", "samples_per_image")
        if predictions.facts.get(key) is not None
    )
    return joined(
        element(
            "p",
            f"{len(cases)} of {len(predictions.names)} predictions.{order} The images of a row share one "
            "intensity window, from 0.5 to 99.5 percent of the target's values, written below it. The "
            "difference is blue where the prediction is too low and red where it is too high.",
            class_="faint",
        ),
        element("p", f"Made with: {made}.", class_="faint") if made else None,
    )


def _figure(role: str, name: str, predictions: PredictionRecord, values: Mapping[str, float]) -> Markup:
    numbers = " · ".join(
        f"{METRICS[m].label} {METRICS[m].format(values[m])} {METRICS[m].unit}".rstrip()
        for m in _SHOWN
        if m in values
    )
    caption = element(
        "figcaption", element("b", role.capitalize()) if role else None, " · " if role else None, name,
        f" · {numbers}" if numbers else None,
    )  # fmt: skip
    try:
        pictures = _pictures(name, predictions)
    except (DataError, SchemaError) as error:
        return element(
            "figure", caption, element("p", f"Cannot be shown: {error}", class_="remark"), class_="card"
        )
    return element(
        "figure", caption, element("div", *map(_shown, pictures), class_="pictures"), class_="card"
    )


def _shown(picture: Picture) -> Markup:
    title, image = picture
    # Pictures beside each other share the width in proportion, so that their scale is the same.
    style = f"flex: 0 1 {image.shape[1]}px"
    return element("img", src=_data_url(image), alt=title, style=style)


def _pictures(name: str, predictions: PredictionRecord) -> list[Picture]:
    row = [(role, read_image(path)[0]) for role, path in predictions.row(name)]
    roles = [role for role, _ in row]
    # What can be compared with the prediction: its target, or the original of a reconstruction.
    comparable = "target" in roles or "original" in roles
    pictures = [(f"{name}: {', '.join(roles)}", panel(row, difference=comparable))]
    deviation = predictions.images.get("deviation", {}).get(name)
    if deviation is not None:
        spread = read_image(deviation)[0]
        window = (0.0, float(np.percentile(spread, 99.5)) or 1.0)
        title = "deviation of samples"
        pictures.append((f"{name}: {title}", panel([(title, spread)], window=window, difference=False)))
    return pictures


def _data_url(picture: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
