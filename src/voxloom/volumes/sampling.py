"""Kernels that sample a box of voxels at the places of a patch's voxels, row by row.

In the outer half of an outermost voxel that voxel's value holds. What lies farther out is left as it is
in `out`. Each row is worked through in a few short loops over buffers that stay in the nearest cache, so
that the compiler can do all but the look-ups many voxels at a time.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel, load_pair
from voxloom.volumes.cubic import cubic
from voxloom.volumes.placement import Placement
from voxloom.volumes.rows import Places, cells, inside, nearest, places_of, row, steps

__all__ = ["MARGIN", "Interpolation", "find_inside", "sample"]

Interpolation = Literal["linear", "cubic", "nearest"]

MARGIN = {"linear": (0, 1), "cubic": (1, 2), "nearest": (0, 1)}
"""How many voxels are looked at below the one just below a place, and above it."""

_PAIRED = (np.dtype(np.uint8), np.dtype(np.uint16))


def sample(source: Array, placement: Placement, out: Array, *, interpolation: Interpolation) -> None:
    """Sample channels (c, z, y, x) of a box of voxels; integers are rounded half up and clipped.

    Parameters
    ----------
    source
        The box, C-contiguous.
    placement
        Where the voxels of the patch lie among the box's.
    out
        (c, z, y, x) of the same type, C-contiguous. What lies outside of the box is left as it is.
    interpolation
        What stands between voxels.
    """
    if source.dtype == bool:
        source, out = source.view(np.uint8), out.view(np.uint8)
    if source.dtype.kind not in "iuf" or source.dtype.itemsize > 8 or source.dtype == np.float16:
        wide = np.ascontiguousarray(source, np.float32)  # types that are not compiled: half precision
        made = out.astype(np.float32)
        sample(wide, placement, made, interpolation=interpolation)
        out[...] = made
    elif interpolation == "nearest":
        _nearest(source, places_of(placement), placement.within(source.shape[1:]), out)
    else:
        _interpolate(source, placement, out, interpolation == "cubic")


def _interpolate(source: Array, placement: Placement, out: Array, is_cubic: bool) -> None:
    places, whole = places_of(placement), placement.within(source.shape[1:])
    # a float32 has 24 bits, too few for integers of 32
    wide = np.float64 if out.dtype.itemsize >= 4 and out.dtype != np.float32 else np.float32
    low, high = (wide(limit) for limit in _limits(out.dtype))
    if is_cubic:
        cubic(source, places, whole, _limits(out.dtype), out)
    elif source.dtype in _PAIRED and source.shape[3] > 1:
        pairs = np.empty((4, out.shape[3]), np.uint16 if source.itemsize == 1 else np.uint32)
        _linear_pairs(source, places, whole, pairs, out)
    else:
        _linear(source, places, whole, (low, high), np.empty((8, out.shape[3]), wide), out)


def find_inside(placement: Placement, shape: Any, out: Array) -> None:
    """Set `out` (z, y, x), bool or uint8, to whether each voxel of the patch lies in a level of a shape."""
    _inside(places_of(placement), np.asarray(shape, float), out)


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        least, most = np.iinfo(dtype).min, float(np.iinfo(dtype).max)
        # the largest integer of 64 bits is no float64: the next one below is
        return float(least), most if dtype.itemsize < 8 else float(np.nextafter(most, 0))
    return -np.inf, np.inf


@kernel
def _linear_pairs(source: Array, lies: Places, whole: bool, pairs: Array, out: Array) -> None:
    """Unsigned integers of 8 or 16 bits: two neighbours along x come in one load."""
    channels, nz, ny, nx = out.shape
    shape = source.shape[1:]
    _, sy, sz, sc = steps(shape)
    flat = source.reshape(-1)
    places, at, weights = np.empty((3, nx)), np.empty(nx, np.uint64), np.empty((3, nx), np.float32)
    keep = np.ones(nx, np.uint8)
    for k in range(nz):
        for j in range(ny):
            row(k, j, lies, places)
            cells(places, shape, at, weights)
            if not whole:
                inside(places, shape, keep)
            for c in range(channels):
                base = np.uint64(c) * sc
                for i in range(nx):
                    p = base + at[i]
                    pairs[0, i] = load_pair(flat, p)
                    pairs[1, i] = load_pair(flat, p + sy)
                    pairs[2, i] = load_pair(flat, p + sz)
                    pairs[3, i] = load_pair(flat, p + sz + sy)
                _blend_pairs(pairs, weights, whole, keep, out[c, k, j])


@kernel
def _blend_pairs(pairs: Array, weights: Array, whole: bool, keep: Array, line: Array) -> None:
    shift = np.uint32(4 * pairs.itemsize)
    mask = (np.uint32(1) << shift) - np.uint32(1)
    for i in range(line.shape[0]):
        wz, wy, wx = weights[0, i], weights[1, i], weights[2, i]
        a = np.float32(np.int32(pairs[0, i] & mask))
        b = np.float32(np.int32(pairs[1, i] & mask))
        c = np.float32(np.int32(pairs[2, i] & mask))
        d = np.float32(np.int32(pairs[3, i] & mask))
        a += wx * (np.float32(np.int32(pairs[0, i] >> shift)) - a)
        b += wx * (np.float32(np.int32(pairs[1, i] >> shift)) - b)
        c += wx * (np.float32(np.int32(pairs[2, i] >> shift)) - c)
        d += wx * (np.float32(np.int32(pairs[3, i] >> shift)) - d)
        a += wy * (b - a)
        c += wy * (d - c)
        value = np.int32(a + wz * (c - a) + np.float32(0.5))  # between its neighbours, so never clipped
        line[i] = value if whole or keep[i] else line[i]


@kernel
def _linear(source: Array, lies: Places, whole: bool, limits: Any, found: Array, out: Array) -> None:
    channels, nz, ny, nx = out.shape
    shape = source.shape[1:]
    sx, sy, sz, sc = steps(shape)
    flat = source.reshape(-1)
    places, at, weights = np.empty((3, nx)), np.empty(nx, np.uint64), np.empty((3, nx), found.dtype)
    keep = np.ones(nx, np.uint8)
    for k in range(nz):
        for j in range(ny):
            row(k, j, lies, places)
            cells(places, shape, at, weights)
            if not whole:
                inside(places, shape, keep)
            for c in range(channels):
                base = np.uint64(c) * sc
                for i in range(nx):
                    p = base + at[i]
                    found[0, i] = flat[p]
                    found[1, i] = flat[p + sx]
                    found[2, i] = flat[p + sy]
                    found[3, i] = flat[p + sy + sx]
                    p += sz
                    found[4, i] = flat[p]
                    found[5, i] = flat[p + sx]
                    found[6, i] = flat[p + sy]
                    found[7, i] = flat[p + sy + sx]
                _blend(found, weights, limits, keep, out[c, k, j])


@kernel
def _blend(found: Array, weights: Array, limits: Any, keep: Array, line: Array) -> None:
    low, high = limits
    half = type(low)(0.5)
    for i in range(line.shape[0]):
        wz, wy, wx = weights[0, i], weights[1, i], weights[2, i]
        a = found[0, i] + wx * (found[1, i] - found[0, i])
        b = found[2, i] + wx * (found[3, i] - found[2, i])
        c = found[4, i] + wx * (found[5, i] - found[4, i])
        d = found[6, i] + wx * (found[7, i] - found[6, i])
        a += wy * (b - a)
        c += wy * (d - c)
        value = a + wz * (c - a)
        if low > -np.inf:
            value = min(max(np.floor(value + half), low), high)
        line[i] = value if keep[i] else line[i]


@kernel
def _nearest(source: Array, lies: Places, whole: bool, out: Array) -> None:
    channels, nz, ny, nx = out.shape
    shape = source.shape[1:]
    sc, flat = steps(shape)[3], source.reshape(-1)
    places, at, keep = np.empty((3, nx)), np.empty(nx, np.uint64), np.ones(nx, np.uint8)
    found = np.empty(nx, out.dtype)
    for k in range(nz):
        for j in range(ny):
            row(k, j, lies, places)
            nearest(places, shape, at)
            if not whole:
                inside(places, shape, keep)
            for c in range(channels):
                base, line = np.uint64(c) * sc, out[c, k, j]
                for i in range(nx):
                    found[i] = flat[base + at[i]]
                for i in range(nx):
                    line[i] = found[i] if keep[i] else line[i]


@kernel
def _inside(lies: Places, shape: Array, out: Array) -> None:
    nz, ny, nx = out.shape
    places = np.empty((3, nx))
    for k in range(nz):
        for j in range(ny):
            row(k, j, lies, places)
            inside(places, shape, out[k, j])
