"""Mean errors on the page: where in the frame a model errs, whatever the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from voxloom.analysis.error_maps import ErrorMaps, intensity, mean_errors
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.pictures import shown
from voxloom.analysis.results import Result
from voxloom.analysis.tables import amount, remark
from voxloom.panels import diverging, shaded, window_of

__all__ = ["error_maps_section"]

_SIZE = 256  # pixels that the longer side is brought near to


def error_maps_section(results: Sequence[Result]) -> Markup:
    """Return the mean absolute error and the mean error of each result, in the same scales.

    Nothing where no result has targets.
    """
    with_truth = [r for r in results if r.predictions and r.predictions.truth and r.predictions.names]
    found = {r.name: mean_errors(r.predictions) for r in with_truth if r.predictions}
    if not found:
        return Markup()
    title = element("h2", "Where it errs", id="errors")
    known = {name: maps for name, maps in found.items() if maps is not None}
    missing = [name for name in found if name not in known]
    told = [
        remark(f"{name}: no two images of one size can be compared, so there is no mean over them.")
        for name in missing
    ]
    if not known:
        return joined(title, *told)
    top = max(float(np.percentile(maps.absolute, 99.5)) for maps in known.values()) or 1.0
    rows = [_row(name if len(found) > 1 else "", maps, top) for name, maps in known.items()]
    return joined(title, element("div", _explained(top), *told, *rows, class_="card"))


def _row(name: str, maps: ErrorMaps, top: float) -> Markup:
    pictures = [
        _map("mean target", shaded(_sized(maps.target), window_of(maps.target))),
        _map("mean absolute error", intensity(_sized(maps.absolute) / top), "heat", f"0 to {top:.3g}"),
        _map("mean error", diverging(_sized(maps.bias) / top), "signed", f"-{top:.3g} to {top:.3g}"),
    ]
    why = "of another size, unreadable, or with values that are no numbers"
    left = f"{amount(maps.left_out, 'image')} left out ({why})" if maps.left_out else ""
    told = " · ".join(text for text in (name, amount(maps.count, "image"), left) if text)
    return joined(element("div", told, class_="by"), element("div", *pictures, class_="maps"))


def _map(title: str, picture: npt.NDArray[np.uint8], bar: str = "", scale: str = "") -> Markup:
    ramp = element("span", class_=f"ramp {bar}") if bar else None
    caption = element("figcaption", title, ": " if scale else None, ramp, scale or None)
    repeats = max(1, _SIZE // max(picture.shape[:2]))
    return element("figure", shown(picture.repeat(repeats, 0).repeat(repeats, 1), title), caption)


def _sized(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return a map with its longer side brought near to the size, by averaging."""
    factor = max(values.shape) // _SIZE
    return np.asarray(Image.fromarray(values.astype(np.float32)).reduce(factor)) if factor > 1 else values


def _explained(top: float) -> Markup:
    return element(
        "p",
        "Means over the images, pixel by pixel, in the images' unit; they tell what many images share, "
        "such as a border, or an organ that is always too bright. The mean error (prediction minus target) "
        "is blue where predictions are too low and red where they are too high. Where the absolute error is "
        f"large and the mean error small, errors go both ways. Scales end at {top:.3g}, the 99.5 percentile "
        "of the largest mean absolute error. At most 256 images are taken, evenly chosen. The cases above "
        "show their own differences.",
        class_="faint",
    )
