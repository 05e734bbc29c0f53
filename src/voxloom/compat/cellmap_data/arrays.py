"""What a script asks of an array: its shape, its scale, and the order of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from voxloom.errors import ConfigError
from voxloom.geometry import AXES, PatchSpec, Point
from voxloom.sample import Array

__all__ = ["ArrayInfo", "ArraySpec", "Center", "point_of"]

ArrayInfo = Mapping[str, Any]
"""``shape`` in voxels and ``scale`` in nm."""
Center = Mapping[str, float]
"""nm by axis."""


@dataclass(frozen=True)
class ArraySpec:
    """An array that is asked for.

    Attributes
    ----------
    shape
        Voxels, by axis.
    scale
        nm, by axis.
    order
        The axes z, y and x in the order of the array.

    Examples
    --------
    >>> spec = ArraySpec.of({"shape": (4, 5), "scale": (8, 4)}, "zyx")
    >>> spec.shape, spec.scale, spec.patch.shape
    ({'z': 1, 'y': 4, 'x': 5}, {'z': 8.0, 'y': 8.0, 'x': 4.0}, (1, 4, 5))
    """

    shape: Mapping[str, int]
    scale: Mapping[str, float]
    order: str = AXES

    @classmethod
    def of(cls, info: ArrayInfo, axis_order: str | Sequence[str] = AXES) -> ArraySpec:
        """Return what a script says, lacking axes put before the others: one voxel, of the first scale.

        Raises
        ------
        ConfigError
            A ValueError; if there is no shape or scale, or `axis_order` lacks z, y or x.
        """
        order = "".join(axis for axis in axis_order if axis in AXES)
        if sorted(order) != sorted(AXES):
            raise ConfigError(f"axis_order {axis_order!r}: expected z, y and x, each once")
        try:
            shape, scale = list(info["shape"])[-3:], list(info["scale"])[-3:]
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"array {info!r}: expected {{'shape': (z, y, x) voxels, 'scale': (z, y, x) nm}}"
            ) from error
        shape = [1] * (3 - len(shape)) + shape
        scale = scale[:1] * (3 - len(scale)) + scale
        by_axis = dict(zip(order, map(int, shape), strict=True))
        return cls(by_axis, dict(zip(order, map(float, scale), strict=True)), order)

    @cached_property
    def patch(self) -> PatchSpec:
        """In our order."""
        shape, scale = point_of(self.shape), point_of(self.scale)
        return PatchSpec(shape=(int(shape[0]), int(shape[1]), int(shape[2])), spacing=scale)

    @property
    def size(self) -> dict[str, float]:
        """nm, by axis."""
        return {axis: self.shape[axis] * self.scale[axis] for axis in self.order}

    def ordered(self, array: Array) -> Array:
        """Return (c, z, y, x) with its axes in order, and without those of one voxel."""
        moved = array.transpose(0, *(1 + AXES.index(axis) for axis in self.order))
        kept = tuple(k for k, n in enumerate(moved.shape) if n > 1)
        return np.ascontiguousarray(moved.reshape([moved.shape[k] for k in kept]))


def point_of(by_axis: Mapping[str, Any]) -> Point:
    """Return z, y, x of what is told by axis.

    Raises
    ------
    ConfigError
        A ValueError; if an axis is missing.
    """
    try:
        return (float(by_axis["z"]), float(by_axis["y"]), float(by_axis["x"]))
    except KeyError as error:
        raise ConfigError(f"{dict(by_axis)}: expected a number for each of z, y, x") from error
