"""Small OME-Zarr volumes for tests, written without the writer that the tests are about."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from voxloom.geometry import Point
from voxloom.sample import Array

__all__ = ["VolumeForm", "phantom", "write_classes", "write_volume"]


@dataclass(frozen=True)
class VolumeForm:
    """How a volume of a test lies on disk.

    Attributes
    ----------
    chunk
        Voxels of a chunk along z, y, x.
    shard
        Voxels of a shard, a multiple of the chunk; None for chunks that are files.
    levels
        How many, each half the one before.
    version
        0.5 writes zarr v3, 0.4 writes zarr v2, where shards do not exist.
    """

    chunk: tuple[int, int, int] = (16, 16, 16)
    shard: tuple[int, int, int] | None = None
    levels: int = 1
    version: str = "0.5"


def write_volume(
    path: str | os.PathLike[str],
    array: Array,
    *,
    spacing: Point = (8.0, 8.0, 8.0),
    origin: Point = (0.0, 0.0, 0.0),
    classes: Mapping[int, str] | None = None,
    form: VolumeForm = VolumeForm(),
) -> Path:
    """Write an array as an OME-Zarr group; return its path.

    Parameters
    ----------
    path
        The group; folders above it are made, as plain folders.
    array
        (z, y, x), or (c, z, y, x).
    spacing, origin
        Of the voxels, and the centre of the first one: z, y, x in nanometres.
    classes
        Names of the ids of a label image. With it, even an empty one, the volume is a label image.
    form
        Levels, chunks, version.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = write_volume(Path(mkdtemp()) / "raw.zarr", phantom((8, 12, 10)), spacing=(8, 4, 4))
    >>> sorted(entry.name for entry in path.iterdir())
    ['s0', 'zarr.json']
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for level in range(form.levels):
        _write_array(path / f"s{level}", array, form)
        array = _halved(array, is_labels=classes is not None)
    axes = "czyx"[-array.ndim :]
    attributes = {"multiscales": [_multiscale(path.name, axes, spacing, origin, form)]}
    if classes is not None:
        properties = [{"label-value": value, "class": name} for value, name in classes.items()]
        attributes["image-label"] = {"properties": properties} if properties else {}  # type: ignore[assignment]
    _write_group(path, attributes, form.version)
    return path


def write_classes(
    path: str | os.PathLike[str],
    masks: Mapping[str, Array],
    *,
    spacing: Point = (8.0, 8.0, 8.0),
    origin: Point = (0.0, 0.0, 0.0),
    form: VolumeForm = VolumeForm(),
) -> str:
    """Write one group a class below `path`; return the path with the classes in brackets.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> mask = np.ones((4, 4, 4), np.uint8)
    >>> write_classes(Path(mkdtemp()) / "crop", {"mito": mask, "er": mask})
    '.../crop/[mito,er]'
    """
    for name, mask in masks.items():
        write_volume(Path(path) / name, mask, spacing=spacing, origin=origin, classes={}, form=form)
    return f"{os.fspath(path)}/[{','.join(masks)}]"


def phantom(shape: tuple[int, ...], dtype: str = "uint8", *, seed: int = 0) -> Array:
    """Return an array without any symmetry: a slope along each axis, and noise upon it.

    Examples
    --------
    >>> phantom((2, 3, 4)).shape
    (2, 3, 4)
    """
    rng = np.random.default_rng(seed)
    slopes = sum((n + 1) * k for n, k in enumerate(np.indices(shape)))
    return np.asarray(slopes + rng.integers(0, 100, shape)).astype(dtype)


def _write_array(path: Path, array: Array, form: VolumeForm) -> None:
    chunk = [*array.shape[:-3], *form.chunk]
    spec: dict[str, Any] = {"kvstore": {"driver": "file", "path": f"{path}/"}}
    if form.version == "0.4":
        sides = [min(c, n) for c, n in zip(chunk, array.shape, strict=True)]
        spec |= {"driver": "zarr", "metadata": {"chunks": sides, "dimension_separator": "/"}}
    else:
        spec |= {"driver": "zarr3", "schema": _chunk_layout(array, chunk, form)}
        spec["metadata"] = {"dimension_names": list("czyx"[-array.ndim :])}
    ts.open(spec, create=True, dtype=array.dtype, shape=array.shape).result().write(array).result()


def _chunk_layout(array: Array, chunk: list[int], form: VolumeForm) -> dict[str, Any]:
    shard = chunk if form.shard is None else [*array.shape[:-3], *form.shard]
    return {"chunk_layout": {"read_chunk": {"shape": chunk}, "write_chunk": {"shape": shard}}}


def _halved(array: Array, *, is_labels: bool) -> Array:
    """Return the array at half the extent: the mean of each block, or its largest label."""
    odd = [(0, 0)] * (array.ndim - 3) + [(0, n % 2) for n in array.shape[-3:]]
    z, y, x = np.pad(array, odd, mode="edge").shape[-3:]
    blocks = np.pad(array, odd, mode="edge").reshape(*array.shape[:-3], z // 2, 2, y // 2, 2, x // 2, 2)
    reduced = blocks.max(axis=(-5, -3, -1)) if is_labels else blocks.mean(axis=(-5, -3, -1)).round()
    return np.asarray(reduced).astype(array.dtype)


def _multiscale(name: str, axes: str, spacing: Point, origin: Point, form: VolumeForm) -> dict[str, Any]:
    levels = []
    lead = len(axes) - 3
    for level in range(form.levels):
        scale = [1.0] * lead + [s * 2**level for s in spacing]
        moved = [0.0] * lead + [o + (2**level - 1) / 2 * s for o, s in zip(origin, spacing, strict=True)]
        transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": moved}]
        levels.append({"path": f"s{level}", "coordinateTransformations": transforms})
    told = [
        {"name": axis, "type": "channel"}
        if axis == "c"
        else {"name": axis, "type": "space", "unit": "nanometer"}
        for axis in axes
    ]
    version = {"version": "0.4"} if form.version == "0.4" else {}
    return {**version, "name": name, "axes": told, "datasets": levels}


def _write_group(path: Path, attributes: dict[str, Any], version: str) -> None:
    if version == "0.4":
        (path / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
        (path / ".zattrs").write_text(json.dumps(attributes))
        return
    told = {"ome": {"version": version, **attributes}}
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": told}))
