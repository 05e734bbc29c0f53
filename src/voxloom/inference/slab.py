"""The slab: the planes of a unit that tiles still add to. It rolls along z as tiles come in.

Once the tiles have passed a plane, its values are taken out and the plane is used again, so the slab
is as deep as a tile, however deep the unit. 8-bit results and labels are summed as whole numbers,
exactly; others as float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.errors import DivergedError
from voxloom.inference import kernels
from voxloom.inference.blend import FIXED, Blend, axis_weights, fixed_weights
from voxloom.inference.lattice import Lattice, Tile, Unit

__all__ = ["Shares", "Slab", "Values"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Values:
    """What a network's values become.

    Attributes
    ----------
    dtype
        Type of the values that are written.
    low, high
        For uint8: the values that 0 and 255 stand for. Other types keep values as they are; whole
        numbers are rounded.
    """

    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    low: float = 0.0
    high: float = 1.0

    @property
    def is_fixed(self) -> bool:
        """Whether sums are whole numbers."""
        return self.dtype == "uint8"

    @property
    def slope(self) -> float:
        """From values to whole numbers."""
        return kernels.SCALE / (self.high - self.low)

    def level(self, value: float) -> int:
        """Return the sum that stands for a value where the weights are full."""
        return round(float(np.clip((value - self.low) * self.slope, 0, kernels.SCALE))) * FIXED**3


class Shares:
    """The weights of all tiles of a lattice, an axis at a time.

    Parameters
    ----------
    lattice
        Where the tiles are.
    blend
        Shape of a tile's weight.
    fixed
        Whole numbers, or float64.
    """

    def __init__(self, lattice: Lattice, blend: Blend, *, fixed: bool) -> None:
        make = fixed_weights if fixed else axis_weights
        self._axes: list[Array] = [
            make(starts, tile, blend) for starts, tile in zip(lattice.starts, lattice.tile, strict=True)
        ]

    def of(self, tile: Tile) -> tuple[Array, Array, Array]:
        """Return the weights of a tile along z, y, x."""
        z, y, x = (axis[place] for axis, place in zip(self._axes, tile.place, strict=True))
        return z, y, x


class Slab:
    """The running sums of one unit.

    Parameters
    ----------
    unit
        The box that is predicted.
    channels
        Values a voxel.
    depth
        Planes of a tile.
    values
        What the sums become.
    shares
        Weights, made with ``fixed=values.is_fixed``.
    """

    def __init__(self, unit: Unit, channels: int, depth: int, *, values: Values, shares: Shares) -> None:
        self._unit, self._values, self._shares = unit, values, shares
        planes, height, width = unit.shape
        dtype = np.int32 if values.is_fixed else np.float64
        self._sums: Array = np.zeros((channels, min(depth, planes), height, width), dtype)
        self._taken = 0

    @property
    def nbytes(self) -> int:
        """Size of the sums in memory."""
        return self._sums.nbytes

    def add(self, tile: Tile, values: Array) -> None:
        """Add a tile, (K, z, y, x) float32. Tiles come in the order of z.

        Raises
        ------
        DivergedError
            If a value is NaN.
        """
        at = tuple(s - w for s, w in zip(tile.start, self._unit.low, strict=True))
        part = tuple(
            (max(0, -a), min(t, n - a))
            for a, t, n in zip(at, values.shape[1:], self._unit.shape, strict=True)
        )
        weights = self._shares.of(tile)
        if self._values.is_fixed:
            slope = self._values.slope
            numbers = np.float32(slope), np.float32(-self._values.low * slope)
            is_bad = kernels.add_fixed(self._sums, values, part, at, weights, *numbers)  # type: ignore[arg-type]
        else:
            is_bad = kernels.add_float(self._sums, values, part, at, weights)  # type: ignore[arg-type]
        if is_bad:
            raise DivergedError(
                f"the network gave NaN in the tile at voxel {tile.start}: expected numbers. Are the "
                "values of the input finite, is the precision (fp16) too low, did the training diverge?"
            )

    def passed(self, start: int) -> range:
        """Return the planes of the unit that are finished, if all coming tiles begin at `start` or later.

        Parameters
        ----------
        start
            A plane of the volume.
        """
        stop = min(max(start - self._unit.low[0], self._taken), self._unit.shape[0])
        return range(self._taken, stop)

    def take_values(self, planes: range, out: Array) -> None:
        """Fill finished planes of the unit's (K, z, y, x) with their values; they stay in the slab.

        Where `out` has fewer channels than the slab, it gets the last ones.
        """
        sums = self._sums[len(self._sums) - len(out) :]
        if self._values.is_fixed:
            kernels.take_fixed(sums, planes.start, planes.stop, out)
            return
        whole = out.dtype.kind in "ui"
        ends = np.iinfo(out.dtype) if whole else np.finfo(np.float32)
        limits = float(ends.min), float(ends.max), whole
        kernels.take_float(sums, planes.start, planes.stop, out, limits)

    def take_labels(self, planes: range, out: Array, ids: Array, least: float) -> None:
        """Fill finished planes of (z, y, x) with the strongest channel's id; 0 where none reaches `least`."""
        level = np.int32(self._values.level(least))
        kernels.label_fixed(self._sums, planes.start, planes.stop, out, ids, level)

    def take_masks(self, planes: range, out: Array, least: float) -> None:
        """Fill finished planes of (K, z, y, x) with 1 where a channel reaches `least`, else 0."""
        level, sums = self._values.level(least), self._sums[len(self._sums) - len(out) :]
        for plane in planes:
            np.greater_equal(sums[:, plane % sums.shape[1]], level, out=out[:, plane], casting="unsafe")

    def roll(self, planes: range) -> None:
        """Go on past planes that were taken; what they held is forgotten."""
        for plane in planes:
            self._sums[:, plane % self._sums.shape[1]] = 0
        self._taken = planes.stop
