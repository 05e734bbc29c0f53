"""All that is known of a volume from its metadata: levels in nm along z, y, x, channels, classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from voxloom.errors import DataError, VolumeMetadataError
from voxloom.geometry import AXES, Grid, Point
from voxloom.registry import did_you_mean
from voxloom.volumes.ome import Multiscale, StoredLevel
from voxloom.volumes.place import Place
from voxloom.volumes.stored_array import StoredArray
from voxloom.volumes.transforms import Placement
from voxloom.volumes.units import nanometres

__all__ = ["Description", "Level", "Options", "described"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Level:
    """One level of a volume's pyramid.

    Attributes
    ----------
    path
        Of the array, below the volume; empty where the volume is the array.
    grid
        Its voxels along z, y, x, in nm.
    chunk
        Voxels along z, y, x that are decoded at once; the inner chunk where there are shards.
    shard
        Voxels along z, y, x that are written at once.
    dtype
        As numpy has it.
    """

    path: str
    grid: Grid
    chunk: tuple[int, int, int]
    shard: tuple[int, int, int]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Options:
    """How a volume is opened; `Volume.open` tells what each is."""

    channels: tuple[str | int, ...] | None = None
    time: int = 0
    unit: str | None = None
    spacing: Point | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.unit is not None:
            nanometres(self.unit)  # a typo is told even where the metadata state a unit


@dataclass(frozen=True)
class Description:
    """All that is known of a volume from its metadata.

    Attributes
    ----------
    place
        Of the group, or of the array where there is none.
    name
        As the metadata have it, else of the folder.
    levels
        Finest first.
    axes
        Of the stored arrays, in stored order, for instance "tczyx".
    driver
        TensorStore's name of the format.
    chosen
        Which stored channels are shown.
    channels
        Their names.
    is_labels
        Whether it is a label image.
    classes
        Names of a label image's values.
    options
        How it was opened.
    """

    place: Place
    name: str
    levels: tuple[Level, ...]
    axes: str
    driver: str
    chosen: tuple[int, ...]
    channels: tuple[str, ...]
    is_labels: bool
    classes: Mapping[int, str]
    options: Options


def described(
    place: Place,
    image: Multiscale,
    arrays: Sequence[StoredArray],
    *,
    options: Options,
    classes: Mapping[int, str] | None,
) -> Description:
    """Return the description of an image and its arrays, one for each level.

    Parameters
    ----------
    classes
        Names of values where it is a label image, else None.

    Raises
    ------
    VolumeMetadataError
        If the arrays do not fit the image.
    DataError
        If a channel or the time that is asked for is not there.
    """
    axes = "".join(axis.name for axis in image.axes)
    for level, array in zip(image.levels, arrays, strict=True):
        _check_array(level.path, array, axes, arrays[0])
    count = _extent(axes, arrays[0], "c")
    names = image.channels if len(image.channels) == count else tuple(map(str, range(count)))
    _check_time(options.time, _extent(axes, arrays[0], "t"))
    chosen = tuple(range(count))
    if options.channels is not None:
        chosen = tuple(_channel(each, names) for each in options.channels)
    return Description(
        place,
        image.name.strip("/") or place.name,
        _levels(axes, image.levels, arrays, options.spacing),
        axes,
        arrays[0].driver,
        chosen,
        tuple(names[i] for i in chosen),
        classes is not None,
        classes or {},
        options,
    )


def _extent(axes: str, array: StoredArray, axis: str) -> int:
    return array.shape[axes.index(axis)] if axis in axes else 1


def _check_array(path: str, array: StoredArray, axes: str, first: StoredArray) -> None:
    told = f"level {path!r} of shape {array.shape}"
    if len(array.shape) != len(axes):
        raise VolumeMetadataError(f"{told}: expected {len(axes)} axes, as the image has: {', '.join(axes)}")
    if min(array.shape) < 1:
        raise VolumeMetadataError(f"{told} holds no voxels: expected an extent of 1 or more along each axis")
    if array.dtype != first.dtype:
        raise VolumeMetadataError(
            f"{told} has type {array.dtype}: expected {first.dtype}, as the first level. Open one level "
            "alone, by its own path"
        )
    for axis in "tc":
        if _extent(axes, array, axis) != _extent(axes, first, axis):
            raise VolumeMetadataError(
                f"{told}: expected {_extent(axes, first, axis)} along {axis}, as the first level"
            )


def _channel(asked: str | int, names: Sequence[str]) -> int:
    if isinstance(asked, str) and asked in names:
        return list(names).index(asked)
    if isinstance(asked, int) and 0 <= asked < len(names):
        return asked
    raise DataError(
        f"channel {asked!r}: expected one of {', '.join(map(repr, names))}, or a number from 0 to "
        f"{len(names) - 1}.{did_you_mean(str(asked), names)}"
    )


def _check_time(time: int, count: int) -> None:
    if not 0 <= time < count:
        raise DataError(f"time {time} of {count}: expected a number from 0 to {count - 1}")


def _levels(
    axes: str, levels: Sequence[StoredLevel], arrays: Sequence[StoredArray], spacing: Point | None
) -> tuple[Level, ...]:
    if spacing is not None:
        levels = [_assumed(axes, s, a, arrays[0], spacing) for s, a in zip(levels, arrays, strict=True)]
    inserted = _inserted(axes, levels[0], spacing)
    made = [_level(axes, s, a, inserted) for s, a in zip(levels, arrays, strict=True)]
    return tuple(sorted(made, key=lambda level: float(np.prod(level.grid.spacing))))


def _assumed(
    axes: str, level: StoredLevel, array: StoredArray, first: StoredArray, spacing: Point
) -> StoredLevel:
    """Return a level whose placement the file did not say: voxels of the first, so many put together."""
    if level.placement is not None:
        return level
    factors = [max(1, round(a / b)) for a, b in zip(first.shape, array.shape, strict=True)]
    own = [spacing[AXES.index(axis)] if axis in AXES else 1.0 for axis in axes]
    scale = tuple(f * s for f, s in zip(factors, own, strict=True))
    return replace(
        level,
        placement=Placement(scale, tuple((f - 1) / 2 * s for f, s in zip(factors, own, strict=True))),
    )


def _inserted(axes: str, first: StoredLevel, spacing: Point | None) -> Point:
    """Return the spacing of axes that are not stored: a 2D image is as thick as its pixels are high.

    It is the same at each level, so that no level is too coarse for want of an axis that none has.
    """
    if spacing is not None:
        return spacing
    thick = _placement(first).scale[axes.index("y" if "y" in axes else "x")]
    return (thick, thick, thick)


def _placement(level: StoredLevel) -> Placement:
    if level.placement is None:
        raise VolumeMetadataError(
            f"level {level.path!r} has no scale. State the spacing of the finest level in nm: "
            "spacing=(z, y, x)"
        )
    return level.placement


def _level(axes: str, level: StoredLevel, array: StoredArray, inserted: Point) -> Level:
    placement = _placement(level)
    places = [axes.find(axis) for axis in AXES]
    grid = Grid(
        _three(array.shape[p] if p >= 0 else 1 for p in places),
        _three(placement.scale[p] if p >= 0 else s for p, s in zip(places, inserted, strict=True)),
        _three(placement.translation[p] if p >= 0 else 0.0 for p in places),
    )
    chunk, shard = (_three(e[p] if p >= 0 else 1 for p in places) for e in (array.chunk, array.shard))
    return Level(level.path, grid, chunk, shard, np.dtype(array.dtype))


def _three(values: Iterable[_T]) -> tuple[_T, _T, _T]:
    z, y, x = values
    return (z, y, x)
