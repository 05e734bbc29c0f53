"""The segmenter: MONAI's residual U-Net in 2D or 3D, with a head of one logit a class.

Shapes: B batch, C channels, then the spatial axes, (y, x) or (z, y, x), together written S.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn

from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.models.model import ModelConfig, check_groups

__all__ = ["Segmenter", "SegmenterConfig", "SegmenterDef", "check_size"]

_AXES = "zyx"


class SegmenterDef(Component):
    """What one chooses of a `Segmenter`; its axes, channels and logits follow from the data."""

    channels: tuple[PositiveInt, ...] = Field(default=(32, 64, 128, 256), min_length=2)
    """Channels of each level, from the image down."""
    strides: tuple[PositiveInt | tuple[PositiveInt, ...], ...] | None = None
    """By how much each level after the first is coarser: one number, or one an axis, for instance
    [1, 2, 2] where voxels are longer along z. None: 2 along each."""
    num_res_units: Annotated[int, Field(ge=1)] = 2
    """Convolutions of each residual unit on the way down."""
    norm: Literal["instance", "group", "batch"] = "instance"
    """Normalise each channel by itself, groups of channels, or over the batch."""
    norm_num_groups: int = Field(default=8, ge=1)
    """Groups for norm "group"; divides every channel count."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of activations that are dropped in training."""

    def config(self, *, spatial_dims: int, in_channels: int, out_channels: int) -> SegmenterConfig:
        """Return the settings of the network for data of such axes, channels and classes.

        Raises
        ------
        pydantic.ValidationError
            When they do not go together.
        """
        data = {"spatial_dims": spatial_dims, "in_channels": in_channels, "out_channels": out_channels}
        return SegmenterConfig.model_validate({**self.model_dump(), **data})


class SegmenterConfig(SegmenterDef, ModelConfig):
    """Settings of `Segmenter`.

    Examples
    --------
    >>> SegmenterConfig(channels=(16, 32, 64)).divisors
    (4, 4, 4)
    >>> SegmenterConfig(channels=(16, 32, 64), strides=((1, 2, 2), 2)).divisors
    (2, 4, 4)
    """

    spatial_dims: Literal[2, 3] = 3
    """Number of spatial axes."""
    in_channels: int = Field(default=1, ge=1)
    """Channels of the input, those of all images together."""
    out_channels: int = Field(default=1, ge=1)
    """Logits a voxel."""

    @model_validator(mode="after")
    def _check(self) -> SegmenterConfig:
        if self.norm == "group":
            check_groups(self.channels, self.norm_num_groups)
        given, steps = self.strides or (), len(self.channels) - 1
        if self.strides is not None and len(given) != steps:
            raise ValueError(
                f"{len(given)} strides for {len(self.channels)} levels of channels: expected {steps}"
            )
        if any(isinstance(stride, tuple) and len(stride) != self.spatial_dims for stride in given):
            raise ValueError(
                f"strides {list(given)}: expected {self.spatial_dims} numbers a level, one an axis, or one "
                "for all"
            )
        return self

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The stride of each level after the first along each axis."""
        given = self.strides or (2,) * (len(self.channels) - 1)
        return tuple(
            stride if isinstance(stride, tuple) else (stride,) * self.spatial_dims for stride in given
        )

    @property
    def divisors(self) -> tuple[int, ...]:
        """What the length of each axis must be a multiple of."""
        return tuple(math.prod(along) for along in zip(*self.steps, strict=True))

    def build(self) -> Segmenter:
        """Build the network, freshly initialised."""
        return Segmenter(self)


class Segmenter(nn.Module):
    """Image -> one logit a class and voxel (Ronneberger et al. 2015; Cicek et al. 2016).

    MONAI's U-Net ends in as many channels as it began with, and a convolution of one voxel makes
    logits of these: MONAI alone would squeeze the last level into the number of classes and normalise
    it, so that a patch without a class could hardly say so.

    Parameters
    ----------
    config
        Its settings.

    Attributes
    ----------
    net
        MONAI's UNet, with MONAI's parameter names.
    head
        The last convolution.

    Examples
    --------
    >>> segmenter = SegmenterConfig(channels=(4, 8), num_res_units=1, out_channels=3).build()
    >>> tuple(segmenter(torch.zeros(1, 1, 8, 8, 8)).shape)
    (1, 3, 8, 8, 8)
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        from monai.networks.nets import UNet  # costs seconds

        self.config = config
        self.net = UNet(
            spatial_dims=config.spatial_dims,
            in_channels=config.in_channels,
            out_channels=config.channels[0],
            channels=config.channels,
            strides=config.steps,
            num_res_units=config.num_res_units,
            norm=_norm(config),
            dropout=config.dropout,
        )
        convolution = nn.Conv3d if config.spatial_dims == 3 else nn.Conv2d
        self.head = nn.Sequential(nn.SiLU(), convolution(config.channels[0], config.out_channels, 1))

    def check_size(self, size: Sequence[int]) -> None:
        """Check that an image of this size comes back in the same size.

        Raises
        ------
        SchemaError
            When the axes are of another number, one of them is no multiple of its divisor, or
            nothing would be left to normalise at the bottom.
        """
        check_size(self.config, size)

    def forward(self, x_BCS: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 (B, classes, S), also under autocast.

        Raises
        ------
        SchemaError
            When the size does not fit.
        """
        self.check_size(x_BCS.shape[2:])
        logits: torch.Tensor = self.head(self.net(x_BCS))
        return logits.float()


def check_size(config: SegmenterConfig, size: Sequence[int]) -> None:
    """Check that a segmenter of these settings takes images of a size, before it is built.

    Raises
    ------
    SchemaError
        When it does not.

    Examples
    --------
    >>> check_size(SegmenterConfig(channels=(8, 16, 32)), (64, 64, 64))
    >>> check_size(SegmenterConfig(channels=(8, 16, 32)), (64, 50, 64))
    Traceback (most recent call last):
    voxloom.errors.SchemaError: a segmenter of 3 levels got patches of 64 x 50 x 64 voxels (z, y, x):
    expected multiples of 4 x 4 x 4. Take patches of 64 x 52 x 64 for instance, or fewer levels or other
    strides.
    """
    levels, divisors = len(config.channels), config.divisors
    shown, axes = " x ".join(map(str, size)), ", ".join(_AXES[3 - config.spatial_dims :])
    what = f"a segmenter of {levels} levels got patches of {shown} voxels"
    if len(size) != config.spatial_dims:
        raise SchemaError(
            f"{what}: expected {config.spatial_dims} axes ({axes}), those of the patch with more than one "
            "voxel."
        )
    fitting = [max(1, -(-n // d)) * d for n, d in zip(size, divisors, strict=True)]
    if list(size) != fitting:
        raise SchemaError(
            f"{what} ({axes}): expected multiples of {' x '.join(map(str, divisors))}. Take patches of "
            f"{' x '.join(map(str, fitting))} for instance, or fewer levels or other strides."
        )
    if config.norm == "instance" and math.prod(size) == math.prod(divisors):
        raise SchemaError(
            f"{what}, which leaves one voxel at the bottom: expected several, since norm 'instance' "
            "normalises over them. Take larger patches, fewer levels, or norm 'group'."
        )


def _norm(config: SegmenterConfig) -> tuple[str, dict[str, bool | int]]:
    if config.norm == "group":
        return "group", {"num_groups": config.norm_num_groups}
    return config.norm, {"affine": True}
