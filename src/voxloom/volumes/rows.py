"""Where the voxels of one row of a patch lie in a box of voxels: what every kernel starts a row with."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel
from voxloom.volumes.placement import TIE, Placement

__all__ = ["Places", "cells", "inside", "nearest", "places_of", "row", "steps"]

Places = tuple[Array, Array, Array, Array, Array]
"""Matrix, offset, bend (empty for none), knots of a `Placement`, and room for what `row` keeps of a plane."""

_HALF = 0.5 - TIE  # what is exactly between two voxels belongs to the lower one, as everywhere
_NO_BEND = np.zeros((3, 0, 0, 0))


def places_of(placement: Placement) -> Places:
    """Return a placement as kernels take it."""
    bend = _NO_BEND if placement.bend is None else placement.bend
    scratch = np.empty((3, bend.shape[2] + 1, bend.shape[3]))
    return np.ascontiguousarray(placement.matrix), placement.offset, bend, placement.knots, scratch


@kernel
def row(k: int, j: int, lies: Places, places: Array) -> None:
    """Fill (3, n): the places along z, y, x of the voxels of row k, j. Rows come in order, from j = 0 on."""
    matrix, offset, bend, knots, scratch = lies
    for axis in range(3):
        start = matrix[axis, 0] * k + matrix[axis, 1] * j + offset[axis]
        step = matrix[axis, 2]
        for i in range(places.shape[1]):
            places[axis, i] = start + step * i
    if bend.shape[1]:
        _bend(k, j, bend, knots, scratch, places)


@kernel
def _bend(k: int, j: int, bend: Array, knots: Array, scratch: Array, places: Array) -> None:
    """Add the displacement: contracted over z once a plane, over y once a row, then a cubic along x."""
    n, m, p = bend.shape[1:]
    if j == 0:
        (a, b, c, d), first = _basis(knots[0, 0] + knots[1, 0] * k, n)
        for axis in range(3):
            for y in range(m):
                for x in range(p):
                    four = bend[axis, first : first + 4, y, x]
                    scratch[axis, y, x] = a * four[0] + b * four[1] + c * four[2] + d * four[3]
    (a, b, c, d), first = _basis(knots[0, 1] + knots[1, 1] * j, m)
    line = scratch[:, m]
    for axis in range(3):
        for x in range(p):
            four = scratch[axis, first : first + 4, x]
            line[axis, x] = a * four[0] + b * four[1] + c * four[2] + d * four[3]
    # between two control points the curve is one cubic, which is evaluated many voxels at a time
    start, step = knots[0, 2], knots[1, 2]
    begin = 0
    for cell in range(1, p - 2):
        end = places.shape[1] if cell == p - 3 else int(np.ceil((cell + 1 - start) / step))
        end = max(begin, min(end, places.shape[1]))
        for axis in range(3):
            a, b, c, d = line[axis, cell - 1], line[axis, cell], line[axis, cell + 1], line[axis, cell + 2]
            c0, c1, c2, c3 = (a + 4 * b + c) / 6, (c - a) / 2, (a - 2 * b + c) / 2, (d - a + 3 * (b - c)) / 6
            for i in range(begin, end):
                t = min(max(start + step * i, 1.0), p - 2.0) - cell
                places[axis, i] += c0 + t * (c1 + t * (c2 + t * c3))
        begin = end


@kernel
def _basis(place: float, points: int) -> Any:
    """Return the four weights of a uniform cubic B-spline at a place, and the first point that has one."""
    place = min(max(place, 1.0), points - 2.0)
    first = min(int(place), points - 3)
    t = place - first
    s = 1.0 - t
    weights = (s * s * s / 6, (4 - 3 * t * t * (2 - t)) / 6, (4 - 3 * s * s * (2 - s)) / 6, t * t * t / 6)
    return weights, first - 1


@kernel
def cells(places: Array, shape: Any, at: Array, weights: Array) -> None:
    """Find the voxel just below each place, as an index into the flat box, and how far above it it is."""
    depth, height, width = shape
    for i in range(at.shape[0]):
        z = min(max(places[0, i], 0.0), depth - 1.0)
        y = min(max(places[1, i], 0.0), height - 1.0)
        x = min(max(places[2, i], 0.0), width - 1.0)
        # the last voxel is the upper one of its pair, so that there always is a pair
        iz = np.int32(min(z, max(depth - 2.0, 0.0)))
        iy = np.int32(min(y, max(height - 2.0, 0.0)))
        ix = np.int32(min(x, max(width - 2.0, 0.0)))
        at[i] = np.uint64((np.int64(iz) * height + iy) * width + ix)
        weights[0, i] = z - iz
        weights[1, i] = y - iy
        weights[2, i] = x - ix


@kernel
def steps(shape: Any) -> tuple[Any, Any, Any, Any]:
    """Return how far the next voxel along x, y, z, c is in the flat box; 0 where there is none."""
    depth, height, width = shape
    # unsigned, as a signed index may mean one from the end, which takes a question for each voxel
    x = np.uint64(1 if width > 1 else 0)
    y = np.uint64(width if height > 1 else 0)
    z = np.uint64(height * width if depth > 1 else 0)
    return x, y, z, np.uint64(depth * height * width)


@kernel
def nearest(places: Array, shape: Any, at: Array) -> None:
    """Find the voxel nearest to each place, the lower of two, as an index into the flat box."""
    depth, height, width = shape
    for i in range(at.shape[0]):
        z = np.int32(min(max(places[0, i] + _HALF, 0.0), depth - 1.0))
        y = np.int32(min(max(places[1, i] + _HALF, 0.0), height - 1.0))
        x = np.int32(min(max(places[2, i] + _HALF, 0.0), width - 1.0))
        at[i] = np.uint64((np.int64(z) * height + y) * width + x)


@kernel
def inside(places: Array, shape: Any, keep: Array) -> None:
    """Set to 1 where a place lies in voxels of a shape: above the lowest faces, to the highest ones."""
    for i in range(keep.shape[0]):
        z, y, x = places[0, i] + _HALF, places[1, i] + _HALF, places[2, i] + _HALF
        keep[i] = (z >= 0) & (z < shape[0]) & (y >= 0) & (y < shape[1]) & (x >= 0) & (x < shape[2])
