"""The variational autoencoder of latent diffusion: MONAI's AutoencoderKL behind our configuration.

Shapes: B batch, C channels, H, W of the image; c latent channels, h, w of the latent (H and W over
`downsampling`). In 3D the axis z comes before them: (B, C, D, H, W), (B, c, d, h, w).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn
from torch.utils.checkpoint import checkpoint

from voxloom.errors import SchemaError
from voxloom.models.model import ModelConfig, check_divisible, check_groups, per_level

__all__ = ["Autoencoder", "AutoencoderConfig"]


class AutoencoderConfig(ModelConfig):
    """Settings of `Autoencoder`; names and parameter names are those of MONAI's AutoencoderKL.

    Examples
    --------
    >>> AutoencoderConfig(channels=(64, 128, 256)).downsampling
    4
    """

    spatial_dims: Literal[2, 3] = 2
    """Number of spatial axes: 2 for (y, x), 3 for (z, y, x)."""
    in_channels: int = Field(default=1, ge=1)
    """Channels of the image that is encoded."""
    out_channels: int = Field(default=1, ge=1)
    """Channels of the image that is decoded."""
    latent_channels: int = Field(default=4, ge=1)
    """Channels of the latent."""
    channels: tuple[PositiveInt, ...] = Field(default=(64, 128, 256), min_length=1)
    """Channels of each level, from the image down; each level after the first halves every spatial axis."""
    num_res_blocks: PositiveInt | tuple[PositiveInt, ...] = 2
    """Residual blocks of each level, or one number for all."""
    norm_num_groups: int = Field(default=32, ge=1)
    """Groups of each normalisation; divides every channel count."""
    norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the variance in each normalisation."""
    attention_levels: tuple[bool, ...] | None = None
    """Which levels have self-attention; None: no level."""
    with_encoder_nonlocal_attn: bool = True
    """Whether the encoder has self-attention at the bottom."""
    with_decoder_nonlocal_attn: bool = True
    """Whether the decoder has self-attention at the bottom."""
    use_flash_attention: bool = True
    """Compute attention by torch's fused kernels: less memory, same parameters."""
    use_checkpoint: bool = False
    """Compute activations twice instead of keeping them: less memory, slower training."""

    @model_validator(mode="after")
    def _check(self) -> AutoencoderConfig:
        check_groups(self.channels, self.norm_num_groups)
        per_level(self.num_res_blocks, self.channels, "num_res_blocks")
        per_level(self.attention_levels or False, self.channels, "attention_levels")
        return self

    @property
    def downsampling(self) -> int:
        """How many pixels of the image, along each axis, one of the latent stands for."""
        return int(2 ** (len(self.channels) - 1))

    def latent_shape(self, *size: int) -> tuple[int, ...]:
        """Return (channels, height, width) of the latent of an image of this size; in 3D with the depth.

        Examples
        --------
        >>> AutoencoderConfig(channels=(64, 128)).latent_shape(32, 64)
        (4, 16, 32)
        """
        return self.latent_channels, *(n // self.downsampling for n in size)

    def build(self) -> Autoencoder:
        """Build the network, freshly initialised."""
        return Autoencoder(self)


class Autoencoder(nn.Module):
    """Image -> Gaussian over latents -> image (Kingma & Welling 2014; Rombach et al. 2022).

    Latents and their statistics are float32, also under autocast: the KL term and the latents'
    normalisation need it.

    Parameters
    ----------
    config
        Its settings.

    Attributes
    ----------
    net
        MONAI's AutoencoderKL, with MONAI's parameter names.

    Examples
    --------
    >>> vae = AutoencoderConfig(channels=(8, 16), num_res_blocks=1, norm_num_groups=4).build()
    >>> mu, logvar = vae.encode(torch.zeros(2, 1, 16, 16))
    >>> tuple(mu.shape), tuple(vae.decode(mu).shape)
    ((2, 4, 8, 8), (2, 1, 16, 16))
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        from monai.networks.nets import AutoencoderKL  # costs seconds

        self.config = config
        settings = config.model_dump()
        settings["num_res_blocks"] = per_level(config.num_res_blocks, config.channels, "num_res_blocks")
        settings["attention_levels"] = config.attention_levels or (False,) * len(config.channels)
        self.net = AutoencoderKL(**settings)

    def check_size(self, *size: int) -> None:
        """Check that an image of this size, (height, width) or (depth, height, width), comes back in it.

        Raises
        ------
        SchemaError
            When it has another number of axes, or one of them is no multiple of `config.downsampling`.
        """
        what = f"an autoencoder of {len(self.config.channels)} levels"
        if len(size) != self.config.spatial_dims:
            raise SchemaError(
                f"{what} and {self.config.spatial_dims} spatial axes got an image of "
                f"{' x '.join(map(str, size))}: expected {self.config.spatial_dims} axes. Set spatial_dims, "
                "or take other patches."
            )
        check_divisible(size, self.config.downsampling, what)

    def encode(self, x_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance of the latent, float32 (B, c, h, w).

        The log-variance is clamped to [-30, 20].

        Raises
        ------
        SchemaError
            When the image's size does not fit.
        """
        self.check_size(*x_BCHW.shape[2:])
        if self.config.use_checkpoint and torch.is_grad_enabled():
            hidden = checkpoint(self.net.encoder, x_BCHW, use_reentrant=False)
        else:
            hidden = self.net.encoder(x_BCHW)
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            mu_Bchw = self.net.quant_conv_mu(hidden)
            logvar_Bchw = self.net.quant_conv_log_sigma(hidden).clamp(-30.0, 20.0)
        return mu_Bchw, logvar_Bchw

    def decode(self, z_Bchw: torch.Tensor) -> torch.Tensor:
        """Return the image of a latent, float32 (B, C, H, W), in the units the images were encoded in."""
        image: torch.Tensor = self.net.decode(z_Bchw)
        return image.float()

    def forward(
        self, x_BCHW: torch.Tensor, noise_Bchw: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Encode, draw a latent with the given noise, decode.

        Parameters
        ----------
        x_BCHW
            Images.
        noise_Bchw
            Standard Gaussian noise of the latent's shape; zeros give the mean's reconstruction.

        Returns
        -------
        tuple of torch.Tensor
            Reconstruction (B, C, H, W), and mean and log-variance (B, c, h, w).
        """
        mu, logvar = self.encode(x_BCHW)
        return self.decode(mu + torch.exp(logvar / 2) * noise_Bchw), mu, logvar
