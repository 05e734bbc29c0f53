"""The middle slices of a volume on one picture, with its labels over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from voxloom.analysis.looking.drawing import Picture, over
from voxloom.errors import DataError
from voxloom.geometry import AXES, Box, Point
from voxloom.jobs.volume_units import opened
from voxloom.label_colours import colour_of_label
from voxloom.lettering import drawable
from voxloom.overlay import legend
from voxloom.panels import Window, shaded, window_of
from voxloom.sample import Array
from voxloom.volumes import Place, Volume

__all__ = ["Slices", "middle_slices", "slices_of"]

_GROUND, _TEXT = (24, 24, 27), (236, 236, 240)
_GAP, _LINE, _FONT_SIZE = 6, 18, 12  # pixels
_CHANNELS = 5  # of an image, drawn at most
_NAMED = 24  # label ids that a legend names
_LEAST = 200  # pixels for a name, however narrow its picture


@dataclass(frozen=True)
class Slices:
    """The slices of a volume, as pictures.

    Attributes
    ----------
    rows
        Across z, y and x: name and picture (H, W, 3) of the image, of each label image over it, and of
        further channels.
    names
        Name and colour of each label that occurs.
    """

    rows: tuple[tuple[tuple[str, Picture], ...], ...]
    names: tuple[tuple[str, tuple[int, int, int]], ...]


@dataclass(frozen=True)
class _Row:
    """The axis that a row cuts across, and the labels that were met, by number."""

    axis: int
    ids: dict[int, str]


def middle_slices(
    path: str,
    *,
    raw: str | None = None,
    size: int = 320,
    unit: str | None = None,
    spacing: Point | None = None,
) -> Picture:
    """Draw the slices through the middle of a volume, across z, y and x, a row each.

    The image stands first, then it is drawn again under each label image; where there are several
    channels, they follow; probabilities from 0 to 1 whatever they are stored as. A legend names the
    labels where they are few. The raw of a prediction that voxloom made is found by itself.

    Parameters
    ----------
    path
        Of the volume.
    raw
        Path of an image to draw below labels, in the place of the volume's own first channel.
    size
        Pixels along the longest side of the volume; the level that fits is read, and what has fewer voxels
        is enlarged.
    unit, spacing
        As `Volume.open` takes them.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError
        If it cannot be opened or read.
    """
    slices = slices_of(path, raw=raw, size=size, unit=unit, spacing=spacing)
    names = slices.names if len(slices.names) <= _NAMED else ()
    return _sheet([list(row) for row in slices.rows], names)


def slices_of(
    path: str,
    *,
    raw: str | None = None,
    size: int = 320,
    unit: str | None = None,
    spacing: Point | None = None,
) -> Slices:
    """Read the slices that `middle_slices` draws; parameters and errors as there."""
    volume, _ = opened(path, unit=unit, spacing=spacing)
    ground = opened(raw)[0] if raw is not None else _raw_of(volume)
    box = volume.bounding_box
    step = max(max(box.size) / size, min(volume.levels[0].grid.spacing))
    thin = [axis for axis in range(3) if volume.levels[0].grid.shape[axis] == 1]
    ids: dict[int, str] = {}
    rows = []
    times = math.ceil(size * step / max(box.size) - 0.05)  # whole, so that a voxel is a square
    for axis in thin[:1] or range(3):
        plane, at = _middle(box, axis, step)
        row = _row(volume, ground, plane, at, _Row(axis, ids))
        rows.append(tuple((name, picture.repeat(times, 0).repeat(times, 1)) for name, picture in row))
    names = tuple((name, colour_of_label(number)) for number, name in sorted(ids.items()))
    return Slices(tuple(rows), names)


def _middle(box: Box, axis: int, step: float) -> tuple[Box, tuple[float, float, float]]:
    """Return the box of one slice, and the spacing to read it at."""
    low, high, spacing = list(box.low), list(box.high), [step] * 3
    low[axis], high[axis] = box.center[axis] - step / 2, box.center[axis] + step / 2
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2])), (spacing[0], spacing[1], spacing[2])


def _row(
    volume: Volume, ground: Volume | None, plane: Box, spacing: tuple[float, float, float], row: _Row
) -> Iterator[tuple[str, Picture]]:
    def read(each: Volume) -> Array:
        return np.asarray(each.read(plane, spacing).take(0, axis=row.axis + 1))

    labels = [volume] if volume.is_labels else [volume.label(name) for name in volume.label_names]
    channels = [] if volume.is_labels else list(zip(volume.channels, read(volume), strict=True))
    under = read(ground)[0] if ground is not None else channels[0][1] if channels else None
    alone = ground is None and not labels and len(channels) > 1
    if under is not None:
        name = channels[0][0] if alone else Place.of((ground or volume).path).name
        yield f"{AXES[row.axis]}: {name}", _grey(under)
        channels = channels[1:] if alone else channels  # the first is drawn already
    for each in labels:
        ids = read(each)[0]
        for number in np.unique(ids)[: _NAMED + 2].tolist():
            if number > 0:
                row.ids.setdefault(int(number), each.classes.get(int(number), f"label {number}"))
        black = np.zeros((*ids.shape, 3), np.uint8)
        yield Place.of(each.path).name, over(black if under is None else _grey(under), ids)
    if ground is not None or len(channels) > 1 or alone:
        is_share = _holds_probabilities(volume)
        for name, channel in channels[:_CHANNELS]:
            yield name, np.asarray(shaded(channel, _window(channel, is_share=is_share)))


def _window(channel: Array, *, is_share: bool) -> Window:
    """Return what is drawn black and white: for probabilities 0 and 1, however they are stored."""
    if not is_share:
        return window_of(channel)
    return (0.0, float(np.iinfo(channel.dtype).max) if channel.dtype.kind in "iu" else 1.0)


def _grey(image: Array) -> Picture:
    return np.asarray(shaded(image, window_of(image)))


def _plan_of(volume: Volume) -> Mapping[str, Any]:
    """Return the plan of a prediction, from the markers beside it; nothing for another volume."""
    place = volume.place
    told = place.parent.join(f"{place.name}.prediction").read_json("plan.json")
    plan = (told or {}).get("plan")
    return plan if isinstance(plan, Mapping) else {}


def _holds_probabilities(volume: Volume) -> bool:
    return "probabilities" in _plan_of(volume).get("write", ())


def _raw_of(volume: Volume) -> Volume | None:
    """Return what a prediction was made of, if the markers beside it tell and it is still there."""
    try:
        return Volume.open(str(_plan_of(volume)["input"]))
    except (DataError, KeyError, TypeError):
        return None


def _cut(name: str, width: int) -> str:
    """Return a name, or as much of it as stands over a picture."""
    for kept in range(len(name), 0, -1):
        shown = name if kept == len(name) else f"{name[:kept]}..."
        text, font = drawable(shown, _FONT_SIZE)
        if font.getlength(text) <= width:
            return shown
    return ""


def _sheet(
    rows: list[list[tuple[str, Picture]]], names: Sequence[tuple[str, tuple[int, int, int]]]
) -> Picture:
    heights = [max(picture.shape[0] for _, picture in row) + _LINE + _GAP for row in rows]
    widths = [sum(max(picture.shape[1], _LEAST) + _GAP for _, picture in row) + _GAP for row in rows]
    strip = (
        legend([name for name, _ in names], [colour for _, colour in names], max(widths)) if names else None
    )
    below = 0 if strip is None else strip.shape[0]
    sheet = Image.new("RGB", (max(widths), sum(heights) + _GAP + below), _GROUND)
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        left = _GAP
        for name, picture in row:
            width = max(picture.shape[1], _LEAST)
            text, font = drawable(_cut(name, width), _FONT_SIZE)
            draw.text((left, top), text, fill=_TEXT, font=font)
            sheet.paste(Image.fromarray(picture).convert("RGB"), (left, top + _LINE))
            left += width + _GAP
        top += height
    if strip is not None:
        sheet.paste(Image.fromarray(strip), (0, top))
    return np.asarray(sheet)
