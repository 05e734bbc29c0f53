"""Where the voxels of a posed patch lie among the voxels of a level: one affine map, and a bend."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.geometry import Grid, PatchSpec, Point, Pose
from voxloom.volumes.crossing import bounds_between

__all__ = ["TIE", "Bounds", "Copy", "Placement", "Window"]

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]
"""The lowest and the highest position along z, y, x, in voxels."""
Window = tuple[slice, slice, slice]
"""Voxels along z, y, x; every slice has a start and a stop."""

_ENDS = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
TIE = 1e-6
"""Of a voxel: a place this little above the middle between two voxels still belongs to the lower one.

Places halfway are common: labels that are read at twice their spacing. What is lost in floats must not
decide, else neighbouring patches would lie aside by a voxel.
"""
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
        return all(v >= TIE - 0.5 for v in low.tolist()) and all(
            v < n + TIE - 0.5 for v, n in zip(high.tolist(), shape, strict=True)
        )

    @cached_property
    def slack(self) -> Bounds:
        """How far the bend may take a voxel down and up along each axis of the level."""
        if self.bend is None:
            return np.zeros(3), np.zeros(3)
        # a B-spline stays between the least and the largest of its control points
        return self.bend.min(axis=(1, 2, 3)), self.bend.max(axis=(1, 2, 3))

    @property
    def corners(self) -> Floats:
        """(8, 3): where the corner voxels lie, without the bend; corner number 4 z + 2 y + x."""
        return (_ENDS * (np.asarray(self.shape) - 1.0)) @ self.matrix.T + self.offset

    @cached_property
    def bounds(self) -> Bounds:
        """Between which positions all voxels of the patch lie."""
        corners, (down, up) = self.corners, self.slack
        return corners.min(axis=0) + down, corners.max(axis=0) + up

    def as_copy(self, *, nearest: bool = False) -> Copy | None:
        """Return the patch as voxels of the level, one by one, or None where it has to be sampled.

        With `nearest`, a patch of the level's own spacing is a copy wherever it lies.
        """
        if self.bend is not None:
            return None
        axes, starts, steps = [], [], []
        columns, offset = self.matrix.T.tolist(), self.offset.tolist()
        for count, column in zip(self.shape, columns, strict=True):
            # a turn too small to move any voxel is none: sampling would spread NaN to the neighbours
            axis = max(range(3), key=lambda along: abs(column[along]))
            runs = [along for along in range(3) if along == axis or abs(column[along]) * count > TIE]
            start, step = math.floor(offset[axis] + (0.5 - TIE)), round(column[axis])
            drift = abs(column[axis] - step) * (count - 1)
            aside = 0 if nearest else abs(offset[axis] - start)
            if len(runs) > 1 or step == 0 or drift > _WHOLE or aside + drift > _WHOLE:
                return None
            axes.append(axis)
            starts.append(start)
            steps.append(step)
        return Copy(*(_triple(values) for values in (axes, starts, steps)))

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
        if start == stop:
            return
        slabs = [
            (max(first, start), min(first + thick, stop))
            for first in range(start // thick * thick, stop, thick)
        ]
        if len(slabs) == 1:
            yield whole
            return
        down, up = self.slack
        # who needs a voxel of a slab: places from `margin[1]` voxels below it to `margin[0]` above it
        heights = np.array(slabs) + np.array([-margin[1] - 1 - up[0], margin[0] + 1 - down[0]])
        found = np.empty((len(slabs), 2, 3))
        bounds_between(np.ascontiguousarray(self.corners), heights, found)
        for slab, (low, high) in zip(slabs, found, strict=True):
            _, y, x = _window(low + down, high + up, shape, margin)
            if low[0] <= high[0] and y.start < y.stop and x.start < x.stop:
                yield slice(*slab), y, x


def _triple(values: Sequence[int]) -> tuple[int, int, int]:
    a, b, c = values
    return a, b, c


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
    last = np.clip(np.floor(np.maximum(high, 0) + _SLACK) + margin[1] + 1, 0, size)
    first, last = np.minimum(first, np.maximum(size - 2, 0)), np.maximum(last, np.minimum(2, size))
    if (high < -0.5 - _SLACK).any() or (low > size - 0.5 + _SLACK).any():
        last = first
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x
