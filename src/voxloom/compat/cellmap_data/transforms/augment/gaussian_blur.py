"""Blur."""

from __future__ import annotations

from voxloom.errors import ConfigError
from voxloom.transforms import random_values

__all__ = ["GaussianBlur"]


class GaussianBlur(random_values.GaussianBlur):
    """Blur along the last axes; beyond the edge its values go on.

    Parameters
    ----------
    kernel_size
        Voxels along each axis; odd.
    sigma
        Deviation in voxels.
    dim
        2 for sections, be it those of a volume, and 3 for volumes.
    channels
        Nothing: each channel is blurred for itself, however many there are.

    Raises
    ------
    ConfigError
        A ValueError; if `kernel_size` is even.

    Examples
    --------
    >>> import torch
    >>> GaussianBlur(3, sigma=1.0, dim=3)(torch.ones(8, 8, 8)).shape
    torch.Size([8, 8, 8])
    """

    def __init__(
        self,
        kernel_size: int = 3,
        sigma: float = 0.1,
        dim: int = 2,
        channels: int = 1,  # noqa: ARG002
    ) -> None:
        if kernel_size % 2 == 0 or kernel_size < 1:
            raise ConfigError(f"kernel_size={kernel_size}: expected an odd number, so that there is a middle")
        super().__init__(sigma, dims=dim, radius=kernel_size // 2)
