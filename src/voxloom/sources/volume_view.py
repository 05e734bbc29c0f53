"""All of one volume as samples: its slices, or tiles that cover it."""

from __future__ import annotations

import os
from typing import Literal

from voxloom.geometry import AXES, Grid, PatchSpec
from voxloom.sources.areas import grid_of
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
    """Return patches that cover a volume, the last along each axis flush with its end.

    They are made of the voxels of the level of their spacing; where none has it, of as many as it takes,
    from the low corner of the volume on.

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
    return _covered(volume, grid_of(volume, spec.spacing), spec)


def _covered(volume: Volume, grid: Grid, spec: PatchSpec) -> PatchSource:
    options = PatchOptions(interpolation="nearest" if volume.is_labels else "linear")
    dataset = Dataset(volume.name, {"image": volume})
    return PatchSource([dataset], inputs={"image": spec}, locations=Tiled([grid], spec), options=options)
