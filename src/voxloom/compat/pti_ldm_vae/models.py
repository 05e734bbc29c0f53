"""The older networks: MONAI's, built by our configurations, with MONAI's names in their state dicts.

Shapes: B batch, C channels, H, W of the image; c latent channels, h, w of the latent; N tokens of
size D.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Self

import torch
from torch import Tensor, nn

from voxloom.errors import UnknownNameError
from voxloom.models import AutoencoderConfig, DenoiserConfig
from voxloom.models.conditioning import CrossAttention
from voxloom.training.terms import kl_divergence

__all__ = ["DiffusionUNet", "VAEModel", "compute_kl_loss", "create_condition_projector"]

logger = logging.getLogger(__name__)


class _MonaiNames(nn.Module):
    """A module whose state dict is that of the network inside it, alone or as part of another module."""

    inner: str
    """Where the network inside is, from here."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the parameters under MONAI's names."""
        return self.get_submodule(self.inner).state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in [name for name in state_dict if name.startswith(prefix)]:
            state_dict[f"{prefix}{self.inner}.{name.removeprefix(prefix)}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from a block of an older configuration file; keys that mean nothing are left out.

        Raises
        ------
        UnknownNameError
            A KeyError; when a key without a default is missing.
        """
        settings = signature(cls).parameters
        for name, setting in settings.items():
            if setting.default is setting.empty and name not in config:
                raise UnknownNameError(
                    f"no key {name!r} in {sorted(config)}: {cls.__name__} has no default for it."
                )
        if unused := [key for key in config if key not in settings and not key.startswith("_")]:
            logger.warning("%s has no use for the keys %s", cls.__name__, ", ".join(unused))
        return cls(**{name: config[name] for name in settings if name in config})


class VAEModel(_MonaiNames):
    """The autoencoder, as older scripts build and call it.

    Arguments are those of `AutoencoderConfig`, under the same names. Noise comes from torch's
    global generator, as in the scripts around it: ``torch.manual_seed`` repeats a run.

    Examples
    --------
    >>> vae = VAEModel(2, 1, 1, latent_channels=4, channels=[8, 16], num_res_blocks=1, norm_num_groups=4)
    >>> reconstruction, z_mu, z_sigma = vae(torch.zeros(2, 1, 16, 16))
    >>> tuple(reconstruction.shape), tuple(z_mu.shape), bool((z_sigma > 0).all())
    ((2, 1, 16, 16), (2, 4, 8, 8), True)
    """

    inner = "network.net"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        latent_channels: int,
        channels: Sequence[int],
        num_res_blocks: int | Sequence[int] = 2,
        norm_num_groups: int = 32,
        norm_eps: float = 1e-6,
        attention_levels: Sequence[bool] | None = None,
        with_encoder_nonlocal_attn: bool = True,
        with_decoder_nonlocal_attn: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in AutoencoderConfig.model_fields}
        super().__init__()
        self.network = AutoencoderConfig.model_validate(settings).build()

    @property
    def autoencoder(self) -> nn.Module:
        """MONAI's AutoencoderKL."""
        net: nn.Module = self.network.net
        return net

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction from a drawn latent, and the latent's mean and standard deviation."""
        mu, sigma = self._posterior(x_BCHW)
        return self.network.decode(_drawn(mu, sigma)), mu, sigma

    def encode_stage_2_inputs(self, x_BCHW: Tensor) -> Tensor:
        """Return a drawn latent (B, c, h, w)."""
        return _drawn(*self._posterior(x_BCHW))

    def encode_deterministic(self, x_BCHW: Tensor) -> Tensor:
        """Return the latent's mean (B, c, h, w)."""
        return self.network.encode(x_BCHW)[0]

    def decode_stage_2_outputs(self, z_Bchw: Tensor) -> Tensor:
        """Return the image of a latent."""
        return self.network.decode(z_Bchw)

    def _posterior(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.network.encode(x_BCHW)
        return mu, torch.exp(logvar / 2)


def _drawn(mu: Tensor, sigma: Tensor) -> Tensor:
    return mu + sigma * torch.randn_like(sigma)


class DiffusionUNet(_MonaiNames):
    """The noise predictor, as older scripts build and call it: the condition comes as tokens.

    Arguments are those of MONAI's DiffusionModelUNet, under the same names.

    Examples
    --------
    >>> unet = DiffusionUNet(2, 4, 4, [8, 16], [False, True], [0, 8], 1, True, 12, norm_num_groups=4)
    >>> tokens = create_condition_projector(4, 12)(torch.zeros(1, 64, 4))
    >>> tuple(unet(torch.zeros(1, 4, 8, 8), timesteps=torch.tensor([999]), context=tokens).shape)
    (1, 4, 8, 8)
    """

    inner = "unet"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        attention_levels: Sequence[bool],
        num_head_channels: int | Sequence[int],
        num_res_blocks: int | Sequence[int] = 2,
        with_conditioning: bool = True,
        cross_attention_dim: int = 512,
        norm_num_groups: int = 32,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in DenoiserConfig.model_fields}
        super().__init__()
        self.unet = DenoiserConfig.model_validate(settings).build().net

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the predicted noise (B, c, h, w).

        Parameters
        ----------
        x
            Noisy latent (B, c, h, w).
        timesteps
            One a sample, in [0, 1000).
        context
            Tokens of the condition (B, N, D), row by row; None without conditioning.
        """
        noise: Tensor = self.unet(x, timesteps, context)
        return noise


def create_condition_projector(condition_input_dim: int, cross_attention_dim: int) -> nn.Linear:
    """Return the linear map from a condition latent's channels to the size of a token."""
    return CrossAttention(condition_input_dim, cross_attention_dim).projection


def compute_kl_loss(z_mu: Tensor, z_sigma: Tensor) -> Tensor:
    """Return the KL divergence to the unit Gaussian, summed over the latent, averaged over the batch.

    Parameters
    ----------
    z_mu, z_sigma
        Mean and standard deviation (B, c, h, w).

    Examples
    --------
    >>> compute_kl_loss(torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)).item()
    0.0
    """
    return kl_divergence(z_mu, 2 * torch.log(z_sigma.float()))
