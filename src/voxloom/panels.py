"""Images side by side as a person wants to compare them: one intensity window, one orientation.

A panel is what previews in a run, pictures beside predictions, and the report show. The first row
of an image is its top, as in the file: nothing is flipped, rotated or stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from voxloom.errors import SchemaError
from voxloom.lettering import drawable

__all__ = ["Window", "diverging", "panel", "shaded", "window_of"]

Array = npt.NDArray[Any]
Window = tuple[float, float]
"""The values that are drawn black and white."""

_LOW, _HIGH = 0.5, 99.5  # percentiles of the default window
_GROUND, _TEXT, _FAINT = (24, 24, 27), (236, 236, 240), (161, 161, 170)
_TITLE, _CAPTION, _GAP = 24, 22, 6  # pixels
_TITLE_SIZE, _CAPTION_SIZE = 14, 12
_BAR = 64  # length of the colour bar
# RdBu of ColorBrewer (Apache-2.0), which colour-blind people can read: blue is below, red above.
_DIVERGING = np.array(
    [
        (5, 48, 97),
        (33, 102, 172),
        (67, 147, 195),
        (146, 197, 222),
        (209, 229, 240),
        (247, 247, 247),
        (253, 219, 199),
        (244, 165, 130),
        (214, 96, 77),
        (178, 24, 43),
        (103, 0, 31),
    ],
    dtype=np.float64,
)


def window_of(image: Array, *, low: float = _LOW, high: float = _HIGH) -> Window:
    """Return the values at two percentiles of an image's finite pixels.

    Where the percentiles fall together the extremes are taken, and for a constant image a window
    that begins at its value.

    Parameters
    ----------
    image
        Of any shape.
    low, high
        Percentiles, 0 to 100.

    Examples
    --------
    >>> window_of(np.arange(101), low=10, high=90)
    (10.0, 90.0)
    >>> window_of(np.zeros((4, 4)))
    (0.0, 1.0)
    """
    values = np.asarray(image, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    bottom, top = np.percentile(values, (low, high))
    if bottom == top:
        bottom, top = values.min(), values.max()
    return float(bottom), float(top if top > bottom else bottom + 1)


def diverging(values: Array) -> Array:
    """Return the colour of signed values: blue for -1, nearly white for 0, red for 1.

    Parameters
    ----------
    values
        Of any shape; what lies outside [-1, 1] takes the end's colour.

    Returns
    -------
    numpy.ndarray
        uint8 of shape (\\*values.shape, 3).

    Examples
    --------
    >>> diverging(np.array([-1.0, 0.0, 2.0])).tolist()
    [[5, 48, 97], [247, 247, 247], [103, 0, 31]]
    """
    position = (np.clip(values, -1, 1) + 1) / 2 * (len(_DIVERGING) - 1)
    steps = np.arange(len(_DIVERGING))
    channels = [np.interp(position, steps, _DIVERGING[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def panel(
    images: Sequence[tuple[str, Array]],
    *,
    window: Window | None = None,
    difference: bool = True,
    size: int = 256,
) -> Array:
    """Draw images side by side in one intensity window, with their titles and, last, a difference.

    The difference is the last image minus the one before it (prediction minus target), in colours
    symmetric around 0 whose ends stand for half the window, so that rows can be compared; window and
    ends are written below. A NaN is drawn as the window's lower end.

    Parameters
    ----------
    images
        Titles and (H, W) arrays of one shape and unit, in the order they are drawn in: for instance
        condition, target, prediction. What is coloured already, (H, W, 3) of uint8, is drawn as it is;
        then there is no difference.
    window
        The values drawn black and white; by default the 0.5 and 99.5 percentiles of the target: the
        image before the last where there is a difference, else the last that is not coloured.
    difference
        Whether to add the difference of the last two.
    size
        Length in pixels that the images' longer side is brought near to: small images are enlarged by
        repeating pixels, large ones reduced by averaging, both by whole numbers.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    SchemaError
        When there are too few images or their shapes differ.

    Examples
    --------
    >>> target = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    >>> panel([("target", target), ("prediction", target**2)], size=64).dtype
    dtype('uint8')
    """
    _check(images, 2 if difference else 1, coloured=not difference)
    arrays = [_reduced(np.asarray(image), size) for _, image in images]
    grey = [array for array in arrays if array.ndim == 2]
    window = window or window_of(grey[-2] if difference else grey[-1] if grey else np.zeros(1))
    tiles = [(title, _tile(array, window)) for (title, _), array in zip(images, arrays, strict=True)]
    if difference:
        before, last = (_share(array, window) for array in arrays[-2:])
        tiles.append((f"{images[-1][0]} - {images[-2][0]}", diverging(2 * (last - before))))
    repeats = max(1, size // max(arrays[0].shape))
    return _drawn(
        [(title, tile.repeat(repeats, 0).repeat(repeats, 1)) for title, tile in tiles],
        caption=f"black {_short(window[0])}, white {_short(window[1])}" if grey else "",
        limit=(window[1] - window[0]) / 2 if difference else None,
    )


def shaded(image: Array, window: Window) -> Array:
    """Return an image in grey or colour with a window's ends drawn black and white.

    Parameters
    ----------
    image
        (H, W), or (H, W, 3) for red, green and blue; a NaN is drawn as the window's lower end.
    window
        The values that are drawn black and white.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Examples
    --------
    >>> shaded(np.array([[10.0, 15.0, 20.0]]), (10, 20))[0, :, 0].tolist()
    [0, 128, 255]
    """
    levels = (np.clip(_share(np.asarray(image, np.float64), window), 0, 1) * 255).round().astype(np.uint8)
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=-1)


def _check(images: Sequence[tuple[str, Array]], least: int, *, coloured: bool) -> None:
    if len(images) < least:
        raise SchemaError(
            f"{len(images)} images for a panel: expected at least {least}. "
            "A difference needs two, a target and a prediction; pass difference=False without a target."
        )
    shapes = {title: np.shape(image) for title, image in images}
    plain = [shape[:-1] if coloured and shape[2:] == (3,) else shape for shape in shapes.values()]
    if len(set(plain)) != 1 or len(plain[0]) != 2:
        raise SchemaError(f"images of shapes {shapes}: expected the same (height, width) in a panel.")


def _reduced(image: Array, size: int) -> Array:
    factor = max(image.shape) // size
    is_coloured = image.ndim == 3
    if factor < 2:
        return image if is_coloured else image.astype(np.float64)
    reduced = Image.fromarray(image if is_coloured else image.astype(np.float32)).reduce(factor)
    return np.asarray(reduced, dtype=np.uint8 if is_coloured else np.float64)


def _tile(array: Array, window: Window) -> Array:
    return array if array.ndim == 3 else shaded(_share(array, window), (0, 1))


def _share(image: Array, window: Window) -> Array:
    low, high = window
    return np.nan_to_num((image - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)


def _drawn(tiles: Sequence[tuple[str, Array]], *, caption: str, limit: float | None) -> Array:
    titles = [drawable(title, _TITLE_SIZE) for title, _ in tiles]
    caption, font = drawable(caption, _CAPTION_SIZE)
    height, width = tiles[0][1].shape[:2]
    widest = max(title_font.getlength(title) for title, title_font in titles)
    column = max(width, int(widest) + 8)
    least = int(font.getlength(caption)) + 8 + (0 if limit is None else 2 * _BAR + 80)
    total = max(len(tiles) * (column + _GAP) + _GAP, least)
    canvas = Image.new("RGB", (total, _TITLE + height + _CAPTION), _GROUND)
    draw = ImageDraw.Draw(canvas)
    for i, ((title, title_font), (_, tile)) in enumerate(zip(titles, tiles, strict=True)):
        left = _GAP + i * (column + _GAP)
        draw.text((left, _TITLE / 2), title, fill=_TEXT, font=title_font, anchor="lm")
        canvas.paste(Image.fromarray(tile), (left, _TITLE))
    middle = _TITLE + height + _CAPTION / 2
    draw.text((_GAP, middle), caption, fill=_FAINT, font=font, anchor="lm")
    if limit is not None:
        _draw_bar(canvas, total - _GAP, int(middle), limit, font)
    return np.asarray(canvas)


def _draw_bar(canvas: Image.Image, right: int, middle: int, limit: float, font: Any) -> None:
    draw, label = ImageDraw.Draw(canvas), f"+{_short(limit)}"
    draw.text((right, middle), label, fill=_FAINT, font=font, anchor="rm")
    end = right - int(font.getlength(label)) - 5
    ramp = diverging(np.linspace(-1, 1, _BAR))[None].repeat(9, axis=0)
    canvas.paste(Image.fromarray(ramp), (end - _BAR, middle - 4))
    draw.text((end - _BAR - 5, middle), f"-{_short(limit)}", fill=_FAINT, font=font, anchor="rm")


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
