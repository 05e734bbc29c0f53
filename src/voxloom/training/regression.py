"""The regression objective: one network, one step, the mean of what the target may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field as Setting
from torch import Tensor

from voxloom.component import Component
from voxloom.loading import Batch
from voxloom.metrics import mae, ms_ssim, psnr, ssim
from voxloom.models import UNetConfig, build_model, settings_of
from voxloom.training.objective import Clock, Memory, Objective, Phase, PreviewRow, weighted_sum
from voxloom.training.terms import pixel_loss

__all__ = ["RegressionLoss", "RegressionObjective"]


class RegressionLoss(Component):
    """Weights of the direct translator's loss terms."""

    recon_loss: Literal["l1", "l2"] = "l1"
    """Pixel loss between prediction and target."""
    ms_ssim_weight: Annotated[float, Setting(ge=0)] = 0.0
    """Weight of 1 - MS-SSIM; 0 leaves it out."""


class _Regression(Phase):
    name = "translator"

    def __init__(self, objective: RegressionObjective) -> None:
        super().__init__()
        self.translator = objective.models["translator"]
        self._objective = [objective]

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        (objective,) = self._objective
        terms = objective.image_terms(self.translator(batch["condition"]), batch["target"])
        return weighted_sum(terms, objective.weights), {name: v.detach() for name, v in terms.items()}


class RegressionObjective(Objective):
    """Train a network to map ``condition`` to ``target``, both (B, C, H, W), by a pixel loss.

    Parameters
    ----------
    translator
        The network.
    settings
        The loss.
    data_range
        Width of the intensity range of the prepared targets.
    seed
        Of the initial weights.
    """

    main = "translator"

    def __init__(
        self, translator: UNetConfig, settings: RegressionLoss, *, data_range: float, seed: int
    ) -> None:
        self.settings = settings
        self.data_range = data_range
        self.weights = {"reconstruction": 1.0, "ms_ssim": settings.ms_ssim_weight}
        self.models = {"translator": build_model(translator, seed=seed)}
        self.configs = {"translator": settings_of(translator)}
        self.phases = [_Regression(self)]

    def image_terms(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the terms between prediction and target whose weight is not 0."""
        terms = {"reconstruction": pixel_loss(self.settings.recon_loss, prediction, target)}
        if self.settings.ms_ssim_weight:
            similarity = ms_ssim(prediction.float(), target.float(), data_range=self.data_range)
            terms["ms_ssim"] = 1 - similarity.mean()
        return terms

    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is drawn
        """Return loss, PSNR, SSIM and MAE of each sample."""
        target = batch["target"]
        prediction = self.models["translator"](batch["condition"]).float()
        terms = self.image_terms(prediction, target)
        loss = weighted_sum(terms, self.weights)
        return {
            "loss": loss.expand(len(batch)),
            "psnr": psnr(prediction, target, data_range=self.data_range),
            "ssim": ssim(prediction, target, data_range=self.data_range),
            "mae": mae(prediction, target),
        }

    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:  # noqa: ARG002
        """Return condition | target | prediction for each sample."""
        images = {
            "condition": batch["condition"],
            "target": batch["target"],
            "prediction": self.models["translator"](batch["condition"]),
        }
        shown = {name: image.detach().to(torch.float32).cpu().numpy() for name, image in images.items()}
        return [[(name, image[i, 0]) for name, image in shown.items()] for i in range(len(batch))]

    def facts(self) -> dict[str, Any]:
        """Return the range that PSNR and SSIM refer to."""
        return {"data_range": self.data_range}
