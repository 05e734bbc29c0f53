"""One range of values for whole volumes, from a coarse level: the same for each of their patches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from voxloom.errors import DataError
from voxloom.geometry import Box
from voxloom.sample import Array
from voxloom.volumes.volume import Volume

__all__ = ["value_range"]

_ENOUGH = 100_000  # voxels that tell how values are spread
_MOST = 64**3 * 8  # voxels that are read of one volume
_PERCENTILES = (0.1, 99.9)


def value_range(volumes: Sequence[Volume]) -> tuple[float, float]:
    """Return the values between which those of volumes lie.

    8-bit types have the range of their type. Of others it is from the 0.1 to the 99.9 percentile: a few
    hot pixels do not count. They are taken over the coarsest level that says enough; of large
    volumes without coarse levels eight blocks are read.

    Parameters
    ----------
    volumes
        At least one.

    Raises
    ------
    DataError
        If no value is finite.
    VolumeReadError
        If they cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> value_range([Volume.open(write_volume(mkdtemp(), phantom((8, 8, 8))))])
    (0.0, 255.0)
    >>> wide = np.linspace(100, 900, 8000).reshape(20, 20, 20).astype("uint16")
    >>> low, high = value_range([Volume.open(write_volume(mkdtemp(), wide))])
    >>> round(low), round(high)
    (100, 899)
    """
    ranges = [_range_of(volume) for volume in volumes]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return low, high if high > low else low + 1.0


def _range_of(volume: Volume) -> tuple[float, float]:
    if volume.dtype.kind == "b":
        return 0.0, 1.0
    if volume.dtype.kind in "iu" and volume.dtype.itemsize == 1:
        limits = np.iinfo(volume.dtype)
        return float(limits.min), float(limits.max)
    values = np.concatenate([block.ravel() for block in _blocks(volume)]).astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        raise DataError(f"{volume.path}: no finite value in it. Is it the right volume, or level?")
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)


def _blocks(volume: Volume) -> Iterator[Array]:
    levels = [level for level in volume.levels if np.prod(level.grid.shape) >= _ENOUGH]
    grid = (levels or volume.levels[:1])[-1].grid
    if np.prod(grid.shape) <= _MOST:
        yield volume.read(grid.box, grid.spacing)
        return
    side = [min(n, 64) for n in grid.shape]
    places = (
        [n // 4, (3 * n) // 4] if n > 2 * s else [n // 2] for n, s in zip(grid.shape, side, strict=True)
    )
    size = [n * s for n, s in zip(side, grid.spacing, strict=True)]
    for place in itertools.product(*places):
        yield volume.read(Box.around(grid.world([p - 0.5 for p in place]), size), grid.spacing)
