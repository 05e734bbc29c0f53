"""Values to a range."""

from __future__ import annotations

import torch
from torch import nn

from voxloom.compat.cellmap_data.utils.misc import torch_max_value
from voxloom.transforms.values import Normalize

__all__ = ["Normalize", "ToFloat"]


class ToFloat(nn.Module):
    """Return float32, integers as shares of the largest number of their type.

    What a split does with raw data unless it is told otherwise.

    Examples
    --------
    >>> ToFloat()(torch.tensor([0, 255], dtype=torch.uint8)), ToFloat()(torch.tensor([255.0]))
    (tensor([0., 1.]), tensor([255.]))
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values as float32."""
        return x.float() / torch_max_value(x.dtype)
