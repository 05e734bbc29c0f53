"""Classes drawn over the image that they were seen in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.panels import Window, shaded, window_of

__all__ = ["overlaid"]

Array = npt.NDArray[Any]


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
