"""A contact sheet: some samples of a source, small, on one picture."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from voxloom.amounts import counted
from voxloom.errors import DataError, SchemaError
from voxloom.lettering import drawable
from voxloom.panels import shaded, window_of
from voxloom.sample import Array, Field, Sample
from voxloom.source import Source

__all__ = ["contact_sheet", "evenly_spread"]

_GROUND, _TEXT, _FAINT, _BAD = (24, 24, 27), (236, 236, 240), (161, 161, 170), (248, 113, 113)
_GAP, _LINE, _FONT_SIZE = 8, 16, 12  # pixels
_WIDE = 1.6  # width of the sheet over its height, about that of a screen
_TURN = 0.618034  # of the circle of hues: neighbouring classes come to lie far apart


def evenly_spread(total: int, number: int) -> list[int]:
    """Return at most `number` indices in [0, total), spread over all.

    Examples
    --------
    >>> evenly_spread(10, 4), evenly_spread(2, 4)
    ([0, 2, 5, 7], [0, 1])
    """
    number = min(number, total)
    return [i * total // number for i in range(number)]


def contact_sheet(source: Source, *, number: int = 16, size: int = 160) -> Array:
    """Draw samples that are evenly spread over a source, each with its class, its texts and its key.

    The images of a sample stand side by side in the order of the fields. 8-bit images are drawn as
    they are, all others between their 0.5 and 99.5 percentiles; a mask has one colour a class, and 0
    is black. Of further axes the middle is shown. A sample that cannot be read says so.

    Parameters
    ----------
    source
        What is drawn; it needs a field that is an image, a mask or a latent.
    number
        Samples to draw, or all where there are fewer.
    size
        Length in pixels that the longer side of an image is brought to.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    SchemaError
        When there is nothing to draw.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import ImageFolder, write_image
    >>> folder = mkdtemp()
    >>> for name in "abc":
    ...     write_image(f"{folder}/{name}.tif", np.eye(8))
    >>> contact_sheet(ImageFolder(folder), size=64).shape
    (200, 152, 3)
    """
    pictured = [name for name, field in source.schema.items() if field.is_spatial]
    if not pictured or not len(source):
        what = f"fields {', '.join(source.schema)}" if len(source) else "no samples"
        raise SchemaError(f"{source!r} has {what}: nothing to draw. Expected an image, a mask or a latent.")
    tiles = [_tile(source, index, pictured, size) for index in evenly_spread(len(source), number)]
    head = f"{', '.join(pictured)}: {len(tiles)} of {counted(len(source), 'sample')}"
    return _sheet(tiles, head)


def _tile(source: Source, index: int, pictured: Sequence[str], size: int) -> Image.Image:
    """Draw the images of one sample above its lines of text."""
    try:
        sample = source[index]
    except DataError as error:
        return _lettered([], [source.keys[index], f"not readable: {error}"], size, _BAD)
    images = [_picture(sample[name], source.schema[name], size) for name in pictured]
    said = _said(sample)
    return _lettered(images, [sample.key, said] if said else [sample.key], size, _FAINT)


def _said(sample: Sample) -> str:
    """Name the class, the attributes and the texts of a sample in one line."""
    told = []
    for name, field in sample.schema.items():
        value = sample[name]
        if field.is_spatial or value.ndim:
            continue
        known = field.kind == "class" and 0 <= int(value) < len(field.categories)
        shown = f"{value:.6g}" if value.dtype.kind == "f" else str(value)
        told.append(field.categories[int(value)] if known else f"{name} {shown}")
    return ", ".join(told)


def _picture(array: Array, field: Field, size: int) -> Image.Image:
    plane = _plane(array, field)
    is_label = field.kind == "mask" and plane.ndim == 2 and plane.dtype.kind in "biu"
    if is_label:
        pixels = _coloured(plane)
    elif plane.dtype == np.uint8:
        pixels = shaded(plane, (0, 255))
    else:
        pixels = shaded(plane, window_of(plane))
    image = Image.fromarray(pixels)
    scale = size / max(image.size)
    wanted = tuple(max(1, round(side * scale)) for side in image.size)
    smooth = Image.Resampling.BOX if scale < 1 and not is_label else Image.Resampling.NEAREST
    return image.resize((wanted[0], wanted[1]), smooth)


def _plane(array: Array, field: Field) -> Array:
    """Return (H, W), or (H, W, 3) where there are colours, from an array of any axes."""
    axes = field.axes if len(field.axes) == array.ndim else "czyx"[-array.ndim :]
    if "y" not in axes or "x" not in axes or not array.size:
        raise SchemaError(
            f"field {field.name!r} with axes {axes!r} and shape {array.shape} cannot be drawn: "
            "expected pixels along y and x."
        )
    for axis in [axis for axis in axes if axis not in "yxc"]:
        place = axes.index(axis)
        array, axes = array.take(array.shape[place] // 2, axis=place), axes.replace(axis, "")
    if "c" not in axes:
        return array.transpose(axes.index("y"), axes.index("x"))
    array = array.transpose(axes.index("y"), axes.index("x"), axes.index("c"))
    return array[..., :3] if array.shape[-1] in (3, 4) else array[..., 0]


def _coloured(labels: Array) -> Array:
    """Give each value of a mask its own colour, the same in each sample; 0 is black."""
    values, places = np.unique(labels, return_inverse=True)
    colours = np.array([_colour(int(value)) for value in values], np.uint8)
    return colours[places.reshape(labels.shape)]


def _colour(label: int) -> tuple[int, int, int]:
    if label == 0:
        return 0, 0, 0
    red, green, blue = colorsys.hsv_to_rgb(label * _TURN % 1, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _lettered(
    images: Sequence[Image.Image], lines: Sequence[str], size: int, colour: tuple[int, int, int]
) -> Image.Image:
    """Put images side by side in boxes of `size` pixels, and the lines below them."""
    width = max(1, len(images)) * (size + 2) - 2
    tile = Image.new("RGB", (width, size + len(lines) * _LINE), _GROUND)
    for place, image in enumerate(images):
        left = place * (size + 2) + (size - image.width) // 2
        tile.paste(image, (left, (size - image.height) // 2))
    draw = ImageDraw.Draw(tile)
    for number, line in enumerate(lines):
        middle = size + number * _LINE + _LINE / 2
        text, font = drawable(line, _FONT_SIZE)
        text = _shortened(text, width, font)
        draw.text((0, middle), text, fill=colour if number else _TEXT, font=font, anchor="lm")
    return tile


def _shortened(text: str, width: int, font: Any) -> str:
    """Leave out the middle of a text that is too wide."""
    shown, kept = text, len(text)
    while kept > 2 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    return shown


def _sheet(tiles: Sequence[Image.Image], head: str) -> Array:
    width = max(tile.width for tile in tiles) + _GAP
    height = max(tile.height for tile in tiles) + _GAP
    columns = min(len(tiles), max(1, round(math.sqrt(len(tiles) * _WIDE * height / width))))
    rows = -(-len(tiles) // columns)
    head, font = drawable(head, _FONT_SIZE)
    across = max(columns * width, math.ceil(font.getlength(head)) + _GAP) + _GAP
    sheet = Image.new("RGB", (across, _LINE + rows * height + _GAP), _GROUND)
    ImageDraw.Draw(sheet).text((_GAP, _GAP / 2 + _LINE / 2), head, fill=_FAINT, font=font, anchor="lm")
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        sheet.paste(tile, (_GAP + column * width, _LINE + _GAP + row * height))
    return np.asarray(sheet)
