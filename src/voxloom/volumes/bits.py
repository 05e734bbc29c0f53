"""Several label volumes read as one array of bits: bit k is set where class k is present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import SchemaError
from voxloom.geometry import PatchSpec, Point, Pose
from voxloom.sample import Array
from voxloom.volumes.combining import Rule, rule_for
from voxloom.volumes.fetch import Fetch, Stored
from voxloom.volumes.patch import AS_IS, begin_box, stored_for
from voxloom.volumes.placement import Placement
from voxloom.volumes.sampling import MARGIN, find_inside, sample

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = ["Mark", "PendingBits", "begin_bits"]


@dataclass(frozen=True)
class Mark:
    """How the values of a label volume become bits.

    Attributes
    ----------
    volume
        The labels; the first channel is read.
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


@dataclass(frozen=True)
class _Group:
    """Marks whose volumes share a grid and a type: read into one buffer, combined, sampled once."""

    placement: Placement
    shape: tuple[int, int, int]
    known: int
    rules: Sequence[Rule]
    fetch: Fetch
    is_copy: bool

    def add(self, out: Array, *, is_first: bool) -> None:
        """Add the bits of the patch's voxels to `out`, or set them where it is the first to."""
        bits = out if is_first else np.empty_like(out)
        whole = self.placement.within(self.shape)
        if not whole:
            bits[...] = 0
        if self.is_copy:
            self._combine(bits)
        elif self.fetch.buffer.size:
            box = np.empty(self.fetch.buffer.shape[1:], out.dtype)
            self._combine(box)
            moved = self.placement.among(self.fetch.first)
            sample(box[None], moved, bits[None], interpolation="nearest")
        if not is_first:
            out |= bits

    def _combine(self, bits: Array) -> None:
        """Set the bits of the fetched voxels, part by part as they arrive."""
        for within in self.fetch.arrivals():
            for channel, rule in enumerate(self.rules):
                rule(self.fetch.buffer[channel], within, bits, channel == 0)

    def known_in(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
        """Return the bits that are known: one value where that is the same for all voxels of the patch."""
        known = dtype.type(self.known)
        if self.placement.within(self.shape):
            return np.asarray(known)
        inside = np.empty(shape, np.uint8)
        find_inside(self.placement, self.shape, inside)
        told: Array = inside * known
        return told


class PendingBits:
    """Label volumes whose reads are in flight."""

    def __init__(self, groups: Sequence[_Group], *, dtype: npt.DTypeLike) -> None:
        self._groups = groups
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self._groups[0].placement.shape

    @property
    def nbytes(self) -> int:
        """Bytes that its reads fill."""
        return sum(group.fetch.buffer.nbytes for group in self._groups)

    def result(self, out: Array | None = None) -> Array:
        """Wait for the reads, and return the bits (z, y, x) that any of the volumes sets.

        Parameters
        ----------
        out
            (z, y, x) of the type that was asked for, filled and returned; None takes a new array.

        Raises
        ------
        VolumeReadError
            If voxels cannot be read.
        """
        made = np.empty(self.shape, self.dtype) if out is None or not _fits(out, self.dtype) else out
        for number, group in enumerate(self._groups):
            group.add(made, is_first=number == 0)
        if out is None or made is out:
            return made
        out[...] = made
        return out

    def known(self, out: Array | None = None) -> Array:
        """Return the bits (z, y, x) that the volumes tell about: each volume's, where a voxel lies in it."""
        out = np.empty(self.shape, self.dtype) if out is None else out
        known = [group.known_in(self.shape, out.dtype) for group in self._groups]
        out[...] = known[0]
        for more in known[1:]:
            out |= more
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

    Volumes that share a grid are read together, and their bits are sampled as one.

    Parameters
    ----------
    marks
        The volumes, and how their values become bits; at least one.
    spec, center, pose
        As for `begin_patch`.
    dtype
        Integer type of the bits.

    Raises
    ------
    SchemaError
        Without any mark.
    """
    if not marks:
        raise SchemaError("no marks: expected at least one label volume to read bits from")
    groups: dict[Any, list[tuple[Mark, Stored]]] = {}
    for mark in marks:
        stored = stored_for(mark.volume, spec, pose)
        key = mark.volume.levels[stored.level].grid, stored.view.dtype.name
        groups.setdefault(key, []).append((mark, stored._replace(view=stored.view[:1])))
    asked = np.dtype(dtype)
    return PendingBits(
        [_begin_group(each, spec, center, pose, asked) for each in groups.values()], dtype=asked
    )


def _begin_group(
    members: Sequence[tuple[Mark, Stored]], spec: PatchSpec, center: Point, pose: Pose, dtype: np.dtype[Any]
) -> _Group:
    marks, arrays = zip(*members, strict=True)
    grid = marks[0].volume.levels[arrays[0].level].grid
    placement = Placement.of(spec, center, pose, grid)
    copy = placement.as_copy(nearest=True)
    rules = [
        rule_for(mark.known, mark.table, mark.shifts, stored=arrays[0].view.dtype.numpy_dtype, bits=dtype)
        for mark in marks
    ]
    known = int(np.bitwise_or.reduce([mark.known for mark in marks]))
    return _Group(
        placement,
        grid.shape,
        known,
        rules,
        begin_box(arrays, placement, copy, fill=0, margin=MARGIN["nearest"]),
        copy is not None,
    )


def _fits(out: Array, dtype: np.dtype[Any]) -> bool:
    return out.dtype == dtype and out.flags.c_contiguous
