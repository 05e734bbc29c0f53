"""Resizing of numbers that float32 does not hold, in float64, with Pillow's filters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array

__all__ = ["resampled"]

_EXACT = 2**53  # float64 holds each integer up to here


def resampled(plane: Array, size: tuple[int, int], interpolation: str) -> Array:
    """Return a plane of another size in float64, or in complex128.

    Parameters
    ----------
    plane
        (height, width).
    size
        (height, width).
    interpolation
        ``bilinear``, ``bicubic``, ``lanczos`` or ``box``; antialiased where the plane shrinks.

    Raises
    ------
    SchemaError
        If it holds integers that float64 does not.

    Examples
    --------
    >>> resampled(np.array([[2**24 + 1, 2**24 + 3]]), (1, 1), "box")
    array([[16777218.]])
    """
    if plane.dtype.kind in "iu" and plane.itemsize == 8 and plane.size:
        low, high = int(plane.min()), int(plane.max())
        if high > _EXACT or low < -_EXACT:
            raise SchemaError(
                f"{plane.dtype} of {low} to {high} cannot be interpolated: float64 holds integers up to "
                "2**53. Resize with interpolation='nearest', or leave size out."
            )
    wide = plane.astype(np.result_type(plane.dtype, np.float64))
    rows = _along(wide, size[1], interpolation)
    return np.ascontiguousarray(_along(rows.T, size[0], interpolation).T)


def _along(values: Array, new: int, interpolation: str) -> Array:
    """Resize the last axis; tap by tap, so that the bits are the same whatever runs beside it."""
    old = values.shape[-1]
    if old == new:
        return values
    places, weights = _taps(old, new, interpolation)
    made = np.zeros((*values.shape[:-1], new), values.dtype)
    for place, weight in zip(places.T, weights.T, strict=True):
        made += values[..., place] * weight
    return made


def _taps(old: int, new: int, interpolation: str) -> tuple[Array, Array]:
    """Return which old elements make each new one, and their weights: each (new, taps)."""
    reach, weigh = _FILTERS[interpolation]
    stretch = max(old / new, 1.0)
    centre = (np.arange(new)[:, np.newaxis] + 0.5) * (old / new)
    first = np.floor(centre - reach * stretch + 0.5).astype(np.int64)
    places = first + np.arange(int(np.ceil(reach * stretch)) * 2 + 1)
    weights = weigh((places + 0.5 - centre) / stretch)
    weights[(places < 0) | (places >= old)] = 0
    return np.clip(places, 0, old - 1), weights / weights.sum(axis=1, keepdims=True)


def _box(at: Array) -> Array:
    return ((at > -0.5) & (at <= 0.5)).astype(np.float64)


def _bilinear(at: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(at))


def _bicubic(at: Array) -> Array:
    at = np.abs(at)
    near, far = (1.5 * at - 2.5) * at * at + 1, ((-0.5 * at + 2.5) * at - 4) * at + 2
    return np.where(at < 1, near, np.where(at < 2, far, 0.0))


def _lanczos(at: Array) -> Array:
    return np.where(np.abs(at) < 3, np.sinc(at) * np.sinc(at / 3), 0.0)


_FILTERS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
