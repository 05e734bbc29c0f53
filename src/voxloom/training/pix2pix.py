"""The pix2pix objective: a direct translator whose images a conditional discriminator judges."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field as Setting
from torch import Tensor

from voxloom.component import Component
from voxloom.loading import Batch
from voxloom.models import DiscriminatorConfig, UNetConfig, build_model, settings_of
from voxloom.training.autoencoder import frozen
from voxloom.training.objective import Clock, Memory, Objective, Phase, PreviewRow, weighted_sum
from voxloom.training.regression import RegressionLoss, RegressionObjective
from voxloom.training.terms import Adversarial, discriminator_loss, generator_loss

__all__ = ["Pix2PixLoss", "Pix2PixObjective"]


class Pix2PixLoss(Component):
    """Weights of the loss terms, after Isola et al. 2017: L1 weighs 100 times the adversarial term."""

    adv_weight: Annotated[float, Setting(ge=0)] = 0.01
    """Weight of the adversarial term beside the L1 term's 1; 0 trains without a discriminator."""
    adv_loss: Adversarial = "least_squares"
    """Loss on the discriminator's plain logits."""


class _Generator(Phase):
    name = "translator"

    def __init__(self, objective: Pix2PixObjective) -> None:
        super().__init__()
        self.translator = objective.models["translator"]
        self._objective = [objective]

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        (objective,) = self._objective
        condition, target = batch["condition"], batch["target"]
        prediction = self.translator(condition)
        memory["fake"] = prediction.detach()
        terms = objective.direct.image_terms(prediction, target)
        if objective.settings.adv_weight > 0:
            terms["adversarial"] = objective.adversarial_term(condition, prediction)
        loss = weighted_sum(terms, {"adversarial": objective.settings.adv_weight})
        return loss, {name: value.detach() for name, value in terms.items()}


class _Discriminator(Phase):
    name = "discriminator"

    def __init__(self, objective: Pix2PixObjective) -> None:
        super().__init__()
        self.discriminator = objective.models["discriminator"]
        self._kind = objective.settings.adv_loss

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        condition, target = batch["condition"], batch["target"]
        real = torch.cat([condition, target], dim=1)
        fake = torch.cat([condition, memory["fake"].to(target.dtype)], dim=1)
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake]))[-1].chunk(2)
        loss = discriminator_loss(self._kind, real_logits, fake_logits)
        return loss, {"discriminator": loss.detach()}


class Pix2PixObjective(Objective):
    """Train a translator against a PatchGAN that sees condition and image together.

    Isola et al. 2017, with the discriminator's steps on the same batch.

    Parameters
    ----------
    translator, discriminator
        The networks; the discriminator takes the channels of condition and target together.
    settings
        The loss.
    data_range
        Width of the intensity range of the prepared targets.
    seed
        Of the initial weights.
    """

    main = "translator"

    def __init__(
        self,
        translator: UNetConfig,
        discriminator: DiscriminatorConfig,
        settings: Pix2PixLoss,
        *,
        data_range: float,
        seed: int,
    ) -> None:
        self.settings = settings
        self.direct = RegressionObjective(translator, RegressionLoss(), data_range=data_range, seed=seed)
        both = translator.in_channels + translator.out_channels
        judge = discriminator.model_copy(update={"in_channels": both})
        self.models, self.configs = dict(self.direct.models), dict(self.direct.configs)
        self.phases = [_Generator(self)]
        if settings.adv_weight > 0:
            self.models["discriminator"] = build_model(judge, seed=seed)
            self.configs["discriminator"] = settings_of(judge)
            self.phases.append(_Discriminator(self))

    def adversarial_term(self, condition: Tensor, prediction: Tensor) -> Tensor:
        """Return what the frozen discriminator says of the translation of this condition."""
        discriminator = self.models["discriminator"]
        with frozen(discriminator):
            logits = discriminator(torch.cat([condition, prediction.to(condition.dtype)], dim=1))[-1]
        return generator_loss(self.settings.adv_loss, logits)

    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Return the direct translator's values: L1 loss, PSNR, SSIM and MAE."""
        return self.direct.validate(batch, seed)

    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:
        """Return condition | target | prediction for each sample."""
        return self.direct.preview(batch, seed)

    def facts(self) -> dict[str, object]:
        """Return the range that PSNR and SSIM refer to."""
        return self.direct.facts()
