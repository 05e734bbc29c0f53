"""What a prediction writes: an image of values, a label image, a mask for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.errors import ConfigError
from voxloom.geometry import Box
from voxloom.inference.lattice import Unit
from voxloom.inference.slab import Slab
from voxloom.inference.volume_model import BACKGROUND
from voxloom.inference.volume_plan import VolumePlan
from voxloom.volumes import Place, Volume
from voxloom.volumes.creation import create, create_labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import begin_write, downsample, hot_levels, write_level_block

__all__ = ["Product", "finish_levels", "image_of", "label_table", "marker_place", "products_of"]

Array = npt.NDArray[Any]

_CHUNKS = (64, 48, 32, 24, 16)  # voxels of a chunk along an axis: the first that fits into a unit


@dataclass(frozen=True)
class Product:
    """One thing that is written.

    Attributes
    ----------
    what
        Values of the channels, the strongest channel, or which channels reach a threshold.
    stores
        (path, name) of each volume: the name of a label image below the path, or "".
    layouts
        Of each volume.
    ids
        Id of each channel, for labels.
    least
        Least probability of a label or a mask.
    """

    what: Literal["values", "labels", "masks"]
    stores: tuple[tuple[str, str], ...]
    layouts: tuple[VolumeLayout, ...]
    ids: tuple[int, ...] = ()
    least: float = 0.0

    @property
    def paths(self) -> list[str]:
        """Where its volumes are."""
        return [f"{path}/labels/{name}" if name else path for path, name in self.stores]

    def make(self, shape: Sequence[int], *, overwrite: bool) -> None:
        """Make its volumes, empty, or find them made."""
        how: dict[str, Any] = {"shape": shape, "overwrite": overwrite, "resume": not overwrite}
        for (path, name), layout in zip(self.stores, self.layouts, strict=True):
            if name:
                create_labels(path, name, layout=layout, **how)
            else:
                create(path, layout=layout, **how)

    def open(self) -> list[Volume]:
        """Open its volumes."""
        return Volume.open_many(self.paths)

    def buffer(self, unit: Unit) -> Array:
        """Return an array for a unit: (K, z, y, x), or (z, y, x) for labels."""
        channels = len(self.layouts[0].channels) if self.what == "values" else len(self.layouts)
        extent = unit.shape if self.what == "labels" else (channels, *unit.shape)
        return np.empty(extent, self.layouts[0].dtype)

    def take(self, slab: Slab, planes: range, out: Array) -> None:
        """Fill finished planes of a buffer from the slab."""
        if self.what == "values":
            slab.take_values(planes, out)
        elif self.what == "labels":
            slab.take_labels(planes, out, np.array(self.ids, out.dtype), self.least)
        else:
            slab.take_masks(planes, out, self.least)

    def write(self, volumes: Sequence[Volume], box: Box, voxels: Array, unit: Sequence[int]) -> None:
        """Write a unit: level 0 and, while it is at hand, the levels of which it holds whole shards.

        Raises
        ------
        SaveError
            If it could not be written.
        """
        parts = voxels if self.what == "masks" else [voxels]
        for volume, part in zip(volumes, parts, strict=True):
            pending = begin_write(volume, box, part)  # compressed by other threads meanwhile
            write_level_block(volume, box, part, unit=unit)
            pending.result()


def finish_levels(volumes: Sequence[Volume], unit: Sequence[int]) -> None:
    """Make the levels that units share shards of; all units are written."""
    for volume in volumes:
        first = hot_levels(volume, unit)
        if first < len(volume.levels):
            downsample(volume, first=first)


def products_of(plan: VolumePlan, output: str) -> list[Product]:
    """Return what a plan writes; an image comes before the labels below it.

    Raises
    ------
    ConfigError
        If a class has no name for a mask, or one that the labels have.
    """
    made, options = [], plan.options
    channels = plan.model.channels
    _check_names(plan)
    image = next((name for name in options.write if name in ("probabilities", "values")), None)
    if image is not None:
        shown = channels if image == "values" else _classes(channels)
        layout = _layout(plan, dtype=options.values.dtype, kind="image", channels=shown)
        made.append(Product("values", ((output, ""),), (layout,)))
    if "labels" in options.write:
        made.append(_labels(plan, output, below=image is not None))
    if "masks" in options.write:
        names = _classes(channels)
        layouts = tuple(_layout(plan, dtype="uint8", kind="labels", classes={1: name}) for name in names)
        stores = tuple((output, name) for name in names)
        made.append(Product("masks", stores, layouts, least=_least(options.threshold, 0.5)))
    return made


def label_table(channels: Sequence[str]) -> tuple[int, ...]:
    """Return the id of each channel: from 1 on, or from 0 where the first is the background.

    Examples
    --------
    >>> label_table(["mito", "er"]), label_table(["background", "mito"])
    ((1, 2), (0, 1))
    """
    first = 0 if channels[0] == BACKGROUND else 1
    return tuple(range(first, first + len(channels)))


def _classes(channels: Sequence[str]) -> tuple[str, ...]:
    """Return the channels without the background."""
    return tuple(channels[1:] if channels[0] == BACKGROUND and len(channels) > 1 else channels)


def marker_place(output: str) -> Place:
    """Return where the markers of an output lie: beside it, or beside the image that holds it.

    Examples
    --------
    >>> str(marker_place("/data/pred.zarr")), str(marker_place("/data/raw.zarr/labels/cells"))
    ('/data/pred.zarr.prediction', '/data/raw.zarr.cells.prediction')
    """
    place = Place.of(output)
    image, name = image_of(place)
    if image is None:
        return place.parent.join(f"{place.name}.prediction")
    return image.parent.join(f"{image.name}.{name}.prediction")


def image_of(place: Place) -> tuple[Place | None, str]:
    """Return IMAGE and NAME of a place IMAGE/labels/NAME, and None and "" of any other."""
    return (place.parent.parent, place.name) if place.parent.name == "labels" else (None, "")


def _labels(plan: VolumePlan, output: str, *, below: bool) -> Product:
    channels, options = plan.model.channels, plan.options
    ids = label_table(channels)
    # Of channels that exclude each other one is right everywhere; of others all may be absent.
    exclusive = channels[0] == BACKGROUND or plan.model.activation == "softmax"
    classes = {number: name for number, name in zip(ids, channels, strict=True) if number}
    dtype = "uint8" if ids[-1] < 256 else "uint16"
    image, name = image_of(Place.of(output))
    levels = None
    if below:
        store = (output, options.label_name)
    elif image is not None:
        store, levels = (str(image), name), len(Volume.open(str(image)).levels)
    else:
        store = (output, "")
    layout = _layout(plan, dtype=dtype, kind="labels", classes=classes, levels=levels)
    least = _least(options.threshold, 0.0 if exclusive else 0.5)
    return Product("labels", (store,), (layout,), ids, least)


def _least(threshold: float | None, default: float) -> float:
    return default if threshold is None else threshold


def _check_names(plan: VolumePlan) -> None:
    """Refuse what cannot be names of label images, before anything is made."""
    options = plan.options
    names = [options.label_name] if "labels" in options.write else []
    names += _classes(plan.model.channels) if "masks" in options.write else []
    odd = next((n for n in names if not n or "/" in n or n.startswith(".")), None)
    twice = next((n for n in names if names.count(n) > 1), None)
    if odd is not None:
        raise ConfigError(
            f"{odd!r} as a label image: expected a name without a slash and without a dot in front. Write "
            "labels in place of masks (--write probabilities --write labels)."
        )
    if twice is not None:
        raise ConfigError(
            f"labels and the mask of class {twice!r} would be one label image. Give label_name another "
            "name, or write one of the two."
        )


def _layout(plan: VolumePlan, **given: Any) -> VolumeLayout:
    grid, options = plan.grid, plan.options
    chunk = tuple(_chunk(n) for n in options.unit)
    sharded = options.version != "0.4"
    return VolumeLayout(
        spacing=grid.spacing,
        origin=grid.origin,
        version=options.version,
        chunk=chunk,  # type: ignore[arg-type]
        shard=options.unit if sharded else None,
        **given,
    )


def _chunk(unit: int) -> int:
    """Return the extent of a chunk that divides a unit."""
    return next((n for n in _CHUNKS if unit % n == 0), unit)
