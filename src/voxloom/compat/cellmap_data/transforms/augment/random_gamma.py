"""Gamma."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxloom.compat.cellmap_data.transforms.augment.normalize import ToFloat
from voxloom.transforms import random_values

__all__ = ["RandomGamma"]


class RandomGamma(nn.Module):
    """Raise values in [0, 1] to a power.

    Parameters
    ----------
    gamma_range
        Of the power.
    range
        The same, by its other name.

    Examples
    --------
    >>> RandomGamma((2, 2))(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.0400, 1.0000])
    """

    def __init__(
        self, gamma_range: Sequence[float] = (0.5, 1.5), *, range: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        low, high = range or gamma_range
        self.gamma_range = (low, high)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 in [0, 1]; integers are shares of their largest number first, NaN becomes 0."""
        raised = random_values.RandomGamma(self.gamma_range, limits=(0.0, 1.0))(ToFloat()(x))
        return torch.nan_to_num(raised, nan=0.0)
