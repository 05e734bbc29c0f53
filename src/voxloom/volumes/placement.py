"""Where the voxels of a posed patch lie among the voxels of a level: one affine map, and a bend."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from voxloom.geometry import Grid, PatchSpec, Point, Pose

__all__ = ["Bounds", "Copy", "Placement", "Window"]

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]
"""The lowest and the highest position along z, y, x, in voxels."""
Window = tuple[slice, slice, slice]
"""Voxels along z, y, x; every slice has a start and a stop."""

_WHOLE = 1e-3  # of a voxel: what lies nearer to a voxel's centre than this is the voxel
_SLACK = 1e-4  # of a voxel: sums of spacings are not exact, and too much read is no harm


@dataclass(frozen=True)
class Copy:
    """A patch that is voxels of the level, one by one: where it starts, and how it goes on.

    Attributes
    ----------
    axes
        Which axis of the level each axis of the patch runs along.
    start
        Index of the patch's first voxel along each axis of the patch, in the level.
    step
        How many voxels of the level one voxel of the patch is; negative where it is mirrored.
    """

    axes: tuple[int, int, int]
    start: tuple[int, int, int]
    step: tuple[int, int, int]


@dataclass(frozen=True)
class Placement:
    """Voxel ``i`` (z, y, x) of a patch lies at ``matrix @ i + offset + bend(i)`` voxels of a level.

    Attributes
    ----------
    shape
        Voxels of the patch.
    matrix
        (3, 3), voxels of the level for a voxel of the patch.
    offset
        (3,), where voxel (0, 0, 0) of the patch lies.
    bend
        None, or (3, n, m, k): control points of a cubic B-spline, in voxels of the level.
    knots
        (2, 3): where voxel 0 lies among the control points along each axis, and a voxel's step.

    Examples
    --------
    >>> spec = PatchSpec(shape=(4, 4, 4), spacing=(8, 8, 8))
    >>> placement = Placement.of(spec, (100.0, 12.0, 12.0), Pose(), Grid((9, 9, 9), (8, 8, 8), (0, 0, 0)))
    >>> placement.offset.tolist()
    [11.0, 0.0, 0.0]
    """

    shape: tuple[int, int, int]
    matrix: Floats
    offset: Floats
    bend: Floats | None
    knots: Floats

    @classmethod
    def of(cls, spec: PatchSpec, center: Point, pose: Pose, grid: Grid) -> Placement:
        """Place a posed patch among the voxels of a grid."""
        spacing = np.asarray(grid.spacing, float)
        matrix = pose.matrix * np.asarray(spec.spacing, float) / spacing[:, None]
        middle = (np.asarray(center, float) - grid.origin) / spacing
        offset = middle - matrix @ ((np.asarray(spec.shape) - 1) / 2)
        bend, knots = None, np.zeros((2, 3))
        if pose.displacement is not None:
            bend = np.ascontiguousarray(pose.displacement / spacing[:, None, None, None], float)
            knots = _knots(spec, pose.span or spec.size, bend.shape[1:])
        return cls(spec.shape, matrix, offset, bend, knots)

    def among(self, first: Sequence[float]) -> Placement:
        """Return the same places counted from voxel `first` of the level."""
        return replace(self, offset=self.offset - first)

    def within(self, shape: Sequence[int]) -> bool:
        """Return whether every voxel of the patch lies in a level of a shape, for certain."""
        low, high = self.bounds
        return bool((low >= -0.5 - _SLACK).all() and (high <= np.asarray(shape) - 0.5 + _SLACK).all())

    @property
    def slack(self) -> Bounds:
        """How far the bend may take a voxel down and up along each axis of the level."""
        if self.bend is None:
            return np.zeros(3), np.zeros(3)
        # a B-spline stays between the least and the largest of its control points
        return self.bend.min(axis=(1, 2, 3)), self.bend.max(axis=(1, 2, 3))

    @property
    def corners(self) -> Floats:
        """(2, 2, 2, 3): where the corner voxels lie, without the bend."""
        ends = np.array(list(itertools.product(*((0.0, n - 1.0) for n in self.shape))))
        return (ends @ self.matrix.T + self.offset).reshape(2, 2, 2, 3)

    @property
    def bounds(self) -> Bounds:
        """Between which positions all voxels of the patch lie."""
        corners, (down, up) = self.corners.reshape(8, 3), self.slack
        return corners.min(axis=0) + down, corners.max(axis=0) + up

    def as_copy(self, *, nearest: bool = False) -> Copy | None:
        """Return the patch as voxels of the level, one by one, or None where it has to be sampled.

        With `nearest`, a patch of the level's own spacing is a copy wherever it lies.
        """
        if self.bend is not None or (np.count_nonzero(self.matrix, axis=0) != 1).any():
            return None
        axes = np.abs(self.matrix).argmax(axis=0)
        exact, start = self.matrix[axes, range(3)], self.offset[axes]
        step = np.rint(exact)
        drift = np.abs(exact - step) * (np.asarray(self.shape) - 1)
        if (step == 0).any() or (drift > _WHOLE).any():
            return None
        first = np.floor(start + 0.5)
        if not nearest and (np.abs(start - first) + drift > _WHOLE).any():
            return None
        return Copy(*(tuple(int(v) for v in values) for values in (axes, first, step)))  # type: ignore[arg-type]

    def window(self, shape: tuple[int, int, int], margin: tuple[int, int]) -> Window:
        """Return the voxels that sampling needs, within a level of a shape; empty where there are none.

        Parameters
        ----------
        shape
            Voxels of the level.
        margin
            How many voxels below and above the one just below a position are needed.
        """
        low, high = self.bounds
        return _window(low, high, shape, margin)

    def slabs(self, shape: tuple[int, int, int], margin: tuple[int, int], *, thick: int) -> Iterator[Window]:
        """Yield the windows, one a slab of `thick` voxels along z, that together hold all that is needed."""
        whole = self.window(shape, margin)
        start, stop = whole[0].start, whole[0].stop
        down, up = self.slack
        corners = self.corners
        for first in range(start // thick * thick, stop, thick):
            slab = max(first, start), min(first + thick, stop)
            # what has a needed voxel in this slab: positions from `high` voxels below it to `low` above it
            between = slab[0] - margin[1] - 1 - up[0], slab[1] + margin[0] + 1 - down[0]
            met = _between(corners, between)
            if met is not None:
                low, high = met[0] + down, met[1] + up
                _, y, x = _window(low, high, shape, margin)
                yield slice(*slab), y, x


def _knots(spec: PatchSpec, span: Point, points: tuple[int, ...]) -> Floats:
    """Control point 1 stands at the lower face of the span, the last but one at its upper face."""
    shape, spacing, size = np.asarray(spec.shape), np.asarray(spec.spacing, float), np.asarray(span, float)
    scale = (np.asarray(points) - 3) / size
    first = 1 + (size / 2 - (shape - 1) / 2 * spacing) * scale
    return np.stack([first, spacing * scale])


def _window(low: Floats, high: Floats, shape: tuple[int, int, int], margin: tuple[int, int]) -> Window:
    size = np.asarray(shape)
    # positions in the outer half voxel, and beyond, look at the outermost voxels
    first = np.clip(np.floor(low - _SLACK) - margin[0], 0, size)
    last = np.clip(np.floor(high + _SLACK) + margin[1] + 1, 0, size)
    first, last = np.minimum(first, np.maximum(size - 2, 0)), np.maximum(last, np.minimum(2, size))
    if (high < -0.5).any() or (low > size - 0.5).any():
        last = first
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x


def _between(corners: Floats, z: tuple[float, float]) -> Bounds | None:
    """Return the bounds of the part of a parallelepiped that lies between two heights."""
    flat = corners.reshape(8, 3)
    found = [flat[(flat[:, 0] >= z[0]) & (flat[:, 0] <= z[1])]]
    for axis in range(3):
        ends = np.moveaxis(corners, axis, 0).reshape(2, 4, 3)
        rise = ends[1, :, 0] - ends[0, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            for height in z:
                along = (height - ends[0, :, 0]) / rise
                cut = (along >= 0) & (along <= 1)
                found.append((ends[0] + along[:, None] * (ends[1] - ends[0]))[cut])
    points = np.concatenate(found)
    return (points.min(axis=0), points.max(axis=0)) if len(points) else None
