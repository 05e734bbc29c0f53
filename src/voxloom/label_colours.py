"""The colour of a label, the same in each picture, in metadata and in the viewer."""

from __future__ import annotations

import colorsys

__all__ = ["Colour", "colour_of_label"]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# Of Okabe and Ito (2008, "Color Universal Design"), the brightest first, for they stand on dark images; their
# black is the background, so white is in its place.
_FIRST: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (213, 94, 0), (240, 228, 66),
    (0, 114, 178), (242, 242, 242),
)  # fmt: skip
_TURN = 0.6180339887498949  # of the circle of hues: neighbouring ids come to lie far apart


def colour_of_label(label: int) -> Colour:
    """Return the colour of an id: black for 0, eight that colour-blind people tell apart, then hues.

    Hues beyond the eighth are told apart from their neighbours, and not always from all others.

    Examples
    --------
    >>> colour_of_label(0), colour_of_label(1), colour_of_label(2)
    ((0, 0, 0), (230, 159, 0), (86, 180, 233))
    """
    if label == 0:
        return 0, 0, 0
    if 0 < label <= len(_FIRST):
        return _FIRST[label - 1]
    red, green, blue = colorsys.hsv_to_rgb(label * _TURN % 1, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
