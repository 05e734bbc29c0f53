"""Coarser levels of a volume: halved voxels, the mean of images and the most frequent id of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.errors import SchemaError
from voxloom.geometry import Grid
from voxloom.volumes.halving import mean_of_floats, mean_of_integers, mean_of_long_integers, mode

__all__ = ["Factors", "Kind", "downsample_block", "halvings", "level_grids"]

Kind = Literal["image", "labels"]
Factors = tuple[int, int, int]
"""1 or 2 along z, y, x: how many voxels become one."""

_NEAR = 2**0.5  # an axis this much coarser than the finest is as near to it as to twice the finest


def halvings(shape: Sequence[int], spacing: Sequence[float]) -> Factors:
    """Return which axes the next coarser level halves.

    The axes of the finest spacing are, and those within a factor of the square root of two of it, so
    that thick slices are left alone until the others are as coarse. An axis of one voxel has nothing
    to halve, and its spacing does not count.

    Examples
    --------
    >>> halvings((100, 400, 400), (40, 8, 8)), halvings((100, 100, 100), (40, 32, 32))
    ((1, 2, 2), (2, 2, 2))
    >>> halvings((1, 400, 400), (1, 8, 8))
    (1, 2, 2)
    """
    finest = min((s for n, s in zip(shape, spacing, strict=True) if n > 1), default=0.0)
    z, y, x = (2 if n > 1 and s < _NEAR * finest else 1 for n, s in zip(shape, spacing, strict=True))
    return z, y, x


def level_grids(grid: Grid, levels: int | None = None, *, enough: int = 128) -> list[Grid]:
    """Return the voxels of each level of a pyramid, the finest first.

    Each voxel lies over those that it is made of: where an axis was halved k times, its first centre
    is the origin of level 0 plus (2^k - 1) / 2 of its spacing. Of an odd extent the last voxel is made
    of one alone.

    Parameters
    ----------
    grid
        The finest level.
    levels
        How many there shall be; None for as many as it takes to come down to `enough` voxels.
    enough
        Voxels along the longest axis of the coarsest level, at most.

    Raises
    ------
    SchemaError
        If there are fewer voxels to halve than levels asked for.

    Examples
    --------
    >>> fine = Grid((100, 401, 400), (40.0, 8.0, 8.0), (0.0, 0.0, 0.0))
    >>> for level in level_grids(fine):
    ...     print(level.shape, level.spacing, level.origin)
    (100, 401, 400) (40.0, 8.0, 8.0) (0.0, 0.0, 0.0)
    (100, 201, 200) (40.0, 16.0, 16.0) (0.0, 4.0, 4.0)
    (100, 101, 100) (40.0, 32.0, 32.0) (0.0, 12.0, 12.0)
    """
    grids = [grid]
    while len(grids) < levels if levels is not None else max(grids[-1].shape) > enough:
        factors = halvings(grids[-1].shape, grids[-1].spacing)
        if factors == (1, 1, 1):
            raise SchemaError(
                f"{levels} levels over {grid.shape} voxels: expected at most {len(grids)}, since there is "
                "one voxel left. Ask for fewer levels, or for None."
            )
        grids.append(_coarser(grids[-1], factors))
    return grids


def downsample_block(array: npt.NDArray[Any], factors: Factors, kind: Kind) -> npt.NDArray[Any]:
    """Return a block with two voxels made one along some axes.

    Parameters
    ----------
    array
        (..., z, y, x); booleans, integers or floats. It begins at an even voxel of the volume, and where
        its extent is odd it ends with the volume: the last voxel is then made of one alone.
    factors
        1 or 2 along z, y, x.
    kind
        ``image``: the mean; of integers it is exact, rounded to the nearest, and halves to even.
        ``labels``: the most frequent value, of several the smallest.

    Returns
    -------
    ndarray
        (..., z, y, x) of the same type; the extents divided, rounded up.

    Raises
    ------
    SchemaError
        If the array has fewer than three axes, a factor is not 1 or 2, or the values have no mean.

    Examples
    --------
    >>> block = np.array([[[0, 1, 7], [2, 3, 7]]], np.uint8)
    >>> downsample_block(block, (1, 2, 2), "image").tolist()
    [[[2, 7]]]
    >>> downsample_block(block, (1, 2, 2), "labels").tolist()
    [[[0, 7]]]
    """
    _check(array, factors, kind)
    if factors == (1, 1, 1):
        return array.copy()
    spatial = array.shape[-3:]
    coarse = tuple(-(-n // f) for n, f in zip(spatial, factors, strict=True))
    fine = _carried(array).reshape(-1, *spatial)
    out = np.empty((fine.shape[0], *coarse), fine.dtype)
    reduce = _reduction(fine.dtype, kind)
    for channel in range(fine.shape[0]):
        reduce(fine[channel], out[channel], *factors)
    return _as(array.dtype, out).reshape(*array.shape[:-3], *coarse)


def _coarser(grid: Grid, factors: Factors) -> Grid:
    nz, ny, nx = (-(-n // f) for n, f in zip(grid.shape, factors, strict=True))
    sz, sy, sx = (s * f for s, f in zip(grid.spacing, factors, strict=True))
    return Grid((nz, ny, nx), (sz, sy, sx), grid.world([(f - 1) / 2 for f in factors]))


def _check(array: npt.NDArray[Any], factors: Factors, kind: Kind) -> None:
    if array.ndim < 3 or array.dtype.kind not in ("bui" if kind == "labels" else "buif"):
        wanted = "booleans or integers" if kind == "labels" else "booleans, integers or floats"
        raise SchemaError(
            f"{kind} of shape {array.shape} and type {array.dtype} to downsample: expected (..., z, y, x) "
            f"of {wanted}"
        )
    if len(factors) != 3 or not set(factors) <= {1, 2}:
        raise SchemaError(f"factors {factors} to downsample by: expected 1 or 2 along z, y, x")


_SIGN = np.uint64(1 << 63)  # between uint64 and int64: changes neither their order nor their rounding


def _carried(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values, contiguous, in a type that the kernels know."""
    dtype = array.dtype
    if dtype.kind == "b":
        return np.ascontiguousarray(array).view(np.uint8)
    if dtype.kind == "u" and dtype.itemsize == 8:
        return (np.ascontiguousarray(array, np.uint64) ^ _SIGN).view(np.int64)
    half = dtype.kind == "f" and dtype.itemsize < 4
    return np.ascontiguousarray(array, np.float32 if half else dtype.newbyteorder("="))


def _as(dtype: np.dtype[Any], carried: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the kernels made in the type that was given to them."""
    if dtype.kind == "u" and dtype.itemsize == 8:
        carried = carried.view(np.uint64) ^ _SIGN
    return carried.astype(dtype, copy=False)


def _reduction(dtype: np.dtype[Any], kind: Kind) -> Callable[..., None]:
    """Return the kernel for a carrier."""
    kernel: Callable[..., None]
    if kind == "labels":
        kernel = mode
    elif dtype.kind == "f":
        kernel = mean_of_floats
    else:
        kernel = mean_of_long_integers if dtype.itemsize == 8 else mean_of_integers
    return kernel
