"""How to look at volumes: a neuroglancer state, and the line that opens them in napari."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from voxloom.errors import DataError, SchemaError
from voxloom.label_colours import colour_of_label
from voxloom.panels import window_of
from voxloom.volumes import Place, Volume

__all__ = ["NEUROGLANCER", "napari_line", "neuroglancer_link", "neuroglancer_state", "with_labels"]

logger = logging.getLogger(__name__)

NEUROGLANCER = "https://neuroglancer-demo.appspot.com"
"""The viewer of the neuroglancer project on the web; the volumes themselves do not leave this machine."""

_SHOWN = 6  # channels
_PANEL = 280  # pixels along the shorter side of one of four panels in a laptop's window
_LOOKED_AT = 96  # voxels an axis, in the middle of the coarsest level, that tell the window of an image


def napari_line(paths: Sequence[str]) -> str:
    """Return the command that opens volumes in napari.

    Examples
    --------
    >>> napari_line(["raw.zarr", "my pred.zarr"])
    "napari --plugin napari-ome-zarr raw.zarr 'my pred.zarr'"
    """
    return f"napari --plugin napari-ome-zarr {' '.join(map(shlex.quote, paths))}"


def with_labels(paths: Sequence[str], **options: Any) -> list[Volume]:
    """Open volumes, and after each the label images below it; `options` as `Volume.open` takes them.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError
        If one cannot be opened.
    """
    opened: dict[str, Volume] = {}
    for volume in Volume.open_many(paths, **options):
        for each in (volume, *(volume.label(name) for name in volume.label_names)):
            opened.setdefault(each.path, each)
    return list(opened.values())


def neuroglancer_state(
    volumes: Sequence[Volume], urls: Sequence[str], *, labels: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a state of neuroglancer with a layer for each volume, in the middle of the first.

    A label image becomes a segmentation. Of an image with several channels each becomes a layer in a
    colour of its own, as the classes of a prediction, added to what lies below; the first six do.
    An image is drawn between the 0.5 and 99.5 percentiles of the middle of its coarsest level; channels
    of 8 bits are drawn over all 256 values, so that they can be compared.

    Parameters
    ----------
    volumes
        What is shown.
    urls
        Where the viewer finds each, for instance from `VolumeServer`.
    labels
        Paths of those that hold labels, though their metadata do not say so.

    Raises
    ------
    SchemaError
        When one that shall hold labels holds no integers, or several channels.
    """
    stated = {str(Place.of(path)) for path in labels}
    first = volumes[0]
    spacing, center = first.levels[0].grid.spacing, first.bounding_box.center
    return {
        "dimensions": {a: [s * 1e-9, "m"] for a, s in zip("zyx", spacing, strict=True)},
        "position": [c / s for c, s in zip(center, spacing, strict=True)],
        "displayDimensions": ["x", "y", "z"],
        "crossSectionScale": max(first.levels[0].grid.shape) / _PANEL,
        "projectionScale": 1.5 * max(first.levels[0].grid.shape),
        "layout": "4panel",
        "layers": [
            layer
            for volume, url in zip(volumes, urls, strict=True)
            for layer in _layers(volume, url, is_labels=volume.is_labels or str(volume.place) in stated)
        ],
    }


def neuroglancer_link(state: dict[str, Any], viewer: str = NEUROGLANCER) -> str:
    """Return the link that opens a state in the browser.

    Examples
    --------
    >>> neuroglancer_link({"layers": []})
    'https://neuroglancer-demo.appspot.com/#!%7B%22layers%22%3A%5B%5D%7D'
    """
    return f"{viewer}/#!{quote(json.dumps(state, separators=(',', ':')), safe='')}"


def _layers(volume: Volume, url: str, *, is_labels: bool) -> list[dict[str, Any]]:
    return [_segmentation(volume, url)] if is_labels else _images(volume, url)


def _segmentation(volume: Volume, url: str) -> dict[str, Any]:
    if volume.dtype.kind not in "iu" or len(volume.channels) > 1:
        raise SchemaError(
            f"{volume.path} holds {len(volume.channels)} channels of {volume.dtype}: expected integers in "
            "one channel for labels. Show it as an image: leave out --labels."
        )
    chosen = [str(number) for number in volume.classes]  # without any, all are drawn
    name = volume.place.name
    return {"type": "segmentation", "name": name, "source": f"zarr://{url}", "segments": chosen}


def _images(volume: Volume, url: str) -> list[dict[str, Any]]:
    """Return a layer for the only channel, or one for each of the first channels, in its colour.

    One layer of several channels would do only where they lie in one chunk.
    """
    window = {"shaderControls": {"normalized": {"range": _window(volume)}}}
    layer = {"type": "image", "name": volume.place.name, "source": f"zarr://{url}"} | window
    if len(volume.channels) == 1:
        return [layer]
    each = {"blend": "additive", "opacity": 0.6, "localDimensions": {"c'": [1, ""]}}
    return [
        layer | each | {"name": f"{layer['name']} {name}", "localPosition": [k], "shader": _shader(k)}
        for k, name in enumerate(volume.channels[:_SHOWN])
    ]


def _window(volume: Volume) -> list[float]:
    """Return the values that an image is drawn black and white at."""
    if volume.dtype == np.uint8 and len(volume.channels) > 1:
        return [0, 255]
    level = len(volume.levels) - 1
    shape = volume.levels[level].grid.shape
    parts = [min(n, _LOOKED_AT) for n in shape]
    middle = tuple(slice((n - part) // 2, (n + part) // 2) for n, part in zip(shape, parts, strict=True))
    try:
        values = volume.array(level)[(slice(None), *middle)].read().result()
    except (DataError, ValueError, OSError) as error:  # the viewer will say so too
        logger.warning("%s: no window found: %s", volume.path, error)
        return [0, 1]
    return [round(value, 6) for value in window_of(values)]


def _colour(channel: int) -> str:
    """Return the colour of the class that a channel is of, as its labels have it."""
    return "#{:02x}{:02x}{:02x}".format(*colour_of_label(channel + 1))


def _shader(channel: int) -> str:
    """Return a shader that draws a channel in its colour."""
    colour = f'#uicontrol vec3 colour color(default="{_colour(channel)}")'
    return f"{colour}\n#uicontrol invlerp normalized\nvoid main() {{ emitRGB(colour * normalized()); }}"
