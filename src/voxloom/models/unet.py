"""A plain residual U-Net: image in, image of the same size out.

For direct regression and as the generator of pix2pix. Shapes: B batch, C channels, H, W.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn

from voxloom.models.model import ModelConfig, check_divisible, check_groups, per_level

__all__ = ["UNet", "UNetConfig"]


class UNetConfig(ModelConfig):
    """Settings of `UNet`.

    Examples
    --------
    >>> UNetConfig(channels=(16, 32, 64)).downsampling
    4
    """

    spatial_dims: Literal[2] = 2
    """Number of spatial axes."""
    in_channels: int = Field(default=1, ge=1)
    """Channels of the input image."""
    out_channels: int = Field(default=1, ge=1)
    """Channels of the output image."""
    channels: tuple[PositiveInt, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Channels of each level, from the image down; each level after the first halves height and width."""
    num_res_units: PositiveInt | tuple[PositiveInt, ...] = 2
    """Residual units of each level, on the way down and again on the way up, or one number for all."""
    norm: Literal["group", "instance"] = "group"
    """Normalise over groups of channels, or each channel by itself."""
    norm_num_groups: int = Field(default=8, ge=1)
    """Groups for norm "group"; divides every channel count."""
    up: Literal["interpolation", "transposed"] = "interpolation"
    """Upsample by repeating pixels before a convolution (no checkerboard), or by a transposed convolution."""

    @model_validator(mode="after")
    def _check(self) -> UNetConfig:
        if self.norm == "group":
            check_groups(self.channels, self.norm_num_groups)
        per_level(self.num_res_units, self.channels, "num_res_units")
        return self

    @property
    def downsampling(self) -> int:
        """What height and width of the image must be multiples of."""
        return int(2 ** (len(self.channels) - 1))

    def build(self) -> UNet:
        """Build the network, freshly initialised."""
        return UNet(self)


class UNet(nn.Module):
    """Residual U-Net (Ronneberger et al. 2015, with pre-activation units of He et al. 2016).

    The output is linear: any intensity range can be learnt.

    Parameters
    ----------
    config
        Its settings.

    Examples
    --------
    >>> unet = UNetConfig(channels=(8, 16), num_res_units=1).build()
    >>> tuple(unet(torch.zeros(2, 1, 16, 24)).shape)
    (2, 1, 16, 24)
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        units = per_level(config.num_res_units, widths, "num_res_units")
        self.stem = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            _units(width, width, count, config) for width, count in zip(widths, units, strict=True)
        )
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(wide, deep, 3, stride=2, padding=1) for wide, deep in steps)
        self.up = nn.ModuleList(_up(deep, wide, config) for wide, deep in steps)
        self.decoder = nn.ModuleList(
            _units(2 * width, width, count, config)
            for width, count in zip(widths[:-1], units[:-1], strict=True)
        )
        self.head = nn.Sequential(
            _norm(widths[0], config), nn.SiLU(), nn.Conv2d(widths[0], config.out_channels, 3, padding=1)
        )

    def check_size(self, height: int, width: int) -> None:
        """Check that an image of this size comes back in the same size.

        Raises
        ------
        SchemaError
            When height or width is no multiple of `config.downsampling`.
        """
        levels = len(self.config.channels)
        check_divisible((height, width), self.config.downsampling, f"a U-Net of {levels} levels")

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the output image, float32 (B, C, H, W), also under autocast.

        Raises
        ------
        SchemaError
            When height or width does not fit.
        """
        self.check_size(x_BCHW.shape[-2], x_BCHW.shape[-1])
        x = self.encoder[0](self.stem(x_BCHW))
        skips = []
        for down, units in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = units(down(x))
        for up, units in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = units(torch.cat([up(x), skips.pop()], dim=1))
        image: torch.Tensor = self.head(x)
        return image.float()


class _ResidualUnit(nn.Module):
    def __init__(self, entering: int, leaving: int, config: UNetConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _norm(entering, config),
            nn.SiLU(),
            nn.Conv2d(entering, leaving, 3, padding=1),
            _norm(leaving, config),
            nn.SiLU(),
            nn.Conv2d(leaving, leaving, 3, padding=1),
        )
        self.shortcut = nn.Identity() if entering == leaving else nn.Conv2d(entering, leaving, 1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.shortcut(x_BCHW) + self.body(x_BCHW)
        return out


def _units(entering: int, leaving: int, count: int, config: UNetConfig) -> nn.Sequential:
    widths = [entering] + [leaving] * count
    return nn.Sequential(*(_ResidualUnit(a, b, config) for a, b in pairwise(widths)))


def _norm(channels: int, config: UNetConfig) -> nn.Module:
    # instance normalisation is group normalisation of one channel a group, and stands 1 x 1 images
    return nn.GroupNorm(config.norm_num_groups if config.norm == "group" else channels, channels)


def _up(deep: int, wide: int, config: UNetConfig) -> nn.Module:
    if config.up == "transposed":
        return nn.ConvTranspose2d(deep, wide, 2, stride=2)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(deep, wide, 3, padding=1))
