"""One image that is written patch by patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from voxloom.compat.cellmap_data.arrays import ArraySpec, Center, point_of
from voxloom.compat.cellmap_data.unused import report_unused
from voxloom.compat.cellmap_data.utils.geometry import Bounds
from voxloom.errors import ConfigError, OutputExistsError, SchemaError
from voxloom.geometry import AXES, Box, Grid
from voxloom.sample import Array
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.place import Place
from voxloom.volumes.saving import write_json
from voxloom.volumes.volume import Volume
from voxloom.volumes.writing import write

__all__ = ["ImageWriter", "bounds_grid"]

Coordinates = Center | Mapping[str, Sequence[float]]


class ImageWriter:
    """An OME-Zarr 0.4 image of one level, made by the first patch that is written.

    Parameters
    ----------
    path
        Of the image's group.
    target_class
        The class that it holds.
    scale
        nm, by axis or in order.
    bounding_box
        (low, high) in nm by axis: the centre of the first voxel lies at `low`, and as many voxels as
        fit reach to `high`.
    write_voxel_shape
        Voxels of a patch, by axis or in order; of a chunk too.
    scale_level
        Has no use any more: the level is called s0, whatever its scale.
    axis_order
        Of scale, shape and patches.
    context
        Has no use any more.
    overwrite
        Replace an image that is there.
    dtype
        Of the voxels.
    fill_value
        What was never written.
    label_class
        The same as `target_class`.

    Raises
    ------
    OutputExistsError
        A FileExistsError; if there is an image already, and `overwrite` is not set.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> box = {axis: [0, 256] for axis in "zyx"}
    >>> image = ImageWriter(mkdtemp() + "/p.zarr/mito", "mito", (8, 8, 8), box, (16, 16, 16))
    >>> image[{"z": 60, "y": 60, "x": 60}] = torch.ones(16, 16, 16)
    >>> float(image[{"z": 60, "y": 60, "x": 60}].min()), image.shape["x"]
    (1.0, 32)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        target_class: str | None = None,
        scale: Mapping[str, float] | Sequence[float] = (1, 1, 1),
        bounding_box: Bounds | None = None,
        write_voxel_shape: Mapping[str, int] | Sequence[int] = (64, 64, 64),
        scale_level: int = 0,
        axis_order: str = AXES,
        context: Any = None,
        overwrite: bool = False,
        dtype: npt.DTypeLike = np.float32,
        fill_value: float = 0,
        *,
        label_class: str | None = None,
    ) -> None:
        report_unused("ImageWriter", context=context, scale_level=scale_level or None)
        if bounding_box is None:
            raise ConfigError("ImageWriter without a bounding_box: expected (low, high) in nm by axis")
        self.path, self.overwrite = str(path), overwrite
        self.label_class = self.target_class = target_class or label_class
        info = {"shape": _in_order(write_voxel_shape, axis_order), "scale": _in_order(scale, axis_order)}
        self.spec = ArraySpec.of(info, axis_order)
        self.bounding_box, self.dtype, self.fill_value = bounding_box, np.dtype(dtype), fill_value
        self.grid = bounds_grid(bounding_box, self.spec)
        place = Place.of(self.path)
        if not overwrite and any(place.read_json(name) for name in (".zattrs", "zarr.json")):
            raise OutputExistsError(
                f"{self.path}: an image is there already; set overwrite=True to replace it, or name another "
                "path"
            )

    @property
    def shape(self) -> dict[str, int]:
        """Voxels by axis."""
        return self._by_axis(self.grid.shape)

    @property
    def chunk_shape(self) -> dict[str, int]:
        """Voxels of a chunk by axis."""
        return {axis: min(n, self.shape[axis]) for axis, n in self.spec.shape.items()}

    @property
    def world_shape(self) -> dict[str, float]:
        """nm by axis."""
        return self._by_axis(self.grid.box.size)

    @property
    def offset(self) -> dict[str, float]:
        """Centre of the first voxel, in nm by axis."""
        return self._by_axis(self.grid.origin)

    @property
    def center(self) -> dict[str, float]:
        """The middle, in nm by axis."""
        return self._by_axis(self.grid.box.center)

    @property
    def full_coords(self) -> dict[str, Array]:
        """Centres of the voxels, in nm by axis."""
        return {a: self.offset[a] + self.spec.scale[a] * np.arange(n) for a, n in self.shape.items()}

    @property
    def array_path(self) -> str:
        """Path of the array."""
        return f"{self.path.rstrip('/')}/s0"

    @property
    def array(self) -> Any:
        """The array: TensorStore's, (c, z, y, x)."""
        return self.volume.array(0)

    @cached_property
    def volume(self) -> Volume:
        """What is written; made when it is first asked for."""
        grid = self.grid
        layout = VolumeLayout(
            spacing=grid.spacing,
            origin=grid.origin,
            dtype=self.dtype.name,
            version="0.4",
            chunk=self.spec.patch.shape,
            shard=None,
            levels=1,
            fill=self.fill_value,
        )
        _make_groups(Place.of(self.path))
        create(self.path, shape=grid.shape, layout=layout, overwrite=self.overwrite)
        return Volume.open(self.path)

    def __setitem__(self, coords: Coordinates, data: torch.Tensor | npt.ArrayLike) -> None:
        """Write a patch around a centre, on the nearest voxels; what stands out is left out.

        Parameters
        ----------
        coords
            nm by axis; or the coordinates along each axis.
        data
            With the shape of a patch, axes of one voxel there or not; or one value.

        Raises
        ------
        SchemaError
            If the data have another shape, or the patch lies outside.
        SaveError
            If it could not be written.
        """
        patch = self._patch(data)
        starts = self._starts(coords)
        low = [max(0, start) for start in starts]
        high = [min(n, s + k) for n, s, k in zip(self.grid.shape, starts, patch.shape, strict=True)]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            raise SchemaError(f"{self.path}: a patch at {dict(coords)} lies outside of {self.bounding_box}")
        cut = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, starts, strict=True))
        first, last = self.grid.world([n - 0.5 for n in low]), self.grid.world([n - 0.5 for n in high])
        write(self.volume, Box(first, last), np.ascontiguousarray(patch[cut]))

    def __getitem__(self, coords: Coordinates) -> torch.Tensor:
        """Return the patch around a centre as it was written."""
        patch = self.spec.patch
        places = [start + (n - 1) / 2 for start, n in zip(self._starts(coords), patch.shape, strict=True)]
        how = Reading("nearest", "pad", self.fill_value)
        voxels = begin_patch(self.volume, patch, self.grid.world(places), how=how).result()
        return torch.from_numpy(self.spec.ordered(voxels))

    def _patch(self, data: torch.Tensor | npt.ArrayLike) -> Array:
        """Return data as (z, y, x) of the image's type."""
        array = data.detach().cpu().numpy() if isinstance(data, torch.Tensor) else np.asarray(data)
        shape = [self.spec.shape[axis] for axis in self.spec.order]
        if array.ndim == 0:
            array = np.full(shape, array)
        if [n for n in array.shape if n > 1] != [n for n in shape if n > 1]:
            raise SchemaError(f"{self.path}: a patch of shape {array.shape}, expected {tuple(shape)}")
        turned = array.reshape(shape).transpose([self.spec.order.index(axis) for axis in AXES])
        return turned.astype(self.dtype)

    def _starts(self, coords: Coordinates) -> list[int]:
        """Return the first voxel of a patch along z, y, x."""
        center = point_of({axis: float(np.mean(values)) for axis, values in coords.items()})
        middle = zip(self.grid.index(center), self.spec.patch.shape, strict=True)
        return [int(np.floor(place - (n - 1) / 2 + 0.5)) for place, n in middle]

    def _by_axis(self, zyx: Sequence[Any]) -> dict[str, Any]:
        return {axis: zyx[AXES.index(axis)] for axis in self.spec.order}


