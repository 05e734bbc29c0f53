"""Contrast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxloom.compat.cellmap_data.utils.misc import torch_max_value
from voxloom.transforms import random_values

__all__ = ["RandomContrast"]


class RandomContrast(nn.Module):
    """Stretch values about the mean of their patch, clipped to what their type shows.

    Parameters
    ----------
    contrast_range
        Of the factor.
    range
        The same, by its other name.

    Examples
    --------
    >>> RandomContrast((0.5, 0.5))(torch.tensor([0, 100], dtype=torch.uint8))
    tensor([25, 75], dtype=torch.uint8)
    """

    def __init__(
        self, contrast_range: Sequence[float] = (0.5, 1.5), *, range: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        low, high = range or contrast_range
        self.contrast_range = (low, high)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values with another contrast, of their own type; NaN and infinities become 0."""
        limits = (0.0, float(torch_max_value(x.dtype)))
        stretched = random_values.RandomContrast(self.contrast_range, limits=limits)(x)
        finite = torch.nan_to_num(stretched, nan=0.0, posinf=0.0, neginf=0.0)
        return (finite if x.is_floating_point() else finite.round()).to(x.dtype)
