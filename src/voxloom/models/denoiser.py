"""The network of latent diffusion and flow: MONAI's DiffusionModelUNet and a conditioner.

Shapes: B batch, c latent channels, k condition channels, h, w of the latent.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import nn

from voxloom.errors import ConfigError
from voxloom.models.conditioning import Concatenation, CrossAttention, Unconditional
from voxloom.models.model import ModelConfig, check_divisible, check_groups, per_level

__all__ = ["Denoiser", "DenoiserConfig"]


class DenoiserConfig(ModelConfig):
    """Settings of `Denoiser`; names and parameter names are those of MONAI's DiffusionModelUNet.

    Examples
    --------
    >>> DenoiserConfig().conditioning
    'concat'
    >>> DenoiserConfig.model_validate({"with_conditioning": True}).conditioning  # an older file
    'cross_attention'
    """

    spatial_dims: Literal[2] = 2
    """Number of spatial axes."""
    in_channels: int = Field(default=4, ge=1)
    """Channels of the noisy latent, without those of the condition."""
    out_channels: int = Field(default=4, ge=1)
    """Channels of the prediction."""
    channels: tuple[PositiveInt, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Channels of each level, from the latent down; each level after the first halves height and width."""
    num_res_blocks: PositiveInt | tuple[PositiveInt, ...] = 2
    """Residual blocks of each level, or one number for all."""
    attention_levels: tuple[bool, ...] | None = None
    """Which levels have attention; None: all but the first. The bottom always has it."""
    num_head_channels: PositiveInt | tuple[NonNegativeInt, ...] = 32
    """Channels of each attention head by level, or one number for all; of no account without attention."""
    norm_num_groups: int = Field(default=32, ge=1)
    """Groups of each normalisation; divides every channel count."""
    norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the variance in each normalisation."""
    conditioning: Literal["concat", "cross_attention", "none"] = "concat"
    """How the condition's latent comes in: as further channels, as tokens to attend to, or not at all."""
    condition_channels: int = Field(default=4, ge=1)
    """Channels of the condition's latent; of no account without a condition."""
    cross_attention_dim: int = Field(default=512, ge=4, multiple_of=4)
    """Size of each token, for "cross_attention"."""
    condition_positions: bool = True
    """Whether tokens know their place; False only to read checkpoints of older systems."""
    with_conditioning: bool | None = None
    """What older files say in place of `conditioning`: true for "cross_attention", false for "none"."""
    use_flash_attention: bool = True
    """Compute attention by torch's fused kernels: less memory, same parameters."""

    @model_validator(mode="before")
    @classmethod
    def _older(cls, settings: Any) -> Any:
        if not isinstance(settings, dict) or settings.get("with_conditioning") is None:
            return settings
        meant = "cross_attention" if settings["with_conditioning"] else "none"
        return {"conditioning": meant, **settings}

    @model_validator(mode="after")
    def _check(self) -> DenoiserConfig:
        check_groups(self.channels, self.norm_num_groups)
        per_level(self.num_res_blocks, self.channels, "num_res_blocks")
        if self.with_conditioning not in (None, self.conditioning != "none"):
            raise ConfigError(
                f"with_conditioning {self.with_conditioning} against conditioning {self.conditioning!r}: "
                "expected them to agree. Leave with_conditioning out."
            )
        heads = per_level(self.num_head_channels, self.channels, "num_head_channels")
        attended = [*self.attention[:-1], True]  # the bottom always attends
        for channels, head, attends in zip(self.channels, heads, attended, strict=True):
            if attends and (head < 1 or channels % head):
                raise ConfigError(
                    f"num_head_channels {head} at a level of {channels} channels: expected a divisor of it. "
                    "Change num_head_channels, or the channels of that level."
                )
        return self

    @property
    def attention(self) -> tuple[bool, ...]:
        """Which levels have attention."""
        if self.attention_levels is None:
            return (False,) + (True,) * (len(self.channels) - 1)
        return tuple(map(bool, per_level(self.attention_levels, self.channels, "attention_levels")))

    @property
    def downsampling(self) -> int:
        """What height and width of the latent must be multiples of."""
        return int(2 ** (len(self.channels) - 1))

    def build(self) -> Denoiser:
        """Build the network, freshly initialised: its output is exactly zero until it is trained."""
        return Denoiser(self)


class Denoiser(nn.Module):
    """(z_t, t, condition) -> prediction (Ho et al. 2020; Rombach et al. 2022).

    Parameters
    ----------
    config
        Its settings.

    Attributes
    ----------
    net
        MONAI's DiffusionModelUNet, with MONAI's parameter names.
    conditioner
        Brings the condition in.

    Examples
    --------
    >>> config = DenoiserConfig(channels=(8, 16), num_head_channels=8, norm_num_groups=4, num_res_blocks=1)
    >>> z, condition = torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    >>> tuple(config.build()(z, torch.tensor([10.0, 999.0]), condition).shape)
    (2, 4, 8, 8)
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        from monai.networks.nets import DiffusionModelUNet  # costs seconds

        self.config = config
        attends_to_tokens = config.conditioning == "cross_attention"
        self.net = DiffusionModelUNet(
            spatial_dims=config.spatial_dims,
            in_channels=config.in_channels
            + (config.condition_channels if config.conditioning == "concat" else 0),
            out_channels=config.out_channels,
            num_res_blocks=per_level(config.num_res_blocks, config.channels, "num_res_blocks"),
            channels=config.channels,
            attention_levels=config.attention,
            norm_num_groups=config.norm_num_groups,
            norm_eps=config.norm_eps,
            num_head_channels=config.num_head_channels,
            with_conditioning=attends_to_tokens,
            cross_attention_dim=config.cross_attention_dim if attends_to_tokens else None,
            use_flash_attention=config.use_flash_attention,
        )
        self.conditioner = _conditioner(config)

    def check_size(self, height: int, width: int) -> None:
        """Check that a latent of this size comes back in the same size.

        Raises
        ------
        SchemaError
            When height or width is no multiple of `config.downsampling`.
        """
        levels = len(self.config.channels)
        check_divisible((height, width), self.config.downsampling, f"a denoiser of {levels} levels")

    def forward(
        self, z_Bchw: torch.Tensor, t_B: torch.Tensor, condition_Bkhw: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the prediction, float32 (B, c, h, w), also under autocast.

        Parameters
        ----------
        z_Bchw
            Noisy latent.
        t_B
            What a process's `model_time` gives, roughly in [0, 1000], not necessarily whole.
        condition_Bkhw
            The condition's latent; None for conditioning "none".

        Raises
        ------
        SchemaError
            When a size or the number of the condition's channels does not fit.
        """
        self.check_size(z_Bchw.shape[-2], z_Bchw.shape[-1])
        entering, context = self.conditioner(z_Bchw, condition_Bkhw)
        prediction: torch.Tensor = self.net(entering, t_B, context)
        return prediction.float()


def _conditioner(config: DenoiserConfig) -> nn.Module:
    if config.conditioning == "concat":
        return Concatenation(config.condition_channels)
    if config.conditioning == "cross_attention":
        return CrossAttention(
            config.condition_channels, config.cross_attention_dim, positions=config.condition_positions
        )
    return Unconditional()
