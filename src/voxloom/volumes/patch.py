"""One posed patch of a volume: begun, in flight, and sampled in one step from world to voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxloom.errors import SchemaError, VolumeReadError
from voxloom.geometry import PatchSpec, Point, Pose
from voxloom.sample import Array
from voxloom.volumes.fetch import Fetch, Stored, fetch_copy, fetch_windows
from voxloom.volumes.placement import Copy, Placement, Window
from voxloom.volumes.sampling import MARGIN, Interpolation, find_inside, sample

if TYPE_CHECKING:
    from voxloom.volumes.volume import Volume

__all__ = ["AS_IS", "PendingPatch", "Reading", "begin_box", "begin_patch", "spacing_along", "stored_for"]

Outside = Literal["pad", "mirror", "refuse"]


@dataclass(frozen=True)
class Reading:
    """How a patch is read.

    Attributes
    ----------
    interpolation
        Between voxels: linear or cubic for images, nearest for labels. Of a NaN, all voxels are NaN that
        are interpolated from it; a patch that is a copy has it where it is.
    outside
        What a patch that stands out of the volume finds there: a value, the volume mirrored at its
        faces, or an error.
    fill
        The value.
    """

    interpolation: Interpolation = "linear"
    outside: Outside = "pad"
    fill: float = 0


AS_IS = Pose()
_DEFAULT = Reading()


class PendingPatch:
    """A patch whose reads are in flight.

    Attributes
    ----------
    placement
        Where its voxels lie among the voxels of the level that is read.
    """

    def __init__(
        self,
        fetch: Fetch,
        placement: Placement,
        *,
        size: Sequence[int],
        finish: Callable[[Array, Array], None] | None,
    ) -> None:
        self.placement = placement
        self._fetch = fetch
        self._size = tuple(size)
        self._finish = finish

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, and voxels along z, y, x."""
        return (self._fetch.buffer.shape[0], *self.placement.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The volume's element type, in the byte order of this machine."""
        return self._fetch.buffer.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that its reads fill: of a coarse patch of a fine level many times the patch."""
        return self._fetch.buffer.nbytes

    def result(self, out: Array | None = None) -> Array:
        """Wait for the reads, and return the patch.

        Parameters
        ----------
        out
            (c, z, y, x), filled and returned; None takes a new array.

        Raises
        ------
        VolumeReadError
            If voxels cannot be read: names the volume, the level and the voxels.
        """
        voxels = self._fetch.wait()
        if self._finish is None:
            if out is None:
                return voxels
            out[...] = voxels
            return out
        fits = out is not None and out.dtype == self.dtype and out[0].flags.c_contiguous
        made = out if out is not None and fits else np.empty(self.shape, self.dtype)
        self._finish(voxels, made)
        if out is not None and made is not out:
            out[...] = made
            return out
        return made

    def inside(self, out: Array | None = None) -> Array | None:
        """Return which voxels (z, y, x) of the patch lie in the volume, to its outer faces.

        Parameters
        ----------
        out
            bool or uint8, filled and returned; None takes a new bool array, or none at all: the answer
            is then None where all voxels lie inside.
        """
        whole = self.placement.within(self._size)
        if out is None:
            if whole:
                return None
            out = np.empty(self.placement.shape, bool)
        if whole:
            out[...] = 1
        else:
            find_inside(self.placement, self._size, out)
        return out


def begin_patch(
    volume: Volume, spec: PatchSpec, center: Point, *, pose: Pose = AS_IS, how: Reading = _DEFAULT
) -> PendingPatch:
    """Begin to read a patch; returns at once.

    The coarsest level that is at least as fine as the patch along each axis is read; where none is, the
    finest one. A patch whose voxels are voxels of that level is copied, with its axes mirrored and
    exchanged as the pose says; any other is sampled, once, from the level's voxels.

    Parameters
    ----------
    volume
        What is read.
    spec
        Voxels along z, y, x and their spacing in nm.
    center
        Middle of the patch in the world, z, y, x, nm.
    pose
        How the patch lies about it.
    how
        Interpolation, and what lies outside.

    Raises
    ------
    VolumeReadError
        If the patch stands out of the volume and `how` refuses that.
    SchemaError
        If the fill value is none of the volume's element type.
    """
    stored = stored_for(volume, spec, pose)
    grid = volume.levels[stored.level].grid
    placement = Placement.of(spec, center, pose, grid)
    whole = placement.within(grid.shape)
    if how.outside == "refuse" and not whole:
        raise VolumeReadError(_stands_out(stored, placement))
    copy = placement.as_copy(nearest=how.interpolation == "nearest")
    begin = _begin_mirrored if how.outside == "mirror" and not whole else _begin
    fetch, finish = begin(stored, placement, copy, how)
    return PendingPatch(fetch, placement, size=grid.shape, finish=finish)


def stored_for(volume: Volume, spec: PatchSpec, pose: Pose) -> Stored:
    """Return the level of a volume that a patch is read from."""
    level = volume.level_for(spacing_along(spec, pose))
    return Stored(volume, level, volume.array(level))


def begin_box(
    arrays: Sequence[Stored],
    placement: Placement,
    copy: Copy | None,
    *,
    fill: Any,
    margin: tuple[int, int],
) -> Fetch:
    """Begin to read what a patch needs, of arrays that share a grid and a type."""
    if copy is not None:
        return fetch_copy(arrays, copy, shape=placement.shape, fill=fill)
    level = arrays[0].volume.levels[arrays[0].level]
    window = placement.window(level.grid.shape, margin)
    return fetch_windows(
        arrays, window, list(placement.slabs(level.grid.shape, margin, thick=level.chunk[0]))
    )


def spacing_along(spec: PatchSpec, pose: Pose) -> Point:
    """Return how fine a patch is along z, y, x of the world, nm; exact for right angles.

    Examples
    --------
    >>> spacing_along(PatchSpec(shape=(4, 4, 4), spacing=(40, 4, 4)), Pose(permutation=(1, 0, 2)))
    (4.0, 40.0, 4.0)
    """
    rate = pose.matrix / np.asarray(spec.spacing, float)
    z, y, x = (1 / np.sqrt((rate**2).sum(axis=1))).tolist()
    return (z, y, x)


_Begun = tuple[Fetch, Callable[[Array, Array], None] | None]


def _begin(stored: Stored, placement: Placement, copy: Copy | None, how: Reading) -> _Begun:
    fill = _as_value(how.fill, stored.view.dtype.numpy_dtype)
    fetch = begin_box([stored], placement, copy, fill=fill, margin=MARGIN[how.interpolation])
    if copy is not None:
        return fetch, None
    whole = placement.within(stored.extents)
    moved = placement.among(fetch.first)

    def finish(voxels: Array, out: Array) -> None:
        if not whole:
            out[...] = fill
        if voxels.size:
            sample(voxels, moved, out, interpolation=how.interpolation)

    return fetch, finish


def _begin_mirrored(stored: Stored, placement: Placement, copy: Copy | None, how: Reading) -> _Begun:
    below, above = MARGIN[how.interpolation]
    first, last = (np.floor(bound).astype(int) for bound in placement.bounds)
    ranges = zip(first - below, last + above + 1, stored.extents, strict=True)
    folded = [_fold(np.arange(begin, end), extent) for begin, end, extent in ranges]
    z, y, x = (slice(int(places.min()), int(places.max()) + 1) for places in folded)
    window: Window = (z, y, x)
    fetch = fetch_windows([stored], window, [window])
    take = np.ix_(*(places - part.start for places, part in zip(folded, window, strict=True)))
    moved = placement.among((first - below).tolist())
    interpolation = "nearest" if copy is not None else how.interpolation

    def finish(voxels: Array, out: Array) -> None:
        sample(np.ascontiguousarray(voxels[(slice(None), *take)]), moved, out, interpolation=interpolation)

    return fetch, finish


def _fold(places: Array, extent: int) -> Array:
    """Return the voxels that lie at places outside of an extent when it is mirrored at its faces."""
    around = places % (2 * extent)
    return np.where(around < extent, around, 2 * extent - 1 - around)


def _as_value(fill: float, dtype: np.dtype[Any]) -> Any:
    """Return a value as an element of a type."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if not (float(fill).is_integer() and info.min <= fill <= info.max):
            raise SchemaError(f"fill {fill}: expected a whole number that {dtype} holds")
    return np.asarray(fill).astype(dtype)[()]


def _stands_out(stored: Stored, placement: Placement) -> str:
    low, high = ([round(float(v), 2) for v in bound] for bound in placement.bounds)
    return (
        f"{stored.volume.path}: the patch reaches from voxel {low} to {high} (z, y, x) of level "
        f"{stored.level}, which has {stored.extents}: expected a patch within the volume; move it, "
        "make it smaller, or set outside to 'pad' or 'mirror'"
    )
