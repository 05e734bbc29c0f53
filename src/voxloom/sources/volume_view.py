"""All of one volume as samples: its slices, or tiles that cover it."""

from __future__ import annotations

import os
from typing import Literal

from voxloom.geometry import AXES, Grid, PatchSpec
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.tiles import Tiled
from voxloom.sources.volume_split import Dataset
from voxloom.volumes.volume import Volume

__all__ = ["open_slices", "slices", "tiles"]


def open_slices(path: str | os.PathLike[str]) -> PatchSource:
    """Open a volume and return its slices along z; `voxloom.open` does this with an OME-Zarr.

    Raises
    ------
    MissingDataError, VolumeMetadataError
        As `Volume.open` does.
    """
    return slices(Volume.open(path))


def slices(volume: Volume, axis: Literal["z", "y", "x"] = "z", *, level: int = 0) -> PatchSource:
    """Return a volume slice by slice, as 2D images.

    Parameters
    ----------
    volume
        What is cut.
    axis
        Across which.
    level
        Whose voxels are read.

    Returns
    -------
    PatchSource
        One sample a voxel along the axis, with the field ``image`` (c, and the two other axes).

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> source = slices(Volume.open(write_volume(mkdtemp(), phantom((8, 20, 30)))))
    >>> len(source), source[3]["image"].shape
    (8, (1, 20, 30))
    """
    grid = volume.levels[level].grid
    z, y, x = (1 if name == axis else n for name, n in zip(AXES, grid.shape, strict=True))
    return _covered(volume, grid, PatchSpec(shape=(z, y, x), spacing=grid.spacing))


def tiles(volume: Volume, spec: PatchSpec) -> PatchSource:
    """Return patches that cover a volume exactly, the last along each axis flush with its end.

    Parameters
    ----------
    volume
        What is cut.
    spec
        A tile.

    Returns
    -------
    PatchSource
        With the field ``image`` (c, z, y, x), without axes of one voxel.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> volume = Volume.open(write_volume(mkdtemp(), phantom((8, 20, 30))))
    >>> len(tiles(volume, PatchSpec(shape=(8, 16, 16), spacing=(8, 8, 8))))
    4
    """
    size = volume.bounding_box.size
    z, y, x = (max(1, round(n / s)) for n, s in zip(size, spec.spacing, strict=True))
    low = volume.bounding_box.low
    oz, oy, ox = (w + s / 2 for w, s in zip(low, spec.spacing, strict=True))
    return _covered(volume, Grid((z, y, x), spec.spacing, (oz, oy, ox)), spec)


def _covered(volume: Volume, grid: Grid, spec: PatchSpec) -> PatchSource:
    options = PatchOptions(interpolation="nearest" if volume.is_labels else "linear")
    dataset = Dataset(volume.name, {"image": volume})
    return PatchSource([dataset], inputs={"image": spec}, locations=Tiled([grid], spec), options=options)
