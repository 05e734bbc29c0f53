"""How a condition image's latent reaches the denoiser: two conditioners behind one contract.

Shapes: B batch, c latent channels, k condition channels, h, w of the latent, N = h w tokens in
row-major order, D cross-attention dimension.

A conditioner is a module: (z_Bchw, condition_Bkhw) -> (what enters the network, context_BND or None).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from voxloom.errors import SchemaError

__all__ = ["Concatenation", "CrossAttention", "Unconditional", "sincos_positions"]

Conditioned = tuple[torch.Tensor, torch.Tensor | None]


class Unconditional(nn.Module):
    """Takes no condition.

    Examples
    --------
    >>> z, context = Unconditional()(torch.zeros(1, 4, 8, 8), None)
    >>> tuple(z.shape), context
    ((1, 4, 8, 8), None)
    """

    def forward(self, z_Bchw: torch.Tensor, condition_Bkhw: torch.Tensor | None) -> Conditioned:
        """Return z as it is.

        Raises
        ------
        SchemaError
            When there is a condition.
        """
        if condition_Bkhw is not None:
            raise SchemaError(
                f"an unconditional denoiser got a condition of shape {tuple(condition_Bkhw.shape)}: expected "
                'none. Leave it out, or build the denoiser with conditioning="concat".'
            )
        return z_Bchw, None


class Concatenation(nn.Module):
    """Puts the condition beside z as further channels: aligned by construction, nearly free.

    Parameters
    ----------
    channels
        k.

    Examples
    --------
    >>> z, context = Concatenation(4)(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8))
    >>> tuple(z.shape), context
    ((1, 8, 8, 8), None)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, z_Bchw: torch.Tensor, condition_Bkhw: torch.Tensor | None) -> Conditioned:
        """Return both along the channels.

        Raises
        ------
        SchemaError
            When there is no condition, or one of another size or number of channels.
        """
        condition_Bkhw = _checked(condition_Bkhw, self.channels)
        if condition_Bkhw.shape[-2:] != z_Bchw.shape[-2:]:
            raise SchemaError(
                f"the condition's latent is {_size(condition_Bkhw)}, the one to denoise {_size(z_Bchw)}: "
                "expected the same, to stand one on the other. Resize both images alike."
            )
        return torch.cat([z_Bchw, condition_Bkhw.to(z_Bchw.dtype)], dim=1), None


class CrossAttention(nn.Module):
    """Turns the condition into tokens that every place of the network can look at.

    Each token is a linear map of one place's channels plus its fixed position: attention cannot
    tell places apart by anything else.

    Parameters
    ----------
    channels
        k.
    dim
        D, even and at least 4.
    positions
        False leaves the positions out, as older systems did: the layout of the condition is lost.

    Examples
    --------
    >>> z, context = CrossAttention(4, 32)(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8))
    >>> tuple(z.shape), tuple(context.shape)
    ((1, 4, 8, 8), (1, 64, 32))
    """

    def __init__(self, channels: int, dim: int, *, positions: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.positions = positions
        self.projection = nn.Linear(channels, dim)

    def forward(self, z_Bchw: torch.Tensor, condition_Bkhw: torch.Tensor | None) -> Conditioned:
        """Return z as it is, and the tokens.

        Raises
        ------
        SchemaError
            When there is no condition, or one of another number of channels.
        """
        condition_Bkhw = _checked(condition_Bkhw, self.channels)
        context_BND = self.projection(condition_Bkhw.flatten(2).transpose(1, 2))
        if self.positions:
            height, width = condition_Bkhw.shape[-2:]
            places_ND = sincos_positions(height, width, context_BND.shape[-1], device=context_BND.device)
            context_BND = context_BND + places_ND.to(context_BND.dtype)
        return z_Bchw, context_BND


def sincos_positions(
    height: int, width: int, dim: int, *, device: torch.device | None = None
) -> torch.Tensor:
    """Return fixed encodings of the places of a grid, row-major, float32 (height * width, dim).

    The first half of the channels encodes the row, the second the column, each as sines then
    cosines of wavelengths from 2 pi to 20000 pi places (Vaswani et al. 2017, section 3.5, along two
    axes as in He et al. 2022).

    Parameters
    ----------
    height, width
        Size of the grid.
    dim
        A multiple of 4.
    device
        Where to make them.

    Examples
    --------
    >>> places = sincos_positions(2, 3, 8)
    >>> tuple(places.shape), bool((places[0] == places[1]).all())
    ((6, 8), False)
    """
    quarter = dim // 4
    rate = torch.exp(-math.log(10000) * torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    row, column = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float32),
        torch.arange(width, device=device, dtype=torch.float32),
        indexing="ij",
    )
    angles = [axis.reshape(-1, 1) * rate for axis in (row, column)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


def _checked(condition: torch.Tensor | None, channels: int) -> torch.Tensor:
    if condition is None or condition.shape[1] != channels:
        found = "none" if condition is None else f"one of shape {tuple(condition.shape)}"
        raise SchemaError(
            f"a conditional denoiser got {found}: expected a condition of {channels} channels (axis 1). "
            "Encode the condition image, and set condition_channels to the latent's channels."
        )
    return condition


def _size(image: torch.Tensor) -> str:
    return " x ".join(map(str, image.shape[-2:]))
