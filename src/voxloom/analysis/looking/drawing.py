"""One image, mask or latent as a picture: its window, its colours, its legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.looking.planes import plane_of
from voxloom.analysis.looking.reducing import drawn_window, reduced, reduced_ids
from voxloom.label_colours import Colour, colour_of_label
from voxloom.panels import Window, shaded
from voxloom.sample import Array, Field, Sample, Schema

__all__ = ["Picture", "coloured", "is_labels", "named_ids", "over", "pictures_of"]

Picture = npt.NDArray[np.uint8]

_OPACITY = 0.5
_SMALL = 16  # values of 8 bits below which they are numbers of classes
_CHANNELS = 4  # of a latent or another image, drawn at most


def is_labels(array: Array, field: Field) -> bool:
    """Return whether a field holds ids, one a pixel."""
    return field.kind == "mask" and array.dtype.kind in "biu"


def coloured(ids: Array) -> Picture:
    """Return ids (H, W) in colour, (H, W, 3); the same id has the same colour in each picture.

    Examples
    --------
    >>> coloured(np.array([[0, 1]]))[0].tolist()
    [[0, 0, 0], [230, 159, 0]]
    """
    values, places = np.unique(ids, return_inverse=True)
    colours = np.array([colour_of_label(int(value)) for value in values], np.uint8)
    drawn: Picture = colours[places.reshape(ids.shape)]
    return drawn


def over(ground: Picture, ids: Array) -> Picture:
    """Return a picture (H, W, 3) with ids (H, W) in colour over it; 0 hides nothing.

    Examples
    --------
    >>> over(np.full((1, 2, 3), 100, np.uint8), np.array([[0, 1]]))[0].tolist()
    [[100, 100, 100], [165, 130, 50]]
    """
    mixed = (1 - _OPACITY) * ground.astype(np.float64) + _OPACITY * coloured(ids)
    drawn: Picture = np.where((ids != 0)[..., None], mixed.round(), ground).astype(np.uint8)
    return drawn


def pictures_of(
    sample: Sample, names: Sequence[str], windows: Mapping[str, Window] | None = None
) -> list[tuple[str, Picture, bool]]:
    """Draw the fields of a sample: title, picture (H, W, 3), and whether it is of labels.

    8-bit images are drawn as they are, unless they hold a few small numbers alone, others between their
    0.5 and 99.5 percentiles; a mask lies over the first image of its size, or stands alone on black. Of a
    latent each channel is drawn, up to 4. Planes of 2560 pixels and more are drawn smaller.

    Parameters
    ----------
    sample
        With its schema.
    names
        The fields to draw, in this order.
    windows
        The values drawn black and white, by field, where several samples are to be compared.

    Raises
    ------
    SchemaError
        If a field has no pixels along y and x.
    """
    drawn: list[tuple[str, Picture, bool]] = []
    grounds: dict[tuple[int, ...], Picture] = {}
    for name in names:
        field = sample.schema[name]
        if field.kind != "mask":
            window = (windows or {}).get(name)
            drawn += [(title, picture, False) for title, picture in _image(sample[name], field, window)]
            grounds.setdefault(plane_of(sample[name], field).shape[:2], drawn[-1][1])
    for name in names:
        field = sample.schema[name]
        if field.kind == "mask":
            drawn.append((name, _mask(sample[name], field, grounds), True))
    return drawn


def named_ids(schema: Schema, ids: Mapping[str, Iterable[int]]) -> list[tuple[str, Colour]]:
    """Return the name and the colour of the ids in masks, for a legend; nothing where they are many.

    Parameters
    ----------
    schema
        Its masks name their classes, or do not: then an id is its own name.
    ids
        Those that occur, of each mask.
    """
    names: dict[int, str] = {}
    for field, values in ids.items():
        for value in sorted({int(value) for value in values} - {0}):
            known = schema[field].categories
            names.setdefault(value, known[value] if 0 <= value < len(known) else str(value))
    return [(name, colour_of_label(value)) for value, name in sorted(names.items())]


def _image(array: Array, field: Field, window: Window | None) -> list[tuple[str, Picture]]:
    plane = plane_of(array, field)
    if plane.dtype == bool:
        plane = plane.astype(np.uint8) * np.uint8(255)
    if plane.ndim == 3 and plane.shape[-1] in (3, 4) and field.kind != "latent":
        return [(field.name, _shaded(plane[..., :3], window))]
    if plane.ndim == 3:
        channels = min(plane.shape[-1], _CHANNELS)
        if channels > 1:
            return [(f"{field.name} {c}", _shaded(plane[..., c], window)) for c in range(channels)]
        plane = plane[..., 0]
    return [(field.name, _shaded(plane, window))]


def _shaded(plane: Array, window: Window | None = None) -> Picture:
    window = window or _window(plane)
    return np.asarray(shaded(reduced(plane), window), np.uint8)


def _mask(array: Array, field: Field, grounds: Mapping[Any, Picture]) -> Picture:
    plane = plane_of(array, field)
    if plane.ndim == 3:
        if plane.shape[-1] in (3, 4):  # colours, and not ids
            return _shaded(plane[..., :3])
        plane = plane[..., 0]
    if not is_labels(plane, field):
        return _shaded(plane)
    ground, ids = grounds.get(plane.shape), reduced_ids(plane)
    return coloured(ids) if ground is None else over(ground, ids)


def _window(plane: Array) -> Window:
    """Return 0 to 255 for 8 bits, but what is there for a few small numbers: labels would be black."""
    if plane.dtype != np.uint8 or 0 < plane.max() - plane.min() < _SMALL:
        return drawn_window(plane, low=0, high=100) if plane.dtype == np.uint8 else drawn_window(plane)
    return 0.0, 255.0
