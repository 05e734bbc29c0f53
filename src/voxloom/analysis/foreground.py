"""What is foreground: one rule for predictions and targets alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.component import Component

__all__ = ["MaskRule"]

Array = npt.NDArray[Any]


class MaskRule(Component):
    """Which pixels are foreground: one rule for predictions and targets alike.

    By default a pixel is foreground when it differs from the background by more than one percent of
    the data range: an exact comparison would call every pixel of a network's output foreground.

    Examples
    --------
    >>> MaskRule()(np.array([0.0, 0.5, -20.0]), data_range=100.0)
    array([False, False,  True])
    >>> MaskRule(threshold=0.4)(np.array([0.0, 0.5, -20.0]), data_range=100.0)
    array([False,  True, False])
    >>> MaskRule().describe(255)
    '|value| > 2.55 (1 % of the data range)'
    """

    threshold: float | None = None
    """Foreground is ``value > threshold``; None for the rule of background and tolerance."""
    background: float = 0.0
    """Value of the background."""
    tolerance: float = Field(default=0.01, ge=0)
    """Largest distance from the background that still is background, as a share of the data range."""

    def __call__(self, image: Array, *, data_range: float) -> Array:
        """Return the boolean mask of an image's foreground, of the image's shape."""
        if self.threshold is not None:
            return np.asarray(image > self.threshold)
        distance = np.abs(np.asarray(image, dtype=np.float64) - self.background)
        return np.asarray(distance > self.tolerance * data_range)

    def describe(self, data_range: float) -> str:
        """Return the rule in words."""
        if self.threshold is not None:
            return f"value > {self.threshold:g}"
        limit = self.tolerance * data_range
        shift = f" {'-' if self.background > 0 else '+'} {abs(self.background):g}" if self.background else ""
        return f"|value{shift}| > {limit:.6g} ({100 * self.tolerance:g} % of the data range)"
