"""Kernels that sample a box of voxels at the places of a patch's voxels, row by row.

Every kernel takes the places as ``(matrix, offset, bend, knots)`` of a `Placement` among the voxels of the
box. A place lies inside where it lies in the box's voxels to their outer faces; in the outer half of an
outermost voxel that voxel's value holds. What lies outside is left as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel
from voxloom.volumes.placement import Placement

__all__ = ["find_inside", "sample_linear", "sample_nearest"]

Floats = npt.NDArray[np.float64]


def sample_linear(source: Array, placement: Placement, out: Array) -> None:
    """Sample channels (c, z, y, x) of a box of voxels; integers are rounded half up and clipped."""
    low, high = _range(out.dtype)
    wide = np.float64 if out.dtype.itemsize >= 4 and out.dtype != np.float32 else np.float32
    args = _arguments(placement)
    for channel in range(out.shape[0]):
        _linear(source[channel], *args, wide(low), wide(high), out[channel])


def sample_nearest(source: Array, placement: Placement, out: Array) -> None:
    """Take the nearest voxel of channels (c, z, y, x)."""
    args = _arguments(placement)
    for channel in range(out.shape[0]):
        _nearest(source[channel], *args, out[channel])


def find_inside(placement: Placement, size: Any, out: Array) -> None:
    """Set `out` (z, y, x) to 1 where a voxel of the patch lies in a level of a size, and to 0 elsewhere."""
    _inside(*_arguments(placement), np.asarray(size, np.int64), out)


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return -np.inf, np.inf


_NO_BEND = np.zeros((3, 0, 0, 0))


def _arguments(placement: Placement) -> tuple[Array, Array, Array, Array]:
    bend = _NO_BEND if placement.bend is None else placement.bend
    return (
        np.ascontiguousarray(placement.matrix),
        placement.offset,
        bend,
        placement.knots,
    )


@kernel
def _row(k: int, j: int, places: Floats, matrix: Floats, offset: Floats, bend: Floats, knots: Floats) -> None:
    """Fill (3, n): where the voxels of one row lie, in voxels of the level."""
    for axis in range(3):
        start = matrix[axis, 0] * k + matrix[axis, 1] * j + offset[axis]
        step = matrix[axis, 2]
        for i in range(places.shape[1]):
            places[axis, i] = start + step * i
    if bend.shape[1]:
        _bend_row(k, j, places, bend, knots)


@kernel
def _bend_row(k: int, j: int, places: Floats, bend: Floats, knots: Floats) -> None:
    """Add the displacement: contracted over z and y once a row, then a cubic along x."""
    n, m, p = bend.shape[1:]
    wz, iz = _basis(knots[0, 0] + knots[1, 0] * k, n)
    wy, iy = _basis(knots[0, 1] + knots[1, 1] * j, m)
    line = np.zeros((3, p))
    for axis in range(3):
        for a in range(4):
            for b in range(4):
                weight = wz[a] * wy[b]
                for c in range(p):
                    line[axis, c] += weight * bend[axis, iz + a, iy + b, c]
    for i in range(places.shape[1]):
        wx, ix = _basis(knots[0, 2] + knots[1, 2] * i, p)
        for axis in range(3):
            places[axis, i] += (
                wx[0] * line[axis, ix]
                + wx[1] * line[axis, ix + 1]
                + wx[2] * line[axis, ix + 2]
                + wx[3] * line[axis, ix + 3]
            )


@kernel
def _basis(place: float, points: int) -> Any:
    """Return the four weights of a uniform cubic B-spline at a place, and its first point."""
    place = min(max(place, 1.0), points - 2.0)
    first = min(int(place), points - 3)
    t = place - first
    s = 1.0 - t
    weights = (s * s * s / 6, (4 - 3 * t * t * (2 - t)) / 6, (4 - 3 * s * s * (2 - s)) / 6, t * t * t / 6)
    return weights, first - 1


@kernel
def _linear(
    source: Any, matrix: Any, offset: Any, bend: Any, knots: Any, low: Any, high: Any, out: Any
) -> None:
    nz, ny, nx = out.shape
    size = source.shape
    flat = source.reshape(-1)
    sx = 1 if source.shape[2] > 1 else 0
    sy = source.shape[2] if source.shape[1] > 1 else 0
    sz = source.shape[1] * source.shape[2] if source.shape[0] > 1 else 0
    integer = low > -np.inf
    places = np.empty((3, nx))
    for k in range(nz):
        for j in range(ny):
            _row(k, j, places, matrix, offset, bend, knots)
            for i in range(nx):
                z, y, x = places[0, i], places[1, i], places[2, i]
                if not (
                    -0.5 <= z < size[0] - 0.5 and -0.5 <= y < size[1] - 0.5 and -0.5 <= x < size[2] - 0.5
                ):
                    continue
                z = min(max(z, 0.0), size[0] - 1.0)
                y = min(max(y, 0.0), size[1] - 1.0)
                x = min(max(x, 0.0), size[2] - 1.0)
                iz = max(min(int(z), size[0] - 2), 0)
                iy = max(min(int(y), size[1] - 2), 0)
                ix = max(min(int(x), size[2] - 2), 0)
                wz, wy, wx = type(low)(z - iz), type(low)(y - iy), type(low)(x - ix)
                p = (iz * size[1] + iy) * size[2] + ix
                a0, a1 = type(low)(flat[p]), type(low)(flat[p + sx])
                b0, b1 = type(low)(flat[p + sy]), type(low)(flat[p + sy + sx])
                c0, c1 = type(low)(flat[p + sz]), type(low)(flat[p + sz + sx])
                d0, d1 = type(low)(flat[p + sz + sy]), type(low)(flat[p + sz + sy + sx])
                a0 += wx * (a1 - a0)
                b0 += wx * (b1 - b0)
                c0 += wx * (c1 - c0)
                d0 += wx * (d1 - d0)
                a0 += wy * (b0 - a0)
                c0 += wy * (d0 - c0)
                value = a0 + wz * (c0 - a0)
                if integer:
                    value = min(max(np.floor(value + type(low)(0.5)), low), high)
                out[k, j, i] = value


@kernel
def _nearest(source: Any, matrix: Any, offset: Any, bend: Any, knots: Any, out: Any) -> None:
    nz, ny, nx = out.shape
    size = source.shape
    places = np.empty((3, nx))
    for k in range(nz):
        for j in range(ny):
            _row(k, j, places, matrix, offset, bend, knots)
            for i in range(nx):
                z, y, x = places[0, i] + 0.5, places[1, i] + 0.5, places[2, i] + 0.5
                if 0 <= z < size[0] and 0 <= y < size[1] and 0 <= x < size[2]:
                    out[k, j, i] = source[int(z), int(y), int(x)]


@kernel
def _inside(matrix: Any, offset: Any, bend: Any, knots: Any, size: Any, out: Any) -> None:
    nz, ny, nx = out.shape
    places = np.empty((3, nx))
    for k in range(nz):
        for j in range(ny):
            _row(k, j, places, matrix, offset, bend, knots)
            for i in range(nx):
                z, y, x = places[0, i] + 0.5, places[1, i] + 0.5, places[2, i] + 0.5
                out[k, j, i] = 0 <= z < size[0] and 0 <= y < size[1] and 0 <= x < size[2]
