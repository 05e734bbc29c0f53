"""Compiled loops over the voxels of a tile and of a slab. They let other threads run meanwhile.

Shape legend: K channels, D planes of the slab, z y x voxels of a tile or of what is taken out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.volumes.compiling import kernel

__all__ = ["SCALE", "SHIFT", "add_fixed", "add_float", "label_fixed", "take_fixed", "take_float"]

Array = npt.NDArray[Any]
At = tuple[int, int, int]
Part = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
Weights = tuple[Array, Array, Array]

SCALE = 65280
"""What 1.0 is as a whole number: 255 * 256, so that 8 bits are had by a shift."""
SHIFT = 23
"""8 bits of `SCALE`, and 15 of the weights of three axes."""

_HALF = np.int32(1 << (SHIFT - 1))
_TOP = np.float32(SCALE)


@kernel
def add_fixed(acc: Array, tile: Array, part: Part, at: At, weights: Weights, slope: Any, offset: Any) -> bool:
    """Add a part of a tile to a slab of whole numbers; return whether it holds a NaN.

    Parameters
    ----------
    acc
        (K, D, Y, X) int32; plane z of the unit lies at z % D.
    tile
        (K, z, y, x) float32.
    part
        First and last + 1 voxel of the tile that counts, for z, y, x.
    at
        Place of the tile's voxel 0 in the unit, z, y, x; it may be negative.
    weights
        Three int32 arrays, one number a voxel of the tile.
    slope, offset
        Turn a value into [0, SCALE]; what lies outside is clipped.
    """
    (z0, z1), (y0, y1), (x0, x1) = part
    wz, wy, wx = weights
    depth = acc.shape[1]
    bad = False
    for k in range(tile.shape[0]):
        for z in range(z0, z1):
            plane = acc[k, (z + at[0]) % depth]
            for y in range(y0, y1):
                source = tile[k, z, y, x0:x1]
                target = plane[y + at[1], x0 + at[2] : x1 + at[2]]
                across = wx[x0:x1]
                weight = wz[z] * wy[y]
                for x in range(source.size):
                    value = source[x] * slope + offset
                    bad |= value != value
                    value = min(max(value, np.float32(0)), _TOP)
                    target[x] += weight * across[x] * np.int32(value + np.float32(0.5))
    return bad


@kernel
def add_float(acc: Array, tile: Array, part: Part, at: At, weights: Weights) -> bool:
    """Add a part of a tile to a slab of float64, as `add_fixed`; return whether it holds a NaN."""
    (z0, z1), (y0, y1), (x0, x1) = part
    wz, wy, wx = weights
    depth = acc.shape[1]
    bad = False
    for k in range(tile.shape[0]):
        for z in range(z0, z1):
            plane = acc[k, (z + at[0]) % depth]
            for y in range(y0, y1):
                source = tile[k, z, y, x0:x1]
                target = plane[y + at[1], x0 + at[2] : x1 + at[2]]
                across = wx[x0:x1]
                weight = wz[z] * wy[y]
                for x in range(source.size):
                    value = source[x]
                    bad |= value != value
                    target[x] += weight * across[x] * value
    return bad


@kernel
def take_fixed(acc: Array, first: int, stop: int, out: Array) -> None:
    """Round the planes first to stop of a unit to 8 bits; `out` is the unit's (K, Z, Y, X) uint8."""
    depth = acc.shape[1]
    for k in range(out.shape[0]):
        for z in range(first, stop):
            for y in range(out.shape[2]):
                source = acc[k, z % depth, y]
                target = out[k, z, y]
                for x in range(target.size):
                    target[x] = np.uint8((source[x] + _HALF) >> SHIFT)


@kernel
def take_float(acc: Array, first: int, stop: int, out: Array, limits: tuple[float, float, bool]) -> None:
    """Bring planes of a float64 slab to the type of `out`; whole numbers are clipped to `limits` first."""
    depth = acc.shape[1]
    low, high, whole = limits
    for k in range(out.shape[0]):
        for z in range(first, stop):
            for y in range(out.shape[2]):
                source = acc[k, z % depth, y]
                target = out[k, z, y]
                for x in range(target.size):
                    value = source[x]
                    if whole:
                        value = np.rint(min(max(value, low), high))
                    target[x] = value


@kernel
def label_fixed(acc: Array, first: int, stop: int, out: Array, ids: Array, least: Any) -> None:
    """Name the strongest channel of each voxel: its id, or 0 where none reaches `least`; the first wins."""
    depth = acc.shape[1]
    best = np.empty(out.shape[2], np.int32)
    for z in range(first, stop):
        slot = z % depth
        for y in range(out.shape[1]):
            target = out[z, y]
            target[:] = 0
            best[:] = least - 1
            for k in range(acc.shape[0]):
                source = acc[k, slot, y]
                name = ids[k]
                for x in range(target.size):
                    stronger = source[x] > best[x]
                    best[x] = source[x] if stronger else best[x]
                    target[x] = name if stronger else target[x]
