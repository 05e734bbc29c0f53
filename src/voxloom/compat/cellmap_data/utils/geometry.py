"""Boxes as the older library keeps them: (low, high) in nm by axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Bounds", "box_intersection", "box_shape", "box_union"]

Bounds = Mapping[str, Sequence[float]]


def box_intersection(a: Bounds, b: Bounds) -> dict[str, tuple[float, float]] | None:
    """Return what two boxes share, or None where they share nothing.

    Examples
    --------
    >>> box_intersection({"x": (0, 8)}, {"x": (4, 12)}), box_intersection({"x": (0, 8)}, {"x": (9, 12)})
    ({'x': (4, 8)}, None)
    """
    shared = {axis: (max(a[axis][0], b[axis][0]), min(a[axis][1], b[axis][1])) for axis in a}
    return None if any(low > high for low, high in shared.values()) else shared


def box_union(a: Bounds, b: Bounds) -> dict[str, tuple[float, float]]:
    """Return the smallest box that holds both.

    Examples
    --------
    >>> box_union({"x": (0, 8)}, {"x": (9, 12)})
    {'x': (0, 12)}
    """
    return {axis: (min(a[axis][0], b[axis][0]), max(a[axis][1], b[axis][1])) for axis in a}


def box_shape(box: Bounds, scale: Mapping[str, float]) -> dict[str, int]:
    """Return how many voxels of a size lie along each axis of a box: rounded, at least one.

    Examples
    --------
    >>> box_shape({"x": (0, 100)}, {"x": 8})
    {'x': 12}
    """
    return {axis: max(1, round((high - low) / scale[axis])) for axis, (low, high) in box.items()}