def bounds_grid(bounds: Bounds, spec: ArraySpec) -> Grid:
    """Return the voxels within bounds: the centre of the first one lies at the lower ones.

    Raises
    ------
    ConfigError
        A ValueError; if an axis is missing, or has no room for a voxel.
    """
    try:
        low, high = ([float(bounds[axis][end]) for axis in AXES] for end in (0, 1))
    except (KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"bounds {bounds!r}: expected [low, high] in nm for each of z, y, x") from error
    spacing = spec.patch.spacing
    z, y, x = (round((b - a) / s) for a, b, s in zip(low, high, spacing, strict=True))
    if min(z, y, x) < 1:
        raise ConfigError(f"bounds {dict(bounds)}: expected room for a voxel of {spacing} nm along each axis")
    return Grid((z, y, x), spacing, (low[0], low[1], low[2]))


def _make_groups(place: Place) -> None:
    """Make the groups above an image, from the one that is called .zarr on."""
    above, groups = place.parent, []
    while above.name and not above.name.endswith(".zarr"):
        groups.append(above)
        if above.parent == above:
            return
        above = above.parent
    for group in [above, *reversed(groups)] if above.name else ():
        if not any(group.read_json(name) for name in (".zgroup", "zarr.json")):
            write_json(group, ".zgroup", {"zarr_format": 2})


def _in_order(given: Mapping[str, Any] | Sequence[Any], axis_order: str) -> list[Any]:
    axes = [axis for axis in axis_order if axis in AXES]
    return [given[axis] for axis in axes] if isinstance(given, Mapping) else list(given)
