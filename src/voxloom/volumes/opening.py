"""Opening volumes: a few small files for each, the requests of all volumes in flight at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from voxloom.errors import DataError, MissingDataError, VolumeMetadataError
from voxloom.geometry import Grid, Point
from voxloom.registry import did_you_mean
from voxloom.volumes import ome
from voxloom.volumes.place import Place, begin_reads, finish_reads
from voxloom.volumes.stored_array import FILES, StoredArray, parse_array
from voxloom.volumes.transforms import Placement

__all__ = ["Description", "Level", "Options", "describe", "describe_many"]

_T = TypeVar("_T")
Asking = Generator[list[tuple[Place, str]], list[dict[str, Any] | None], "Description"]
"""What opens one volume: yields the files that it needs next, and is sent what they hold."""


@dataclass(frozen=True)
class Level:
    """One level of a volume's pyramid.

    Attributes
    ----------
    path
        Of the array, below the volume.
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
    """How a volume is opened; see `Volume.open`."""

    channels: tuple[str | int, ...] | None = None
    time: int = 0
    unit: str | None = None
    spacing: Point | None = None
    strict: bool = False


@dataclass(frozen=True)
class Description:
    """All that is known of a volume from its metadata.

    Attributes
    ----------
    axes
        Of the stored arrays, in stored order, for instance "tczyx".
    driver
        TensorStore's name of the format.
    chosen
        Which stored channels the volume shows.
    channels
        Their names.
    classes
        Names of a label image's values.
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


def describe(place: Place, options: Options) -> Description:
    """Return what the metadata of one volume say."""
    return describe_many([place], options)[0]


def describe_many(places: Sequence[Place], options: Options) -> list[Description]:
    """Return what the metadata of many volumes say; each round of requests is in flight for all at once.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError
        For the first volume that cannot be opened.
    """
    asking: list[Asking] = [_asked(place, options) for place in places]
    done: list[Description | None] = [None] * len(places)
    wanted = {i: next(each) for i, each in enumerate(asking)}
    while wanted:
        begun = {i: begin_reads(files) for i, files in wanted.items()}
        wanted = {}
        for i, reads in begun.items():
            try:
                wanted[i] = asking[i].send(finish_reads(reads))
            except StopIteration as end:
                done[i] = end.value
            except DataError as error:
                raise type(error)(_said(places[i], error)) from error
    return [each for each in done if each is not None]


def _said(place: Place, error: DataError) -> str:
    return str(error) if str(place) in str(error) else f"{place}: {error}"


def _asked(place: Place, options: Options) -> Asking:
    zarr3, attributes, zarr2 = yield [(place, name) for name in ("zarr.json", ".zattrs", ".zarray")]
    if zarr2 is not None or (zarr3 or {}).get("node_type") == "array":
        raise VolumeMetadataError("an array without NGFF metadata")
    if zarr3 is None and attributes is None:
        raise MissingDataError("no zarr image here")
    driver = "zarr" if zarr3 is None else "zarr3"
    stated: Mapping[str, Any] = attributes if zarr3 is None else zarr3.get("attributes", {})  # type: ignore[assignment]
    image = ome.parse(stated, unit=options.unit, spacing=options.spacing)
    found = yield [(place.join(level.path), FILES[driver]) for level in image.levels]
    arrays = [
        _array(driver, level.path, metadata) for level, metadata in zip(image.levels, found, strict=True)
    ]
    return _description(place, image, arrays, options=options, classes=ome.parse_image_label(stated))


def _array(driver: str, path: str, metadata: Mapping[str, Any] | None) -> StoredArray:
    if metadata is None:
        raise MissingDataError(f"level {path!r}: the metadata name it, and no array is there")
    return parse_array(driver, metadata)


def _description(
    place: Place,
    image: ome.Multiscale,
    arrays: Sequence[StoredArray],
    *,
    options: Options,
    classes: Mapping[int, str] | None,
) -> Description:
    axes = "".join(axis.name for axis in image.axes)
    for level, array in zip(image.levels, arrays, strict=True):
        if len(array.shape) != len(axes):
            raise VolumeMetadataError(
                f"level {level.path!r}: {len(array.shape)} dimensions, and the axes are {', '.join(axes)}"
            )
    count = arrays[0].shape[axes.index("c")] if "c" in axes else 1
    names = image.channels if len(image.channels) == count else tuple(map(str, range(count)))
    chosen = _chosen(options.channels, names)
    _check_time(options.time, arrays[0].shape[axes.index("t")] if "t" in axes else 1)
    return Description(
        place,
        image.name or place.name,
        _levels(axes, image, arrays, options.spacing),
        axes,
        arrays[0].driver,
        chosen,
        tuple(names[i] for i in chosen),
        classes is not None,
        dict(classes or {}),
        options,
    )


def _chosen(asked: Sequence[str | int] | None, names: Sequence[str]) -> tuple[int, ...]:
    if asked is None:
        return tuple(range(len(names)))
    return tuple(_channel(each, names) for each in asked)


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
        raise DataError(f"time {time}: the volume has {count}, expected a number from 0 to {count - 1}")


def _levels(
    axes: str, image: ome.Multiscale, arrays: Sequence[StoredArray], spacing: Point | None
) -> tuple[Level, ...]:
    first = image.levels[0].placement
    assert first is not None
    inserted = _inserted(axes, first, spacing)
    return tuple(
        _levelled(axes, level, array, inserted) for level, array in zip(image.levels, arrays, strict=True)
    )


def _inserted(axes: str, first: Placement, spacing: Point | None) -> Point:
    """Return the spacing of axes that are not stored: a 2D image is as thick as its pixels are high.

    It is the same at each level, so that no level is too coarse for want of an axis that none has.
    """
    if spacing is not None:
        return spacing
    thick = first.scale[axes.index("y" if "y" in axes else "x")]
    return (thick, thick, thick)


def _levelled(axes: str, level: ome.StoredLevel, array: StoredArray, inserted: Point) -> Level:
    placement = level.placement
    assert placement is not None
    places = [axes.find(axis) for axis in "zyx"]
    grid = Grid(
        _three(array.shape[p] if p >= 0 else 1 for p in places),
        _three(placement.scale[p] if p >= 0 else i for p, i in zip(places, inserted, strict=True)),
        _three(placement.translation[p] if p >= 0 else 0.0 for p in places),
    )
    chunk, shard = (_three(e[p] if p >= 0 else 1 for p in places) for e in (array.chunk, array.shard))
    return Level(level.path, grid, chunk, shard, np.dtype(array.dtype))


def _three(values: Iterable[_T]) -> tuple[_T, _T, _T]:
    z, y, x = values
    return (z, y, x)
