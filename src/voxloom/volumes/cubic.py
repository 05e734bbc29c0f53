"""Cubic interpolation: Catmull-Rom, which is Keys' kernel with a = -1/2.

R. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. ASSP 29 (1981). It goes
through the voxels and needs four along each axis. A spline through all voxels (scipy's ``order=3``) is a
little sharper, but then a voxel of a patch depends on how much was read around it: two tiles, or a patch
and a crop of it, would differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel
from voxloom.volumes.rows import Places, inside, row

__all__ = ["cubic"]


@kernel
def cubic(source: Array, lies: Places, whole: bool, limits: Any, out: Array) -> None:
    """Sample channels (c, z, y, x) of a box; beyond its faces the outermost voxels go on."""
    channels, nz, ny, nx = out.shape
    shape = source.shape[1:]
    places, keep = np.empty((3, nx)), np.ones(nx, np.uint8)
    near, weights = np.empty((3, 4), np.int64), np.empty((3, 4))
    for k in range(nz):
        for j in range(ny):
            row(k, j, lies, places)
            if not whole:
                inside(places, shape, keep)
            for i in range(nx):
                if keep[i]:
                    for axis in range(3):
                        _taps(places[axis, i], shape[axis], near[axis], weights[axis])
                    for c in range(channels):
                        out[c, k, j, i] = _stored(_sum(source[c], near, weights), limits)


@kernel
def _taps(place: float, extent: int, near: Array, weights: Array) -> None:
    """Fill in the four voxels about a place on one axis, and their weights."""
    place = min(max(place, 0.0), extent - 1.0)
    first = int(place)
    t = place - first
    weights[0] = t * (t * (1 - 0.5 * t) - 0.5)
    weights[1] = t * t * (1.5 * t - 2.5) + 1
    weights[2] = t * (t * (2 - 1.5 * t) + 0.5)
    weights[3] = t * t * (0.5 * t - 0.5)
    for tap in range(4):
        near[tap] = min(max(first - 1 + tap, 0), extent - 1)


@kernel
def _sum(values: Array, near: Array, weights: Array) -> float:
    total = 0.0
    for a in range(4):
        for b in range(4):
            line = values[near[0, a], near[1, b]]
            along = 0.0
            for c in range(4):
                along += weights[2, c] * line[near[2, c]]
            total += weights[0, a] * weights[1, b] * along
    return total


@kernel
def _stored(value: float, limits: Any) -> float:
    """Round half up where it will be an integer, and clip to what the type holds: cubics overshoot."""
    if limits[0] > -np.inf:
        value = min(max(np.floor(value + 0.5), limits[0]), limits[1])
    return value
