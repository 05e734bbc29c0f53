"""How to look at volumes: a neuroglancer state, and the line that opens them in napari."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from voxloom.volumes import Place, Volume
from voxloom.volumes.ome_write import colour_of

__all__ = ["NEUROGLANCER", "napari_line", "neuroglancer_link", "neuroglancer_state", "with_labels"]

NEUROGLANCER = "https://neuroglancer-demo.appspot.com"
"""The viewer of the neuroglancer project; the volumes themselves do not leave this machine."""

_SHOWN = 6  # channels


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


def neuroglancer_state(volumes: Sequence[Volume], urls: Sequence[str]) -> dict[str, Any]:
    """Return a state of neuroglancer with a layer for each volume, in the middle of the first.

    A label image becomes a segmentation. An image of several channels becomes a layer in which they
    are drawn in a colour each, as the classes of a prediction.

    Parameters
    ----------
    volumes
        What is shown.
    urls
        Where the viewer finds each, for instance from `VolumeServer`.
    """
    first = volumes[0]
    spacing, center = first.levels[0].grid.spacing, first.bounding_box.center
    return {
        "dimensions": {a: [s * 1e-9, "m"] for a, s in zip("zyx", spacing, strict=True)},
        "position": [c / s for c, s in zip(center, spacing, strict=True)],
        "crossSectionScale": max(1.0, max(first.levels[0].grid.shape) / 600),
        "layout": "4panel",
        "layers": [_layer(volume, url) for volume, url in zip(volumes, urls, strict=True)],
    }


def neuroglancer_link(state: dict[str, Any], viewer: str = NEUROGLANCER) -> str:
    """Return the link that opens a state in the browser.

    Examples
    --------
    >>> neuroglancer_link({"layers": []})
    'https://neuroglancer-demo.appspot.com/#!%7B%22layers%22%3A%5B%5D%7D'
    """
    return f"{viewer}/#!{quote(json.dumps(state, separators=(',', ':')), safe='')}"


def _layer(volume: Volume, url: str) -> dict[str, Any]:
    name = Place.of(volume.path).name
    source = f"zarr://{url}"
    if volume.is_labels:
        chosen = [str(number) for number in volume.classes]  # without any, all are drawn
        return {"type": "segmentation", "name": name, "source": source, "segments": chosen}
    layer: dict[str, Any] = {"type": "image", "name": name, "source": source}
    if len(volume.channels) > 1:
        layer |= {"channelDimensions": {"c^": [1, ""]}, "shader": _shader(len(volume.channels))}
    return layer


def _colour(channel: int) -> str:
    """Return the colour of the class that a channel is of, as its labels have it."""
    return "#{:02x}{:02x}{:02x}".format(*colour_of(channel + 1))


def _shader(channels: int) -> str:
    """Return a shader that draws the first channels in a colour each, with a control for each."""
    shown = range(min(channels, _SHOWN))
    controls = [f'#uicontrol vec3 colour{k} color(default="{_colour(k)}")' for k in shown]
    controls += [f"#uicontrol invlerp part{k}(channel={k})" for k in shown]
    total = " + ".join(f"colour{k} * part{k}()" for k in shown)
    return "\n".join([*controls, f"void main() {{ emitRGB({total}); }}"])
