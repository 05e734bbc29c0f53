"""The latent translation objective: learn to turn the latent of a condition into that of its target.

What is learned at which time is the process's matter (`DiffusionProcess`: DDPM, epsilon or v;
`FlowProcess`: rectified flow), so that both share this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from voxloom.diffusion import DiffusionProcess, FlowProcess, Generator
from voxloom.loading import Batch
from voxloom.models import Autoencoder, DenoiserConfig, LatentScale, build_model, settings_of
from voxloom.seeding import rng_for
from voxloom.training.objective import Clock, Memory, Objective, Phase, PreviewRow, noise_for

__all__ = ["LatentObjective"]

VALIDATION_TIMES = 4
"""Times at which each validation sample is judged, one in each quarter of the process."""


class _Denoising(Phase):
    name = "denoiser"

    def __init__(self, objective: LatentObjective) -> None:
        super().__init__()
        self.denoiser = objective.models["denoiser"]
        self._objective = [objective]

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        (objective,) = self._objective
        mu = batch["target_mu"]
        shape = tuple(mu.shape[1:])
        posterior = noise_for(batch, shape, clock.seed, "posterior", like=mu)
        noise = noise_for(batch, shape, clock.seed, "noise", like=mu)
        uniform = [rng_for(clock.seed, "time", batch.epoch, i).random() for i in batch.indices]
        z0 = objective.scale.normalise(mu + batch["target_sigma"] * posterior)
        errors = objective.errors(self.denoiser, z0, objective.condition(batch), noise, np.array(uniform))
        loss = errors.mean()
        return loss, {"denoising": loss.detach()}


class LatentObjective(Objective):
    """Train a conditional denoiser on cached latents.

    Parameters
    ----------
    denoiser
        The network.
    process
        How data is turned into noise (or into the condition), and what the network predicts of it.
    autoencoder
        The frozen first stage: it decodes previews and travels in the checkpoint.
    scale
        Mean and deviation of each latent channel over the training set.
    seed
        Of the initial weights.
    preview_solver, preview_steps
        How previews and the validation's image metrics are generated.

    Notes
    -----
    Batches carry ``target_mu``, ``target_sigma`` and ``condition_mu``, each (B, C, h, w): posterior
    mean and deviation before normalisation.
    """

    main = "denoiser"

    def __init__(
        self,
        denoiser: DenoiserConfig,
        process: DiffusionProcess | FlowProcess,
        *,
        autoencoder: Autoencoder,
        scale: LatentScale,
        seed: int,
        preview_solver: str | None = None,
        preview_steps: int = 20,
    ) -> None:
        self.process = process
        self.scale = scale
        self._generate = Generator(process, preview_solver, preview_steps)
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.models = {"denoiser": build_model(denoiser, seed=seed), "autoencoder": autoencoder}
        self.configs = {
            "denoiser": settings_of(denoiser),
            "autoencoder": settings_of(autoencoder.config),
        }
        self.phases = [_Denoising(self)]

    def condition(self, batch: Batch) -> Tensor:
        """Return the normalised latents of the conditions, (B, C, h, w)."""
        return self.scale.normalise(batch["condition_mu"])

    def errors(
        self,
        network: torch.nn.Module,
        z0: Tensor,
        condition: Tensor,
        noise: Tensor,
        uniform: np.ndarray[Any, Any],
    ) -> Tensor:
        """Return the mean squared error of each sample's prediction at its time, (B,)."""
        t = self.process.times(uniform).to(z0.device)
        z1 = self.process.start(noise, condition)
        z_t = self.process.noisy(z0, z1, t)
        predicted = network(z_t, self.process.model_time(t), condition)
        target = self.process.target(z0, z1, t)
        return F.mse_loss(predicted.float(), target, reduction="none").flatten(1).mean(1)

    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Return the denoising error of each sample, averaged over fixed times with fixed noise."""
        z0, condition = self.scale.normalise(batch["target_mu"]), self.condition(batch)
        noise = _noise_by_key(batch, seed, z0)
        offset = np.array([rng_for(seed, "validation time", key).random() for key in batch.keys])
        losses = [
            self.errors(self.models["denoiser"], z0, condition, noise, (offset + k) / VALIDATION_TIMES)
            for k in range(VALIDATION_TIMES)
        ]
        return {"loss": torch.stack(losses).mean(0)}

    def generate(self, batch: Batch, seed: int) -> Tensor:
        """Return the latents that the process ends at, normalised, (B, C, h, w)."""
        network: Any = self.models["denoiser"]
        return self._generate(network, self.condition(batch), batch.keys, seed, "preview")

    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:
        """Return condition | target | prediction, each decoded from its latent."""
        latents = {
            "condition": self.condition(batch),
            "target": self.scale.normalise(batch["target_mu"]),
            "prediction": self.generate(batch, seed),
        }
        images = {
            name: self.autoencoder.decode(self.scale.restore(z)).float().cpu().numpy()
            for name, z in latents.items()
        }
        return [[(name, image[i, 0]) for name, image in images.items()] for i in range(len(batch))]

    def facts(self) -> dict[str, Any]:
        """Return the process and the latent scale, without which the weights cannot predict."""
        return {
            "process": self.process.model_dump(mode="json"),
            "latent_scale": self.scale.model_dump(mode="json"),
        }


def _noise_by_key(batch: Batch, seed: int, like: Tensor) -> Tensor:
    """Noise that depends on the seed and the sample's name, not on the batch."""
    shape = tuple(like.shape[1:])
    drawn = [rng_for(seed, "validation", key).standard_normal(shape, np.float32) for key in batch.keys]
    return torch.from_numpy(np.stack(drawn)).to(like.device)
