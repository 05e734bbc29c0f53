"""Images as they stand in a page: in one intensity window, inside the file itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from voxloom.analysis.listing import evenly
from voxloom.analysis.markup import Markup, element
from voxloom.errors import DataError
from voxloom.panels import Window, window_of
from voxloom.sources.images import read_image

__all__ = ["pooled_window", "shown"]

_MOST_IMAGES = 32
_MOST_PIXELS = 16_384  # of one image


def pooled_window(
    images: Mapping[str, Path], *, low: float = 0.5, high: float = 99.5
) -> tuple[Window, int] | None:
    """Return one intensity window for many images, and the number of images that it was found from.

    Parameters
    ----------
    images
        Files by name; at most 32 of them, evenly chosen, are read.
    low, high
        Percentiles of their pixels that become black and white.

    Returns
    -------
    tuple or None
        None where none could be read.
    """
    pixels = []
    for name in evenly(list(images), _MOST_IMAGES):
        try:
            values = read_image(images[name])[0].ravel()
        except DataError:
            continue  # told where the image itself is shown
        pixels.append(values[:: max(1, len(values) // _MOST_PIXELS)].astype(np.float64))
    return (window_of(np.concatenate(pixels), low=low, high=high), len(pixels)) if pixels else None


def shown(picture: npt.NDArray[Any], text: str) -> Markup:
    """Return an ``<img>`` that holds its picture, (H, W, 3) uint8, as a PNG.

    Pictures beside each other share the width in proportion, so that their scale is the same.

    Examples
    --------
    >>> shown(np.zeros((2, 2, 3), np.uint8), "two by two")[:40]
    '<img src="data:image/png;base64,iVBORw0K'
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    height, width = picture.shape[:2]
    return element(
        "img", src=url, alt=text, width=str(width), height=str(height), decoding="async",
        style=f"flex: 0 1 {width}px",
    )  # fmt: skip
