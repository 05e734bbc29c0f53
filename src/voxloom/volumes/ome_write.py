"""OME-NGFF metadata as we write them: 0.5, and 0.4 on request; `voxloom.volumes.ome` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.errors import ConfigError
from voxloom.label_colours import colour_of_label
from voxloom.volumes.ome import Axis, Multiscale, StoredLevel

__all__ = ["Version", "render", "render_labels"]

Version = Literal["0.4", "0.5"]


def render(
    image: Multiscale,
    *,
    dtype: npt.DTypeLike = "uint8",
    classes: Mapping[int, str] | None = None,
    method: str = "",
    source: str | None = "../../",
) -> dict[str, Any]:
    """Return the attributes of the group of an image, or of a label image.

    Parameters
    ----------
    image
        Its version decides the form: under "ome" in 0.5, flat in 0.4. Scales and translations in nm.
        Where it has channels they go to ``omero``, with a colour and a window each.
    dtype
        Of the voxels: the window of display spans its range, or 0 to 1 for floats.
    classes
        Names of values, for a label image; empty for one whose values are instances. None for an image.
    method
        How coarser levels were made, for instance "mean": the key ``type``.
    source
        Where the image of a label image lies, seen from it; None for one that lies by itself.

    Raises
    ------
    ConfigError
        If the version is neither 0.4 nor 0.5, or a level has no placement.

    Examples
    --------
    >>> from voxloom.volumes.transforms import Placement
    >>> axes = tuple(Axis(name, "space") for name in "zyx")
    >>> level = StoredLevel("s0", Placement((8.0, 4.0, 4.0), (0.0, 0.0, 0.0)))
    >>> attributes = render(Multiscale(axes, (level,), "em"), classes={1: "mito"})
    >>> attributes["ome"]["multiscales"][0]["axes"][0]
    {'name': 'z', 'type': 'space', 'unit': 'nanometer'}
    >>> attributes["ome"]["image-label"]["properties"]
    [{'label-value': 1, 'class': 'mito'}]
    """
    keys: dict[str, Any] = {"multiscales": [_multiscale(image, method)]}
    if image.channels:
        keys["omero"] = {
            "channels": [
                _channel(i, name, dtype, is_single=len(image.channels) == 1)
                for i, name in enumerate(image.channels)
            ],
            "rdefs": {"model": "greyscale" if len(image.channels) == 1 else "color"},
        }
    if classes is not None:
        keys["image-label"] = _image_label(classes, image.version, source)
    return _placed(keys, image.version)


def render_labels(names: Sequence[str], version: str) -> dict[str, Any]:
    """Return the attributes of a labels group.

    Examples
    --------
    >>> render_labels(["nuclei"], "0.4")
    {'labels': ['nuclei']}
    """
    return _placed({"labels": list(names)}, version)


def _placed(keys: dict[str, Any], version: str) -> dict[str, Any]:
    if version == "0.5":
        return {"ome": {"version": version, **keys}}
    if version == "0.4":
        return keys
    raise ConfigError(f"NGFF {version!r}: expected '0.5' or '0.4'")


def _multiscale(image: Multiscale, method: str) -> dict[str, Any]:
    stated = {"version": image.version} if image.version == "0.4" else {}
    named = {"type": method} if method else {}
    return {
        **stated,
        "name": image.name,
        "axes": [_axis(axis) for axis in image.axes],
        "datasets": [_dataset(level) for level in image.levels],
        **named,
    }


def _axis(axis: Axis) -> dict[str, str]:
    unit = {"unit": "nanometer"} if axis.kind == "space" else {}
    return {"name": axis.name, "type": axis.kind, **unit}


def _dataset(level: StoredLevel) -> dict[str, Any]:
    if level.placement is None:
        raise ConfigError(f"level {level.path!r} has no placement: expected its scale and translation in nm")
    return {
        "path": level.path,
        "coordinateTransformations": [
            {"type": "scale", "scale": list(level.placement.scale)},
            {"type": "translation", "translation": list(level.placement.translation)},
        ],
    }


def _channel(index: int, name: str, dtype: npt.DTypeLike, *, is_single: bool) -> dict[str, Any]:
    """Describe a channel; of several each has the colour of the class that it is of in a label image."""
    low, high = _range(np.dtype(dtype))
    return {
        "label": name,
        "color": "FFFFFF" if is_single else "{:02X}{:02X}{:02X}".format(*colour_of_label(index + 1)),
        "active": True,
        "window": {"min": low, "max": high, "start": low, "end": high},
    }


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind not in "iu":
        return 0.0, 1.0
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _image_label(classes: Mapping[int, str], version: str, source: str | None) -> dict[str, Any]:
    stated: dict[str, Any] = {"version": version} if version == "0.4" else {}
    # empty lists are not valid, and to some readers neither are missing colours
    stated["colors"] = [
        {"label-value": v, "rgba": [*colour_of_label(v), 255 if v else 0]} for v in classes or (0,)
    ]
    if classes:
        stated["properties"] = [{"label-value": v, "class": name} for v, name in classes.items()]
    return {**stated, "source": {"image": source}} if source else stated
