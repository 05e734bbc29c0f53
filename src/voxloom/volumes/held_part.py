"""A box of voxels in memory that is addressed as the level is from which it was read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from voxloom.sample import Array

__all__ = ["HeldPart"]


class HeldPart:
    """What stands in for a TensorStore view where a part of a level is in memory.

    Parameters
    ----------
    voxels
        (c, z, y, x).
    first
        Index of its first voxel along z, y, x in the level.

    Examples
    --------
    >>> part = HeldPart(np.arange(8).reshape(1, 2, 2, 2), (10, 20, 30))
    >>> part.cut((slice(11, 12), slice(20, 22), slice(31, 32))).ravel().tolist()
    [5, 7]
    """

    def __init__(self, voxels: Array, first: tuple[int, int, int]) -> None:
        self._voxels, self._first = voxels, first
        self.shape = voxels.shape
        self.dtype = _Type(voxels.dtype)

    def __getitem__(self, channels: slice) -> HeldPart:
        """Return some of the channels."""
        return HeldPart(self._voxels[channels], self._first)

    def cut(self, window: tuple[slice, slice, slice]) -> Array:
        """Return a window of the level, which lies within the part; no copy."""
        z, y, x = (
            slice(part.start - first, part.stop - first, part.step)
            for part, first in zip(window, self._first, strict=True)
        )
        return self._voxels[:, z, y, x]


class _Type(NamedTuple):
    """An element type, as TensorStore has it."""

    numpy_dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """Its name."""
        return self.numpy_dtype.name
