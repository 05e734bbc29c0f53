"""PNGs of images at their full range, and of words where there is no image."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from voxloom.errors import VoxloomError
from voxloom.lettering import drawable
from voxloom.panels import Window, shaded, window_of
from voxloom.sample import Array

__all__ = ["UNCERTAINTY", "Picture", "coloured", "drawn", "fitted", "message", "png", "shown", "window_for"]

_PAPER, _INK, _FRAME = (243, 243, 245), (63, 63, 70), (161, 161, 170)
_LETTERS = 12
_FOLDERS = re.compile(r"(?<![^\s'\"])/(?:[^/\s'\"]+/)+")  # before a file's name: there is no room for them
# Cividis (Nunez, Anderton, Renslow 2018), which colour-blind people see as others do.
UNCERTAINTY = np.array(
    [
        (0, 34, 78),
        (35, 62, 108),
        (87, 92, 109),
        (124, 123, 120),
        (166, 157, 117),
        (209, 193, 94),
        (254, 232, 56),
    ],
    dtype=np.float64,
)
"""Colours of a map of deviations, from 0 to the highest."""


class Picture(NamedTuple):
    """A PNG, and why it shows words in the place of an image; empty where it shows the image."""

    png: bytes
    problem: str = ""


def drawn(draw: Callable[[], bytes], size: int) -> Picture:
    """Return what is drawn, or where that fails the reason as a picture `size` pixels wide.

    Examples
    --------
    >>> drawn(lambda: open("nowhere.tif", "rb").read(), 96).problem
    "[Errno 2] No such file or directory: 'nowhere.tif'"
    """
    try:
        return Picture(draw())
    except (VoxloomError, OSError, ValueError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        return Picture(message(reason, size), reason)


def shown(array: Array, size: int) -> bytes:
    """Return the PNG of an image, windowed at its 0.5 and 99.5 percentiles.

    Parameters
    ----------
    array
        (H, W) numbers or (H, W, 3) colours.
    size
        Pixels of the longer side.
    """
    return png(fitted(shaded(array, window_for(array)), size))


def window_for(array: Array) -> Window:
    """Return the window of an image: its percentiles, but the whole range for colours of 8 bits.

    Examples
    --------
    >>> window_for(np.zeros((2, 2, 3), np.uint8))
    (0.0, 255.0)
    """
    return (0.0, 255.0) if array.ndim == 3 and array.dtype == np.uint8 else window_of(array)


def fitted(image: Array, size: int) -> Array:
    """Return an image (H, W, 3) uint8 whose longer side has `size` pixels or a little less.

    Small ones are enlarged by repeating pixels, large ones reduced by averaging.

    Examples
    --------
    >>> fitted(np.zeros((10, 20, 3), np.uint8), 96).shape, fitted(np.zeros((300, 200, 3), np.uint8), 96).shape
    ((40, 80, 3), (96, 64, 3))
    """
    height, width = image.shape[:2]
    times = size // max(height, width)
    if times >= 1:
        return image.repeat(times, 0).repeat(times, 1)
    share = size / max(height, width)
    shape = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BOX))


def coloured(values: Array, high: float) -> Array:
    """Return the colours (H, W, 3) uint8 of values from 0 to `high`: dark blue to yellow; NaN as 0.

    Examples
    --------
    >>> coloured(np.array([[0.0, 2.0]]), 2.0).tolist()
    [[[0, 34, 78], [254, 232, 56]]]
    """
    share = np.clip(np.nan_to_num(values / (high if high > 0 else 1.0)), 0, 1) * (len(UNCERTAINTY) - 1)
    steps = np.arange(len(UNCERTAINTY))
    return np.stack([np.interp(share, steps, c) for c in UNCERTAINTY.T], axis=-1).round().astype(np.uint8)


def message(text: str, size: int) -> bytes:
    """Return the PNG of a few words in a frame, `size` pixels wide and high.

    Examples
    --------
    >>> message("no such file", 96)[:4]
    b'\\x89PNG'
    """
    canvas = Image.new("RGB", (size, size), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, size - 1, size - 1), outline=_FRAME)
    letters = max(_LETTERS, size // 18)  # a large picture is shown smaller
    height, margin = letters + 3, letters // 2
    per_line = max(8, int((size - 2 * margin) / (letters * 0.52)))
    lines = textwrap.wrap(_FOLDERS.sub("", text), per_line, break_long_words=True)
    room = max(1, (size - 2 * margin) // height)
    if len(lines) > room:
        lines = [*lines[: room - 1], "..."]
    top = max(margin, (size - len(lines) * height) // 2)
    for number, line in enumerate(lines):
        words, font = drawable(line, letters)
        draw.text((margin, top + number * height), words, fill=_INK, font=font)
    return png(np.asarray(canvas))


def png(image: Array) -> bytes:
    """Return an image (H, W, 3) uint8 as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
