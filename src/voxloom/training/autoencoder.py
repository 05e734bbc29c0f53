"""The VAE objective: reconstruction, KL, perceptual terms, and a patch discriminator after a warm-up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from numpy.typing import NDArray
from pydantic import Field as Setting
from torch import Tensor, nn

from voxloom.component import Component
from voxloom.loading import Batch
from voxloom.metrics import LEAST_SIDE, mae, ms_ssim, psnr, ssim
from voxloom.models import (
    Autoencoder,
    AutoencoderConfig,
    DiscriminatorConfig,
    PerceptualConfig,
    build_model,
    settings_of,
)
from voxloom.training.objective import Clock, Memory, Objective, Phase, PreviewRow, noise_for, weighted_sum
from voxloom.training.terms import (
    Adversarial,
    discriminator_loss,
    feature_matching_loss,
    focal_frequency_loss,
    generator_loss,
    gradient_loss,
    kl_divergence,
    pixel_loss,
)

__all__ = ["AutoencoderLoss", "AutoencoderObjective", "frozen"]

Weight = Annotated[float, Setting(ge=0)]


class AutoencoderLoss(Component):
    """Weights of the VAE's loss terms; one of weight 0 is not computed, but for the KL, to watch it."""

    recon_loss: Literal["l1", "l2"] = "l1"
    """Pixel loss between image and reconstruction: mean absolute or mean squared difference."""
    kl_weight: Weight = 1e-6
    """Weight of the KL divergence, which is summed over the latent and averaged over the batch."""
    perceptual_weight: Weight = 1.0
    """Factor on the perceptual terms: LPIPS where a weights file is given, else the three below."""
    perceptual_weights_file: Path | None = None
    """State dict of the perceptual backbone; without it the perceptual terms need no weights."""
    perceptual_backbone: Literal["squeezenet1_1", "vgg16"] = "squeezenet1_1"
    """Network that these weights belong to."""
    perceptual_linear_file: Path | None = None
    """LPIPS weights of the backbone's layers; without it every layer counts alike."""
    ms_ssim_weight: Weight = 0.2
    """Weight of 1 - MS-SSIM within the perceptual terms that need no weights."""
    gradient_weight: Weight = 0.5
    """Weight of the difference of image gradients within those terms."""
    focal_frequency_weight: Weight = 0.1
    """Weight of the focal frequency loss within those terms."""
    adv_weight: Weight = 0.5
    """Weight of the adversarial term; 0 trains without a discriminator."""
    adv_from_epoch: Annotated[int, Setting(ge=0)] = 5
    """Epochs of warm-up before the discriminator and the adversarial term begin."""
    adv_loss: Adversarial = "least_squares"
    """Loss on the discriminator's plain logits."""
    feature_matching_weight: Weight = 1.0
    """Weight of the distance of the discriminator's inner features, with the adversarial term."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without reaching its parameters."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


class _Generator(Phase):
    name = "generator"

    def __init__(self, objective: AutoencoderObjective) -> None:
        super().__init__()
        self.autoencoder = objective.models["autoencoder"]
        self._objective = [objective]  # in a list, so that its other networks are not ours to train

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        (objective,) = self._objective
        image = batch["image"]
        noise = noise_for(
            batch,
            objective.autoencoder.config.latent_shape(*image.shape[2:]),
            clock.seed,
            "posterior",
            like=image,
        )
        reconstruction, mu, logvar = self.autoencoder(image, noise)
        memory["real"], memory["fake"] = image, reconstruction.detach()
        terms = objective.image_terms(reconstruction, image)
        terms["kl"] = kl_divergence(mu, logvar)
        if objective.is_adversarial(clock):
            terms |= objective.adversarial_terms(reconstruction, image)
        report = {name: value.detach() for name, value in terms.items()}
        report["kl_per_element"] = report["kl"] / mu[0].numel()
        return weighted_sum(terms, objective.weights), report


class _Discriminator(Phase):
    name = "discriminator"

    def __init__(self, objective: AutoencoderObjective) -> None:
        super().__init__()
        self.discriminator = objective.models["discriminator"]
        self._objective = [objective]

    def is_active(self, clock: Clock) -> bool:
        return self._objective[0].is_adversarial(clock)

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        real, fake = memory["real"], memory["fake"]
        logits = self.discriminator(torch.cat([real, fake.to(real.dtype)]))[-1]
        real_logits, fake_logits = logits.chunk(2)
        loss = discriminator_loss(self._objective[0].settings.adv_loss, real_logits, fake_logits)
        report = {"discriminator": loss, "logits_real": real_logits.mean(), "logits_fake": fake_logits.mean()}
        return loss, {name: value.detach() for name, value in report.items()}


class AutoencoderObjective(Objective):
    """Train a KL-VAE on the field ``image`` of shape (B, C, H, W), or (B, C, D, H, W) for a 3D network.

    Kingma and Welling 2014 for the model, Esser et al. 2021 and Rombach et al. 2022 for the
    perceptual and patch-adversarial terms around it.

    Parameters
    ----------
    autoencoder, discriminator
        The networks.
    settings
        The loss.
    data_range
        Width of the intensity range of the prepared images, for MS-SSIM, PSNR and SSIM.
    seed
        Of the initial weights.
    """

    main = "autoencoder"

    def __init__(
        self,
        autoencoder: AutoencoderConfig,
        discriminator: DiscriminatorConfig,
        settings: AutoencoderLoss,
        *,
        data_range: float,
        seed: int,
    ) -> None:
        self.settings = settings
        self.data_range = data_range
        self.autoencoder = cast(Autoencoder, build_model(autoencoder, seed=seed))
        self.models = {"autoencoder": self.autoencoder}
        self.configs = {"autoencoder": settings_of(autoencoder)}
        self._perceptual = _perceptual(settings)
        self.weights = _weights(settings)
        self.phases = [_Generator(self)]
        if settings.adv_weight > 0:
            self.models["discriminator"] = build_model(discriminator, seed=seed)
            self.configs["discriminator"] = settings_of(discriminator)
            self.phases.append(_Discriminator(self))

    def is_adversarial(self, clock: Clock) -> bool:
        """Whether the warm-up is over."""
        return self.settings.adv_weight > 0 and clock.epoch >= self.settings.adv_from_epoch

    def image_terms(self, reconstruction: Tensor, image: Tensor) -> dict[str, Tensor]:
        """Return the terms between image and reconstruction whose weight is not 0."""
        terms = {"reconstruction": pixel_loss(self.settings.recon_loss, reconstruction, image)}
        if self._perceptual is not None:
            # Its weights are nobody's to train or to save, so it follows the images by itself.
            distance = self._perceptual.to(image.device)
            with torch.autocast(image.device.type, enabled=False):
                terms["perceptual"] = distance(reconstruction.float(), image.float()).mean()
        if self.weights.get("ms_ssim"):
            pair = _wide_enough(reconstruction.float()), _wide_enough(image.float())
            terms["ms_ssim"] = 1 - ms_ssim(*pair, data_range=self.data_range).mean()
        if self.weights.get("gradient"):
            terms["gradient"] = gradient_loss(reconstruction, image)
        if self.weights.get("focal_frequency"):
            terms["focal_frequency"] = focal_frequency_loss(reconstruction, image)
        return terms

    def adversarial_terms(self, reconstruction: Tensor, image: Tensor) -> dict[str, Tensor]:
        """Return what the frozen discriminator says of the reconstruction."""
        discriminator = self.models["discriminator"]
        with frozen(discriminator):
            fake = discriminator(reconstruction)
            terms = {"adversarial": generator_loss(self.settings.adv_loss, fake[-1])}
            if self.settings.feature_matching_weight:
                with torch.no_grad():
                    real = discriminator(image)
                terms["feature_matching"] = feature_matching_loss(fake, real)
        return terms

    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - the mean has no noise
        """Return loss, PSNR, SSIM and MAE of the reconstruction from the posterior's mean.

        The loss leaves the adversarial terms out, since they move with the discriminator.
        """
        image = batch["image"]
        mu, logvar = self.autoencoder.encode(image)
        reconstruction = self.autoencoder.decode(mu).float()
        terms = self.image_terms(reconstruction, image)
        terms["kl"] = kl_divergence(mu, logvar)
        terms["kl_per_element"] = terms["kl"] / mu[0].numel()
        terms["loss"] = weighted_sum(
            {name: terms[name] for name in self.weights if name in terms}, self.weights
        )
        # Each term is a mean over the batch, so that every sample may carry it.
        values = {name: value.expand(len(image)) for name, value in terms.items()}
        return values | {
            "psnr": psnr(reconstruction, image, data_range=self.data_range),
            "ssim": ssim(_wide_enough(reconstruction), _wide_enough(image), data_range=self.data_range),
            "mae": mae(reconstruction, image),
        }

    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:  # noqa: ARG002
        """Return original | reconstruction for each sample: of a 3D one the middle plane."""
        image = batch["image"]
        mu, _ = self.autoencoder.encode(image)
        reconstruction = self.autoencoder.decode(mu).float()
        return [
            [("original", _plane(original)), ("reconstruction", _plane(copy))]
            for original, copy in zip(image.float().cpu().numpy(), reconstruction.cpu().numpy(), strict=True)
        ]

    def facts(self) -> dict[str, Any]:
        """Name the perceptual terms that were used."""
        used = "lpips" if self._perceptual is not None else "structure"
        return {
            "perceptual": used if self.settings.perceptual_weight else "none",
            "data_range": self.data_range,
        }


def _wide_enough(image: Tensor) -> Tensor:
    """Return an image as its structural similarity is taken: a 3D one too thin for a cube plane by plane."""
    if image.ndim == 4 or image.shape[2] >= LEAST_SIDE:
        return image
    return image.flatten(1, 2)


def _plane(image: NDArray[Any]) -> NDArray[Any]:
    """Return the first channel, of a 3D image (C, D, H, W) its middle plane."""
    first: NDArray[Any] = image[0]
    return first if first.ndim == 2 else first[len(first) // 2]


def _perceptual(settings: AutoencoderLoss) -> nn.Module | None:
    if settings.perceptual_weights_file is None or settings.perceptual_weight == 0:
        return None
    config = PerceptualConfig(
        weights=settings.perceptual_weights_file,
        backbone=settings.perceptual_backbone,
        linear=settings.perceptual_linear_file,
    )
    with torch.random.fork_rng(devices=[]):  # what is drawn before the weights are read stays inside
        return config.build()


def _weights(settings: AutoencoderLoss) -> dict[str, float]:
    structure = settings.perceptual_weight if settings.perceptual_weights_file is None else 0.0
    return {
        "reconstruction": 1.0,
        "kl": settings.kl_weight,
        "perceptual": settings.perceptual_weight,
        "ms_ssim": structure * settings.ms_ssim_weight,
        "gradient": structure * settings.gradient_weight,
        "focal_frequency": structure * settings.focal_frequency_weight,
        "adversarial": settings.adv_weight,
        "feature_matching": settings.feature_matching_weight * settings.adv_weight,
    }
