"""Several label volumes read as one array of bits: bit k is set where class k is present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxloom.geometry import PatchSpec, Point, Pose
from voxloom.sample import Array
from voxloom.volumes.patch import AS_IS, PendingPatch, Reading, begin_patch

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = ["Mark", "PendingBits", "begin_bits"]

_NEAREST = Reading("nearest")


@dataclass(frozen=True)
class Mark:
    """How the values of a label volume become bits.

    Attributes
    ----------
    volume
        The labels, one channel.
    known
        Bits of the classes that it tells about.
    table
        Value -> bits to set; a value that is not in it sets none. None, and no `shifts`: every value
        above 0 sets all of `known`.
    shifts
        For a bitmask: (bit of the value, bits to set where it is set).
    """

    volume: Volume
    known: int = 1
    table: Mapping[int, int] | None = None
    shifts: tuple[tuple[int, int], ...] = ()


class PendingBits:
    """Label volumes whose reads are in flight."""

    def __init__(self, marks: Sequence[Mark], patches: Sequence[PendingPatch], *, dtype: Any) -> None:
        self._marks = marks
        self._patches = patches
        self._dtype = np.dtype(dtype)

    def result(self, out: Array | None = None) -> Array:
        """Wait for the reads, and return the bits (z, y, x) that any of the volumes sets.

        Parameters
        ----------
        out
            (z, y, x), filled and returned; None takes a new array.

        Raises
        ------
        VolumeReadError
            If voxels cannot be read.
        """
        out = self._cleared(out)
        for mark, patch in zip(self._marks, self._patches, strict=True):
            values = patch.result()[0]
            if mark.shifts:
                for bit, bits in mark.shifts:
                    out |= self._where((values >> bit) & 1, bits)
            elif mark.table is None:
                out |= self._where(values > 0, mark.known)
            else:
                for value, bits in mark.table.items():
                    out |= self._where(values == value, bits)
        return out

    def known(self, out: Array | None = None) -> Array:
        """Return the bits (z, y, x) that the volumes tell about: each volume's, where a voxel lies in it."""
        out = self._cleared(out)
        for mark, patch in zip(self._marks, self._patches, strict=True):
            inside = patch.inside()
            out |= self._dtype.type(mark.known) if inside is None else self._where(inside, mark.known)
        return out

    def _where(self, present: Array, bits: int) -> Array:
        chosen: Array = np.where(present, self._dtype.type(bits), self._dtype.type(0))
        return chosen

    def _cleared(self, out: Array | None) -> Array:
        if out is None:
            return np.zeros(self._patches[0].placement.shape, self._dtype)
        out[...] = 0
        return out


def begin_bits(
    marks: Sequence[Mark],
    spec: PatchSpec,
    center: Point,
    *,
    pose: Pose = AS_IS,
    dtype: npt.DTypeLike = np.uint8,
) -> PendingBits:
    """Begin to read the same patch of several label volumes; returns at once.

    Parameters
    ----------
    marks
        The volumes, and how their values become bits; at least one.
    spec, center, pose
        As for `begin_patch`.
    dtype
        Integer type of the bits.
    """
    patches = [begin_patch(mark.volume, spec, center, pose=pose, how=_NEAREST) for mark in marks]
    return PendingBits(marks, patches, dtype=dtype)
