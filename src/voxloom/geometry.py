"""Where things lie: boxes and grids in world coordinates, patches and their poses.

World coordinates are nanometres, in the order z, y, x. Each voxel is a small box around its centre;
the centre of voxel ``i`` lies at ``origin + spacing * i``, as OME-NGFF has it, so a grid of ``n``
voxels reaches from ``origin - spacing / 2`` to ``origin + (n - 1/2) * spacing``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import SchemaError

__all__ = ["AXES", "Box", "Grid", "PatchSpec", "Point", "Pose", "tile_starts"]

AXES = "zyx"
"""The spatial axes, in the order of every tuple here."""

Point = tuple[float, float, float]
"""z, y, x in nanometres."""
Matrix = npt.NDArray[np.float64]

_SLACK = 1e-6  # of a voxel: sums of spacings are not exact


@dataclass(frozen=True)
class Box:
    """A part of the world, edges included, along z, y, x in nanometres.

    Examples
    --------
    >>> box = Box((0, 0, 0), (80, 160, 160))
    >>> box.size, box.center
    ((80, 160, 160), (40.0, 80.0, 80.0))
    >>> box & Box((40, 0, 200), (100, 100, 300)) is None
    True
    """

    low: Point
    high: Point

    @classmethod
    def around(cls, center: Sequence[float], size: Sequence[float]) -> Box:
        """Return the box of a size around a centre."""
        low = tuple(c - s / 2 for c, s in zip(center, size, strict=True))
        high = tuple(c + s / 2 for c, s in zip(center, size, strict=True))
        return cls(_point(low), _point(high))

    @property
    def size(self) -> Point:
        """Extent along each axis."""
        return _point(tuple(h - w for w, h in zip(self.low, self.high, strict=True)))

    @property
    def center(self) -> Point:
        """The middle."""
        return _point(tuple((w + h) / 2 for w, h in zip(self.low, self.high, strict=True)))

    def __and__(self, other: Box) -> Box | None:
        """Return what both share, or None where they share no volume."""
        low = _point(tuple(map(max, self.low, other.low)))
        high = _point(tuple(map(min, self.high, other.high)))
        return Box(low, high) if all(a < b for a, b in zip(low, high, strict=True)) else None

    def holds(self, other: Box, *, slack: float = _SLACK) -> bool:
        """Return whether another box lies within; it may stand out by `slack` nanometres."""
        return all(a - slack <= b for a, b in zip(self.low, other.low, strict=True)) and all(
            a + slack >= b for a, b in zip(self.high, other.high, strict=True)
        )

    def grown(self, margin: Sequence[float]) -> Box:
        """Return the box with a margin added on both sides of each axis; a negative one shrinks it.

        An axis that would vanish keeps its middle alone.
        """
        low, high = zip(
            *(
                (w - m, h + m) if w - m <= h + m else ((w + h) / 2,) * 2
                for w, h, m in zip(self.low, self.high, margin, strict=True)
            ),
            strict=True,
        )
        return Box(_point(low), _point(high))


@dataclass(frozen=True)
class Grid:
    """Voxels in the world.

    Attributes
    ----------
    shape
        Number of voxels along z, y, x.
    spacing
        Distance of neighbouring centres, nm.
    origin
        Centre of voxel (0, 0, 0), nm.

    Examples
    --------
    >>> grid = Grid((10, 20, 20), (8.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    >>> grid.box
    Box(low=(-4.0, -2.0, -2.0), high=(76.0, 78.0, 78.0))
    >>> grid.index((8.0, 2.0, 0.0))
    (1.0, 0.5, 0.0)
    """

    shape: tuple[int, int, int]
    spacing: Point
    origin: Point

    @property
    def box(self) -> Box:
        """What the voxels cover, to their outer faces."""
        low = tuple(o - s / 2 for o, s in zip(self.origin, self.spacing, strict=True))
        high = tuple(a + n * s for a, n, s in zip(low, self.shape, self.spacing, strict=True))
        return Box(_point(low), _point(high))

    def index(self, point: Sequence[float]) -> Point:
        """Return where a point of the world lies, in voxels; whole numbers are centres."""
        return _point(tuple((p - o) / s for p, o, s in zip(point, self.origin, self.spacing, strict=True)))

    def world(self, index: Sequence[float]) -> Point:
        """Return the point of the world at an index, which need not be whole."""
        return _point(tuple(o + s * i for i, o, s in zip(index, self.origin, self.spacing, strict=True)))


class PatchSpec(Component):
    """What a patch is: so many voxels of such a size. A 2D patch has one voxel along an axis, any axis.

    Examples
    --------
    >>> spec = PatchSpec(shape=(1, 64, 64), spacing=(8, 4, 4))
    >>> spec.size, spec.grid((100, 200, 200)).origin
    ((8.0, 256.0, 256.0), (100.0, 74.0, 74.0))
    """

    shape: tuple[Annotated[int, Setting(gt=0)], Annotated[int, Setting(gt=0)], Annotated[int, Setting(gt=0)]]
    """Voxels along z, y, x."""
    spacing: tuple[
        Annotated[float, Setting(gt=0)], Annotated[float, Setting(gt=0)], Annotated[float, Setting(gt=0)]
    ]
    """Distance of neighbouring centres along z, y, x in nanometres."""

    @property
    def size(self) -> Point:
        """Extent in nanometres, from outer face to outer face."""
        return _point(tuple(n * s for n, s in zip(self.shape, self.spacing, strict=True)))

    def grid(self, center: Sequence[float]) -> Grid:
        """Return the voxels of an unposed patch whose middle lies at `center`."""
        origin = tuple(c - (n - 1) / 2 * s for c, n, s in zip(center, self.shape, self.spacing, strict=True))
        return Grid(self.shape, self.spacing, _point(origin))


@dataclass(frozen=True)
class Pose:
    """How a patch lies in the world: mirrored, axes exchanged, turned, bent, about its centre.

    What is read at offset ``o`` of the patch (nm from its centre, z, y, x) is what the world holds at
    ``center + matrix @ o``, plus the displacement there. The patch is first mirrored (axis ``a``
    where ``flip[a]``), then its axes are exchanged (axis ``a`` of the patch runs along axis
    ``permutation[a]`` of the world), then turned about x, then y, then z (right-handed in x, y, z:
    a positive angle about z takes the x axis towards the y axis).

    Attributes
    ----------
    flip
        Whether each axis z, y, x of the patch is mirrored.
    permutation
        Where each axis of the patch lies in the world.
    rotation
        Degrees about z, y, x.
    displacement
        None, or (3, n, m, k) in nm: how far the world is looked up aside, along z, y, x, at control
        points of a cubic B-spline. They are spread evenly over `span`, the first and last of each
        axis one step outside it, so that there are at least 4 along each axis.
    span
        What the control points are spread over, nm along the patch's z, y, x about its centre: the
        same bend for patches of different size about one centre. None takes the patch's own size.

    Raises
    ------
    SchemaError
        If the permutation is none, or the displacement has too few points.

    Examples
    --------
    >>> Pose().is_identity, Pose(flip=(True, False, False)).is_axis_aligned
    (True, True)
    >>> Pose(rotation=(90, 0, 0)).is_axis_aligned, Pose(rotation=(30, 0, 0)).is_axis_aligned
    (True, False)
    >>> z_y_x = Pose(rotation=(90, 0, 0)).matrix @ [0, 0, 1]  # x is taken to y
    >>> z_y_x.round().tolist()
    [0.0, 1.0, 0.0]
    """

    flip: tuple[bool, bool, bool] = (False, False, False)
    permutation: tuple[int, int, int] = (0, 1, 2)
    rotation: Point = (0.0, 0.0, 0.0)
    displacement: npt.NDArray[Any] | None = None
    span: Point | None = None

    def __post_init__(self) -> None:
        if sorted(self.permutation) != [0, 1, 2]:
            raise SchemaError(
                f"permutation {self.permutation}: expected each of 0, 1, 2 once, the places of z, y, x"
            )
        grid = self.displacement
        if grid is not None and (grid.ndim != 4 or grid.shape[0] != 3 or min(grid.shape[1:]) < 4):
            raise SchemaError(
                f"displacement of shape {grid.shape}: expected (3, n, m, k), at least 4 points an axis"
            )

    @cached_property
    def matrix(self) -> Matrix:
        """(3, 3), orthonormal: offsets in the patch, z, y, x, to offsets in the world."""
        placed = np.zeros((3, 3))
        for axis, (place, mirrored) in enumerate(zip(self.permutation, self.flip, strict=True)):
            placed[place, axis] = -1.0 if mirrored else 1.0
        return _turned(self.rotation) @ placed

    @cached_property
    def is_identity(self) -> bool:
        """Whether the patch lies as the world does."""
        return self.displacement is None and bool((self.matrix == np.eye(3)).all())

    @cached_property
    def is_axis_aligned(self) -> bool:
        """Whether its axes are axes of the world, so that reading it is a copy."""
        return self.displacement is None and bool(np.isin(self.matrix, (-1.0, 0.0, 1.0)).all())

    def reach(self, size: Sequence[float]) -> Point:
        """Return the size in nm of the box of the world that holds a posed patch of a size."""
        aside = np.zeros(3) if self.displacement is None else np.abs(self.displacement).max(axis=(1, 2, 3))
        reached = np.abs(self.matrix) @ np.asarray(size, float) + 2 * aside
        return _point(tuple(reached.tolist()))


def tile_starts(extent: int, tile: int, step: int | None = None) -> list[int]:
    """Return where tiles begin that cover an extent exactly; the last is flush with its end.

    Parameters
    ----------
    extent
        Voxels to cover.
    tile
        Voxels of a tile. A tile larger than the extent begins at 0 and stands out at the end.
    step
        Distance of two tiles, at most `tile`; None for tiles that do not overlap but for the last.

    Raises
    ------
    SchemaError
        If a number is not positive, or the step leaves gaps.

    Examples
    --------
    >>> tile_starts(100, 32)
    [0, 32, 64, 68]
    >>> tile_starts(20, 32)
    [0]
    """
    step = tile if step is None else step
    if extent < 1 or tile < 1 or not 1 <= step <= tile:
        raise SchemaError(
            f"tiles of {tile} every {step} over {extent} voxels: expected positive numbers, and a step of at "
            "most the tile, since a longer one leaves gaps"
        )
    last = max(0, extent - tile)
    return [*range(0, last, step), last]


def _turned(degrees: Point) -> Matrix:
    """Return Rz @ Ry @ Rx in the order z, y, x; exact for right angles."""
    about_z, about_y, about_x = (_cos_sin(angle) for angle in degrees)
    (cz, sz), (cy, sy), (cx, sx) = about_z, about_y, about_x
    # Right-handed matrices for (x, y, z), then both axes reversed.
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1.0]])
    ry = np.array([[cy, 0, sy], [0, 1.0, 0], [-sy, 0, cy]])
    rx = np.array([[1.0, 0, 0], [0, cx, -sx], [0, sx, cx]])
    turned: Matrix = (rz @ ry @ rx)[::-1, ::-1]
    return turned + 0.0  # no -0.0


def _cos_sin(degrees: float) -> tuple[float, float]:
    quarter, rest = divmod(degrees, 90)
    if rest == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _point(values: Sequence[float]) -> Point:
    z, y, x = values
    return (z, y, x)
