"""Large planes made small before anything else is done to them: then 8192 x 8192 cost no gigabytes."""

from __future__ import annotations

import numpy as np

from voxloom.panels import Window, window_of
from voxloom.sample import Array

__all__ = ["drawn_window", "reduced", "reduced_ids"]

_LARGE = 1280  # pixels along the longer side that a picture keeps, twice what a page shows
_SPREAD = 1_000_000  # pixels that tell a window


def reduced(plane: Array) -> Array:
    """Return a plane (H, W) or (H, W, C), or means of k x k pixels where its longer side is twice 1280.

    Examples
    --------
    >>> reduced(np.full((2, 5120), 7, np.uint16)).shape, reduced(np.zeros((9, 9))).shape
    ((1, 1280), (9, 9))
    """
    step, height, width = _steps(plane)
    if step == 1:
        return plane
    total = np.zeros((height, width, *plane.shape[2:]), np.float32)
    row, column = min(step, plane.shape[0]), min(step, plane.shape[1])
    for y in range(row):
        for x in range(column):
            total += plane[y::step, x::step][:height, :width]
    total /= row * column
    return total


def reduced_ids(ids: Array) -> Array:
    """Return ids (H, W), or those in the middle of k x k pixels, of the size that `reduced` gives.

    Examples
    --------
    >>> reduced_ids(np.arange(5120)[None])[0, :3].tolist()
    [2, 6, 10]
    """
    step, height, width = _steps(ids)
    y, x = (min(step // 2, side - 1) for side in ids.shape[:2])
    return ids[y::step, x::step][:height, :width]


def drawn_window(plane: Array, *, low: float = 0.5, high: float = 99.5) -> Window:
    """Return the values at two percentiles of a plane, of a million pixels spread over it if it is larger."""
    step = max(1, int((plane.size / _SPREAD) ** 0.5))
    return window_of(plane[::step, ::step], low=low, high=high)


def _steps(plane: Array) -> tuple[int, int, int]:
    height, width = plane.shape[:2]
    step = max(1, max(height, width) // _LARGE)
    return step, max(1, height // step), max(1, width // step)
