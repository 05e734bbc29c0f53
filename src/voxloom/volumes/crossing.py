"""What part of a parallelepiped lies between two heights: which voxels of a slab a turned patch needs."""

from __future__ import annotations

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel

__all__ = ["bounds_between"]


@kernel
def bounds_between(corners: Array, heights: Array, found: Array) -> None:
    """Find the bounds of the part between each two heights along the first axis.

    Parameters
    ----------
    corners
        (8, d); corner ``a`` and corner ``b`` share an edge where the numbers differ in one bit.
    heights
        (n, 2), lower and upper.
    found
        (n, 2, d), filled with the least and the largest of each coordinate; infinite where nothing lies
        between the heights.
    """
    for n in range(heights.shape[0]):
        found[n, 0], found[n, 1] = np.inf, -np.inf
        for a in range(8):
            if heights[n, 0] <= corners[a, 0] <= heights[n, 1]:
                _include(corners[a], corners[a], 0.0, found[n])
            for axis in range(3):
                b = a | (1 << axis)
                rise = corners[b, 0] - corners[a, 0]
                if rise != 0:  # also where b is a
                    for height in heights[n]:
                        along = (height - corners[a, 0]) / rise
                        if 0 <= along <= 1:
                            _include(corners[a], corners[b], along, found[n])


@kernel
def _include(one: Array, other: Array, along: float, found: Array) -> None:
    for d in range(one.shape[0]):
        value = one[d] + along * (other[d] - one[d])
        found[0, d] = min(found[0, d], value)
        found[1, d] = max(found[1, d], value)
