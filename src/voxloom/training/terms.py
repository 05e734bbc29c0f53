"""Loss terms: pure functions of tensors, each named and cited.

Shapes: B batch, C channels, H and W pixels, in 3D D planes before them. Each returns a scalar, the mean
over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Adversarial",
    "discriminator_loss",
    "feature_matching_loss",
    "focal_frequency_loss",
    "generator_loss",
    "gradient_loss",
    "kl_divergence",
    "pixel_loss",
]

Adversarial = Literal["least_squares", "hinge"]

_PIXEL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss}


def pixel_loss(kind: Literal["l1", "l2"], prediction_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return the mean absolute (``l1``) or squared (``l2``) difference.

    Examples
    --------
    >>> pixel_loss("l2", torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)).item()
    9.0
    """
    return _PIXEL[kind](prediction_BCHW.float(), target_BCHW.float())


def kl_divergence(mu_BCHW: Tensor, logvar_BCHW: Tensor) -> Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, 1)), summed over each latent, averaged over the batch.

    Kingma and Welling 2014, appendix B. In fp32 from the log-variance, so that no logarithm of an
    underflowed variance is taken. Divide by C*H*W for the value per latent element, in nats.

    Examples
    --------
    >>> kl_divergence(torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)).item()
    0.0
    >>> kl_divergence(torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)).item()
    128.0
    """
    mu, logvar = mu_BCHW.float(), logvar_BCHW.float()
    mean: Tensor = 0.5 * (mu.square() + logvar.exp() - logvar - 1).flatten(1).sum(1).mean()
    return mean


def gradient_loss(prediction_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return the mean absolute difference of the finite differences along y and x, and z in 3D.

    It weighs edges, which a pixel loss blurs (Mathieu et al. 2016, equation 6, with exponent 1).

    Examples
    --------
    >>> flat, ramp = torch.zeros(1, 1, 4, 4), torch.arange(4.0).expand(1, 1, 4, 4)
    >>> gradient_loss(flat, ramp).item(), gradient_loss(flat + 5, flat).item()
    (0.5, 0.0)
    """
    error = prediction_BCHW.float() - target_BCHW.float()
    along = [error.diff(dim=axis).abs().mean() for axis in range(2, error.ndim) if error.shape[axis] > 1]
    return torch.stack(along).mean()


def focal_frequency_loss(prediction_BCHW: Tensor, target_BCHW: Tensor, alpha: float = 1.0) -> Tensor:
    """Return the squared distance of the spectra, weighted towards the frequencies that are worst.

    Jiang et al. 2021, equations 6 to 8: the orthonormal Fourier transform (2-D or 3-D), with weights
    ``|F_p - F_t|**alpha`` scaled to a maximum of 1 in each image and kept out of the gradient.

    Examples
    --------
    >>> x = torch.rand(2, 1, 16, 16)
    >>> focal_frequency_loss(x, x).item()
    0.0
    """
    error = prediction_BCHW.float() - target_BCHW.float()
    axes = tuple(range(2, error.ndim))
    distance = torch.fft.fftn(error, dim=axes, norm="ortho").abs().square()
    weight = distance.detach().pow(alpha / 2)
    weight = weight / weight.amax(dim=axes, keepdim=True).clamp_min(1e-12)
    mean: Tensor = (weight * distance).mean()
    return mean


def generator_loss(kind: Adversarial, fake_logits: Tensor) -> Tensor:
    """Return what the generator minimises on the discriminator's plain logits of its images.

    ``least_squares`` (Mao et al. 2017): squared distance to 1; ``hinge`` (Lim and Ye 2017): minus
    the mean logit.

    Examples
    --------
    >>> generator_loss("least_squares", torch.ones(1, 1, 3, 3)).item()
    0.0
    """
    logits = fake_logits.float()
    return (logits - 1).square().mean() if kind == "least_squares" else -logits.mean()


def discriminator_loss(kind: Adversarial, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return what the discriminator minimises: real towards 1, fake towards 0 (or -1 for hinge).

    Examples
    --------
    >>> discriminator_loss("hinge", torch.full((1, 1), 2.0), torch.full((1, 1), -2.0)).item()
    0.0
    """
    real, fake = real_logits.float(), fake_logits.float()
    if kind == "least_squares":
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def feature_matching_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor]) -> Tensor:
    """Return the mean L1 distance of the discriminator's inner features (Wang et al. 2018, eq. 4).

    Parameters
    ----------
    fake_features, real_features
        Outputs of the discriminator's layers, the logits last; the logits are left out.
    """
    pairs = list(zip(fake_features[:-1], real_features[:-1], strict=True))
    return torch.stack([F.l1_loss(fake.float(), real.detach().float()) for fake, real in pairs]).mean()
