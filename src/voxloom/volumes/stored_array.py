"""What the metadata of one stored array say: zarr v2, zarr v3 and N5, read without opening the array."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import VolumeMetadataError

__all__ = ["FILES", "StoredArray", "parse_array"]


@dataclass(frozen=True)
class StoredArray:
    """Shape and type of a stored array, axes in stored order.

    Attributes
    ----------
    driver
        TensorStore's name of the format: zarr, zarr3 or n5.
    chunk
        What is decoded at once: the inner chunk where there are shards.
    shard
        What is written at once.
    names
        Of the axes, where the array tells.
    """

    driver: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    names: tuple[str, ...] = ()


def parse_array(driver: str, metadata: Mapping[str, Any]) -> StoredArray:
    """Return what the metadata of an array say.

    Parameters
    ----------
    driver
        zarr, zarr3 or n5.
    metadata
        The object that lies in .zarray, zarr.json or attributes.json.

    Raises
    ------
    VolumeMetadataError
        If something is missing or malformed.
    """
    try:
        return _PARSERS[driver](metadata)
    except (KeyError, TypeError, IndexError, StopIteration) as error:
        raise VolumeMetadataError(
            f"metadata of a {driver} array: {type(error).__name__} {error}: expected shape, type and chunks"
        ) from error


def _zarr2(metadata: Mapping[str, Any]) -> StoredArray:
    shape, chunk = _extents(metadata["shape"]), _extents(metadata["chunks"])
    return StoredArray("zarr", shape, _type(metadata["dtype"]), chunk, chunk)


def _zarr3(metadata: Mapping[str, Any]) -> StoredArray:
    shape = _extents(metadata["shape"])
    shard = _extents(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    names = tuple(name or "" for name in metadata.get("dimension_names") or ())
    chunk = _inner(metadata["codecs"], shard)
    return StoredArray("zarr3", shape, _type(metadata["data_type"]), chunk, shard, names)


def _inner(codecs: Sequence[Any], shard: tuple[int, ...]) -> tuple[int, ...]:
    """Return the chunk within a shard; shards within shards have the innermost."""
    order = tuple(range(len(shard)))
    for codec in codecs:
        settings = codec.get("configuration", {})
        if codec["name"] == "transpose":
            order = tuple(order[i] for i in _order(settings["order"], len(shard)))
        elif codec["name"] == "sharding_indexed":
            inner = _extents(settings["chunk_shape"])
            deepest = _inner(settings.get("codecs", ()), inner)
            return tuple(deepest[order.index(axis)] for axis in range(len(shard)))
    return shard


def _order(order: Any, rank: int) -> Sequence[int]:
    """Return how a codec exchanges axes; early writers of zarr v3 had letters for it."""
    letters = {"C": range(rank), "F": range(rank)[::-1]}
    return letters[order] if isinstance(order, str) else [int(axis) for axis in order]


def _n5(metadata: Mapping[str, Any]) -> StoredArray:
    shape, chunk = _extents(metadata["dimensions"]), _extents(metadata["blockSize"])
    return StoredArray("n5", shape, _type(metadata["dataType"]), chunk, chunk, _n5_axes(metadata))


def _n5_axes(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    axes = metadata.get("axes")
    return tuple(map(str, axes)) if isinstance(axes, list) else ()


_PARSERS: dict[str, Callable[[Mapping[str, Any]], StoredArray]] = {
    "zarr": _zarr2,
    "zarr3": _zarr3,
    "n5": _n5,
}
FILES = {"zarr": ".zarray", "zarr3": "zarr.json", "n5": "attributes.json"}
"""Where the metadata of an array lie, by driver."""


def _extents(values: Any) -> tuple[int, ...]:
    extents = tuple(int(value) for value in values)
    if not extents or math.prod(extents) < 0 or min(extents) < 0:
        raise VolumeMetadataError(f"extents {list(extents)}: expected whole numbers, 0 or more")
    return extents


def _type(name: Any) -> np.dtype[Any]:
    """Return numpy's type; numbers alone can be sampled."""
    try:
        found: np.dtype[Any] = np.dtype(name)
    except TypeError as error:
        raise VolumeMetadataError(f"data type {name!r}: expected whole numbers, floats or bool") from error
    if found.kind not in "biuf":
        raise VolumeMetadataError(f"data type {name!r}: expected whole numbers, floats or bool")
    return found.newbyteorder("=")
