"""The middle slices of a volume on one picture, with its labels over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from voxloom.errors import DataError
from voxloom.geometry import AXES, Box, Point
from voxloom.lettering import drawable
from voxloom.overlay import overlaid
from voxloom.panels import shaded, window_of
from voxloom.sample import Array
from voxloom.volumes import Place, Volume
from voxloom.volumes.ome_write import colour_of

__all__ = ["middle_slices"]

_GROUND, _TEXT = (24, 24, 27), (236, 236, 240)
_GAP, _LINE, _FONT_SIZE = 6, 18, 12  # pixels
_CHANNELS = 5  # of an image, drawn at most
_COLOURS = 64  # label ids beyond share their colours

Picture = npt.NDArray[np.uint8]


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
    channels, they follow. The raw of a prediction that voxloom made is found by itself.

    Parameters
    ----------
    path
        Of the volume.
    raw
        Path of an image to draw below labels, in the place of the volume's own first channel.
    size
        Pixels along the longest side of the volume; the level that fits is read.
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
    volume = Volume.open(path, unit=unit, spacing=spacing)
    ground = Volume.open(raw) if raw is not None else _raw_of(volume)
    box = volume.bounding_box
    step = max(max(box.size) / size, min(volume.levels[0].grid.spacing))
    thin = [axis for axis in range(3) if volume.levels[0].grid.shape[axis] == 1]
    rows = []
    for axis in thin[:1] or range(3):
        plane, spacing = _middle(box, axis, step)
        rows.append(list(_row(volume, ground, plane, spacing, axis)))
    return _sheet(rows)


def _middle(box: Box, axis: int, step: float) -> tuple[Box, tuple[float, float, float]]:
    """Return the box of one slice, and the spacing to read it at."""
    low, high, spacing = list(box.low), list(box.high), [step] * 3
    low[axis], high[axis] = box.center[axis] - step / 2, box.center[axis] + step / 2
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2])), (spacing[0], spacing[1], spacing[2])


def _row(
    volume: Volume, ground: Volume | None, plane: Box, spacing: tuple[float, float, float], axis: int
) -> Iterator[tuple[str, Picture]]:
    def read(each: Volume) -> Array:
        return np.asarray(each.read(plane, spacing).take(0, axis=axis + 1))

    labels = [volume] if volume.is_labels else [volume.label(name) for name in volume.label_names]
    channels = [] if volume.is_labels else list(zip(volume.channels, read(volume), strict=True))
    under = read(ground)[0] if ground is not None else channels[0][1] if channels else None
    if under is not None:
        yield f"{AXES[axis]}: {Place.of((ground or volume).path).name}", _grey(under)
    for each in labels:
        ids = read(each)[0]
        yield Place.of(each.path).name, _over(np.zeros_like(ids) if under is None else under, ids)
    if ground is not None or len(channels) > 1:
        for name, channel in channels[:_CHANNELS]:
            yield (
                name,
                shaded(
                    channel,
                    (0, 255) if ground is not None and channel.dtype == np.uint8 else window_of(channel),
                ),
            )


def _grey(image: Array) -> Picture:
    return np.asarray(shaded(image, window_of(image)))


def _over(image: Array, labels: Array) -> Picture:
    """Draw ids in colour over an image."""
    few = np.where(labels > 0, (labels.astype(np.int64) - 1) % _COLOURS + 1, 0)
    found = [int(value) for value in np.unique(few) if value]
    masks = np.stack([few == value for value in found]) if found else np.zeros((0, *few.shape), bool)
    return np.asarray(overlaid(image, masks, [colour_of(value) for value in found]))


def _raw_of(volume: Volume) -> Volume | None:
    """Return what a prediction was made of, if the markers beside it tell and it is still there."""
    place = volume.place
    plan = place.parent.join(f"{place.name}.prediction").read_json("plan.json")
    try:
        return None if plan is None else Volume.open(str(plan["plan"]["input"]))
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


def _sheet(rows: list[list[tuple[str, Picture]]]) -> Picture:
    heights = [max(picture.shape[0] for _, picture in row) + _LINE + _GAP for row in rows]
    widths = [sum(picture.shape[1] + _GAP for _, picture in row) + _GAP for row in rows]
    sheet = Image.new("RGB", (max(widths), sum(heights) + _GAP), _GROUND)
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        left = _GAP
        for name, picture in row:
            text, font = drawable(_cut(name, picture.shape[1]), _FONT_SIZE)
            draw.text((left, top), text, fill=_TEXT, font=font)
            sheet.paste(Image.fromarray(picture).convert("RGB"), (left, top + _LINE))
            left += picture.shape[1] + _GAP
        top += height
    return np.asarray(sheet)
