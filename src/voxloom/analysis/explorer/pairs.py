"""Two images and their difference, drawn alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from voxloom.analysis.explorer.pictures import fitted, window_for
from voxloom.panels import Window, diverging, panel, shaded, window_of
from voxloom.sample import Array

__all__ = ["Pair"]

_GAP = 0.05  # of an image's width
_PERCENTILE = 99.5


@dataclass(frozen=True)
class Pair:
    """Images 1 and 2 and the difference 2 - 1, in the window of both together.

    Images of different sizes, or in colour, have no difference, and each its own window.

    Parameters
    ----------
    first, second
        (H, W) numbers or (H, W, 3) colours.

    Examples
    --------
    >>> pair = Pair(np.zeros((4, 4)), np.full((4, 4), 10.0))
    >>> pair.window, pair.limit, len(pair.tiles)
    ((0.0, 10.0), 10.0, 3)
    """

    first: Array
    second: Array

    @property
    def are_comparable(self) -> bool:
        """Whether they have a difference."""
        return self.first.ndim == self.second.ndim == 2 and self.first.shape == self.second.shape

    @cached_property
    def window(self) -> Window | None:
        """Values drawn black and white in both; None where each has its own."""
        return (
            window_of(np.stack([self.first, self.second]).astype(np.float64)) if self.are_comparable else None
        )

    @cached_property
    def limit(self) -> float | None:
        """The difference that has the darkest colours: 99.5 of 100 pixels differ by less."""
        if self.window is None:
            return None
        sizes = np.abs(self._difference)
        sizes = sizes[np.isfinite(sizes)]
        found = float(np.percentile(sizes, _PERCENTILE)) if sizes.size else 0.0
        return found or float(sizes.max(initial=0.0)) or self.window[1] - self.window[0]

    @cached_property
    def tiles(self) -> list[Array]:
        """The images, and where there is one the difference, (H, W, 3) uint8 of one size."""
        if self.window is None or self.limit is None:
            return _padded(*(shaded(each, window_for(each)) for each in (self.first, self.second)))
        shown = [shaded(each, self.window) for each in (self.first, self.second)]
        return [*shown, diverging(np.nan_to_num(self._difference / self.limit))]

    def panel(self, size: int) -> Array:
        """Return the tiles side by side with words, (H, W, 3) uint8, the longer side of each about `size`."""
        words = ["1", "2"]
        if self.window is not None and self.limit is not None:
            scale = f"black {self.window[0]:.4g}, white {self.window[1]:.4g}"
            words = [f"1: {scale}", f"2: {scale}", f"2 - 1: blue {-self.limit:.3g}, red {self.limit:+.3g}"]
        return panel(list(zip(words, self.tiles, strict=True)), difference=False, size=size)

    def strip(self, size: int) -> Array:
        """Return the tiles side by side without words, (H, W, 4) uint8, nothing between them."""
        tiles = [
            np.pad(fitted(tile, size), ((0, 0), (0, 0), (0, 1)), constant_values=255) for tile in self.tiles
        ]
        height, width = tiles[0].shape[:2]
        gap = np.zeros((height, max(1, round(_GAP * width)), 4), np.uint8)
        return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)

    @property
    def _difference(self) -> Array:
        difference: Array = self.second.astype(np.float64) - self.first
        return difference


def _padded(*images: Array) -> list[Array]:
    """Return coloured images brought to one size by a dark margin on the right and below."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    return [
        np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))) for image in images
    ]
