"""Classes drawn over the image that they were seen in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from voxloom.lettering import drawable
from voxloom.panels import Window, shaded, window_of

__all__ = ["legend", "overlaid"]

Array = npt.NDArray[Any]

_GROUND, _TEXT = (24, 24, 27), (236, 236, 240)
_ROW, _SQUARE, _GAP, _LETTERS = 22, 12, 6, 12  # pixels


def overlaid(
    image: Array,
    masks: Array,
    colours: Sequence[tuple[int, int, int]],
    *,
    window: Window | None = None,
    dimmed: Array | None = None,
    opacity: float = 0.45,
) -> Array:
    """Return an image in grey with classes in colour over it.

    Parameters
    ----------
    image
        (H, W).
    masks
        (classes, H, W): where each class is. Where several are, their colours are mixed.
    colours
        Red, green and blue of each class, 0 to 255.
    window
        The values drawn black and white; by default the image's 0.5 and 99.5 percentiles.
    dimmed
        (H, W), where the image is drawn darker: for what nobody annotated.
    opacity
        How much of the image a colour hides, 0 to 1.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Examples
    --------
    >>> masks = np.array([[[True, False, True]], [[False, False, True]]])
    >>> overlaid(np.zeros((1, 3)), masks, [(200, 0, 0), (0, 200, 0)], opacity=0.5)[0].tolist()
    [[100, 0, 0], [0, 0, 0], [50, 50, 0]]
    """
    grey = shaded(image, window or window_of(image)).astype(np.float64)
    if dimmed is not None:
        grey[np.asarray(dimmed, bool)] *= 0.5
    marks = np.asarray(masks, np.float64)
    number = marks.sum(0)[..., None]
    tint = np.einsum("chw,ck->hwk", marks, np.asarray(colours, np.float64).reshape(-1, 3))
    mixed = (1 - opacity) * grey + opacity * tint / np.maximum(number, 1)
    drawn: Array = np.where(number > 0, mixed, grey).round().astype(np.uint8)
    return drawn


def legend(names: Sequence[str], colours: Sequence[tuple[int, int, int]], width: int) -> Array:
    """Return a strip with the colour of each class beside its name, to stand under a picture.

    Parameters
    ----------
    names
        As many as fit are drawn, in rows as they are needed.
    colours
        Red, green and blue of each, 0 to 255.
    width
        Of the picture, in pixels.

    Returns
    -------
    numpy.ndarray
        (H, width, 3) uint8.

    Examples
    --------
    >>> legend(["mito", "er"], [(200, 0, 0), (0, 200, 0)], 300).shape
    (22, 300, 3)
    """
    drawn = [drawable(name, _LETTERS) for name in names]
    places, x, y = [], _GAP, 0
    for text, font in drawn:
        needed = _SQUARE + 4 + int(font.getlength(text))
        if x > _GAP and x + needed > width:
            x, y = _GAP, y + _ROW
        places.append((x, y))
        x += needed + 2 * _GAP
    canvas = Image.new("RGB", (width, y + _ROW), _GROUND)
    draw = ImageDraw.Draw(canvas)
    for (text, font), colour, (x, y) in zip(drawn, colours, places, strict=True):
        top = y + (_ROW - _SQUARE) // 2
        draw.rectangle((x, top, x + _SQUARE - 1, top + _SQUARE - 1), fill=tuple(colour))
        draw.text((x + _SQUARE + 4, y + _ROW / 2), text, fill=_TEXT, font=font, anchor="lm")
    return np.asarray(canvas)
