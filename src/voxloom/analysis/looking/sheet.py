"""A contact sheet: some samples of a source, small, on one picture."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from voxloom.amounts import counted
from voxloom.analysis.looking.drawing import Picture, is_labels, named_ids, pictures_of
from voxloom.analysis.looking.planes import plane_of
from voxloom.analysis.looking.reducing import reduced_ids
from voxloom.errors import DataError, SchemaError
from voxloom.lettering import drawable
from voxloom.overlay import legend
from voxloom.sample import Sample
from voxloom.source import Source

__all__ = ["Tile", "contact_sheet", "evenly_spread", "pictured_fields", "said_of", "sheet_of", "tiles_of"]

_GROUND, _TEXT, _FAINT, _BAD = (24, 24, 27), (236, 236, 240), (161, 161, 170), (248, 113, 113)
_GAP, _LINE, _FONT_SIZE = 8, 16, 12  # pixels
_WIDE = 1.6  # width of the sheet over its height, about that of a screen
_LEGEND = 24  # ids that a legend names
_PICTURES = 64  # on a contact sheet at most: of latents one sample has many
_LEAST = 360  # pixels across that a long line above is given, whatever stands below
_ROWS = 2  # of a long key


class Tile:
    """One sample of a sheet: its pictures, or why there are none, and what is said of it.

    Attributes
    ----------
    key
        Of the sample.
    pictures
        Title, (H, W, 3) uint8, and whether it is of labels.
    said
        Its class, attributes and texts, or the reason that it cannot be read; several lines, perhaps.
    is_bad
        Whether it cannot be read.
    ids
        Of each mask that has ids.
    """

    def __init__(
        self,
        key: str,
        pictures: Sequence[tuple[str, Picture, bool]],
        said: str = "",
        *,
        is_bad: bool = False,
        ids: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.key, self.pictures, self.said, self.is_bad = key, list(pictures), said, is_bad
        self.ids = dict(ids or {})


def evenly_spread(total: int, number: int) -> list[int]:
    """Return at most `number` indices in [0, total), spread over all.

    Examples
    --------
    >>> evenly_spread(10, 4), evenly_spread(2, 4)
    ([0, 2, 5, 7], [0, 1])
    """
    number = min(number, total)
    return [i * total // number for i in range(number)]


def contact_sheet(
    source: Source, *, number: int = 16, size: int = 160, name: str = "", foot: Sequence[Picture] = ()
) -> Picture:
    """Draw samples that are evenly spread over a source, each with its class, its texts and its key.

    The images of a sample stand side by side in the order of the fields, and its masks lie over them;
    a legend names their ids where they are few. 8-bit images are drawn as they are, all others between
    their 0.5 and 99.5 percentiles. Of further axes the middle is shown. A sample that cannot be read
    says so. Where a sample has many pictures, as latents have, fewer samples are drawn; of a posterior the
    means, without the deviations.

    Parameters
    ----------
    source
        What is drawn; it needs a field that is an image, a mask or a latent.
    number
        Samples to draw, or all where there are fewer.
    size
        Length in pixels that the longer side of an image is brought to.
    name
        Stands first in the line above, for instance the part of a split.
    foot
        Pictures (H, W, 3) that stand below, for instance histograms.

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
    >>> contact_sheet(ImageFolder(folder), size=160).shape
    (392, 344, 3)
    """
    names = pictured_fields(source)
    names = [name for name in names if not _is_deviation(name, names)]
    tiles = _sheet_tiles(source, names, number)
    head = (
        f"{f'{name}: ' if name else ''}{', '.join(names)}: {len(tiles)} of {counted(len(source), 'sample')}"
    )
    ids: dict[str, set[int]] = {}
    for tile in tiles:
        for field, values in tile.ids.items():
            ids.setdefault(field, set()).update(values)
    return sheet_of(tiles, head, size=size, names=named_ids(source.schema, ids), foot=foot)


def _is_deviation(name: str, names: Sequence[str]) -> bool:
    return name.endswith("_sigma") and name.removesuffix("_sigma") + "_mu" in names


def _sheet_tiles(source: Source, names: Sequence[str], number: int) -> list[Tile]:
    """Return the tiles of so many samples, or of as many as a sheet has room for."""
    indices = evenly_spread(len(source), number)
    first = tiles_of(source, names, indices[:1])
    room = max(1, _PICTURES // max(1, len(first[0].pictures)))
    if room >= len(indices):
        return first + tiles_of(source, names, indices[1:])
    return first + tiles_of(source, names, evenly_spread(len(source), room)[1:])


def pictured_fields(source: Source) -> list[str]:
    """Return the fields that can be drawn.

    Raises
    ------
    SchemaError
        If there is none, or no sample.
    """
    names = [name for name, field in source.schema.items() if field.is_spatial]
    if names and len(source):
        return names
    what = f"fields {', '.join(source.schema)}" if len(source) else "no samples"
    raise SchemaError(f"{source!r} has {what}: nothing to draw. Expected an image, a mask or a latent.")


def tiles_of(source: Source, names: Sequence[str], indices: Sequence[int]) -> list[Tile]:
    """Read samples, and draw them; one that cannot be read says so."""
    return [_tile(source, index, names) for index in indices]


def _tile(source: Source, index: int, names: Sequence[str]) -> Tile:
    try:
        sample = source[index]
    except DataError as error:
        return Tile(source.keys[index], [], f"not readable: {error}", is_bad=True)
    labelled = [name for name in names if is_labels(sample[name], sample.schema[name])]
    planes = {name: plane_of(sample[name], sample.schema[name]) for name in labelled}
    ids = {name: np.unique(reduced_ids(plane))[: _LEGEND + 2].tolist() for name, plane in planes.items()}
    return Tile(sample.key, pictures_of(sample, names), said_of(sample), ids=ids)


def said_of(sample: Sample) -> str:
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


def sheet_of(
    tiles: Sequence[Tile],
    head: str,
    *,
    size: int = 160,
    names: Sequence[tuple[str, tuple[int, int, int]]] = (),
    foot: Sequence[Picture] = (),
    columns: int | None = None,
) -> Picture:
    """Put tiles onto one picture, with a line above, and a legend and other pictures below.

    Parameters
    ----------
    tiles
        At least one.
    head
        The line above; it goes on in the next where it is longer than the sheet is wide.
    size
        Pixels along the longer side of each image.
    names
        Name and colour of each class, for the legend; too many are only counted.
    foot
        Further pictures, side by side.
    columns
        Tiles in a row; None for a sheet about as wide as a screen.
    """
    drawn = [_drawn(tile, size) for tile in tiles]
    width = max(tile.width for tile in drawn) + _GAP
    height = max(tile.height for tile in drawn) + _GAP
    columns = columns or min(len(drawn), max(1, round(math.sqrt(len(drawn) * _WIDE * height / width))))
    rows = -(-len(drawn) // columns)
    lettered, font = drawable(head, _FONT_SIZE)
    across = max(columns * width, min(math.ceil(font.getlength(lettered)) + _GAP, _LEAST)) + _GAP
    lines = _wrapped(head, across - 2 * _GAP)
    strips = _strips(across, names, foot)
    below, above = sum(strip.height for strip in strips), len(lines) * _LINE
    sheet = Image.new("RGB", (across, above + rows * height + _GAP + below), _GROUND)
    for number, line in enumerate(lines):
        middle = _GAP / 2 + (number + 0.5) * _LINE
        ImageDraw.Draw(sheet).text((_GAP, middle), line, fill=_FAINT, font=font, anchor="lm")
    for place, tile in enumerate(drawn):
        row, column = divmod(place, columns)
        sheet.paste(tile, (_GAP + column * width, above + _GAP + row * height))
    top = sheet.height - below
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return np.asarray(sheet)


def _strips(
    across: int, names: Sequence[tuple[str, tuple[int, int, int]]], foot: Sequence[Picture]
) -> list[Image.Image]:
    strips = []
    if 0 < len(names) <= _LEGEND:
        strip = legend([name for name, _ in names], [colour for _, colour in names], across)
        strips.append(Image.fromarray(strip))
    row: list[Picture] = []
    for picture in [*foot, None]:
        taken = sum(each.shape[1] + _GAP for each in row) + _GAP
        if row and (picture is None or taken + picture.shape[1] > across):
            strips.append(_beside(row, across))
            row = []
        if picture is not None:
            row.append(picture[:, : across - 2 * _GAP])
    return strips


def _beside(row: Sequence[Picture], across: int) -> Image.Image:
    strip = Image.new("RGB", (across, max(each.shape[0] for each in row) + _GAP), _GROUND)
    left = _GAP
    for each in row:
        strip.paste(Image.fromarray(each), (left, 0))
        left += each.shape[1] + _GAP
    return strip


def _drawn(tile: Tile, size: int) -> Image.Image:
    wide = max(1, len(tile.pictures)) * (size + 2) - 2
    key = _wrapped(tile.key, wide, most=_ROWS)
    lines = [*key, *tile.said.splitlines()]
    images = [_fitted(picture, size, is_label=labels) for _, picture, labels in tile.pictures]
    if not tile.is_bad:
        return _lettered(images, lines, size, _FAINT, titles=len(key))
    drawn = _lettered(images, [tile.key, "not readable"], size, _BAD)
    draw = ImageDraw.Draw(drawn)
    for number, line in enumerate(textwrap.wrap(tile.said, max(8, size // 7))[: size // _LINE]):
        text, font = drawable(line, _FONT_SIZE)
        text = _shortened(text, drawn.width, font)
        draw.text((0, (number + 0.5) * _LINE), text, fill=_BAD, font=font, anchor="lm")
    return drawn


def _fitted(picture: Picture, size: int, *, is_label: bool) -> Image.Image:
    image = Image.fromarray(picture)
    scale = size / max(image.size)
    wanted = tuple(max(1, round(side * scale)) for side in image.size)
    smooth = Image.Resampling.BOX if scale < 1 and not is_label else Image.Resampling.NEAREST
    return image.resize((wanted[0], wanted[1]), smooth)


def _lettered(
    images: Sequence[Image.Image],
    lines: Sequence[str],
    size: int,
    colour: tuple[int, int, int],
    *,
    titles: int = 1,
) -> Image.Image:
    """Put images side by side in boxes of `size` pixels, and the lines below them, the first as titles."""
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
        draw.text((0, middle), text, fill=_TEXT if number < titles else colour, font=font, anchor="lm")
    return tile


def _wrapped(text: str, width: int, *, most: int | None = None) -> list[str]:
    """Break a text into lines, after a space, "/", "_" or "-" where there is one; the rest is in the last.

    Only what does not fit into `most` lines is too long then.
    """
    lines: list[str] = []
    left = " ".join(text.split())
    while left and (most is None or len(lines) < most - 1):
        kept = _fitting(left, width)
        lines.append(left[:kept].rstrip())
        left = left[kept:].lstrip()
    return [*lines, left] if left or not lines else lines


def _fitting(text: str, width: int) -> int:
    """Return how many letters of a text stand in a line."""
    letters, font = drawable(text, _FONT_SIZE)
    if font.getlength(letters) <= width:
        return len(text)
    kept = max(1, sum(font.getlength(letters[: n + 1]) <= width for n in range(min(len(text), width))))
    breaks = [place + 1 for place in range(kept) if text[place] in " /_-"]
    return breaks[-1] if breaks and breaks[-1] > kept / 3 else kept


def _shortened(text: str, width: int, font: Any) -> str:
    """Leave out the middle of a text that is too wide."""
    shown, kept = text, len(text)
    while kept > 2 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    return shown
