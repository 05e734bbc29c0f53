"""Bare weights, as older systems keep them: what they belong to is told by a configuration."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from voxloom.config import Config, Task
from voxloom.errors import CheckpointError, ConfigError
from voxloom.inference import Trained
from voxloom.models import LatentScale, build_model, load_weights
from voxloom.models.model import ModelConfig, settings_of

__all__ = ["stored_model", "trained_from_weights"]


def trained_from_weights(task: Task, path: str | Path, config: Config) -> Trained:
    """Return the model that bare weights and their configuration make.

    Parameters
    ----------
    task
        What the weights do.
    path
        A state dict with MONAI's names.
    config
        Names networks, preprocessing and patch size; for an ``ldm`` also `autoencoder_path` and
        `scale_factor`, which older checkpoints do not hold.

    Raises
    ------
    ConfigError
        When the configuration does not say what is needed.
    CheckpointError
        When the weights are of another architecture.
    """
    if task == "vae":
        built: dict[str, ModelConfig] = {"autoencoder": config.autoencoder_def}
        models = {"autoencoder": stored_model(path, "autoencoder", config.autoencoder_def)}
        facts: dict[str, object] = {}
    elif task == "ldm":
        if config.autoencoder_path is None or config.scale_factor is None:
            raise ConfigError(
                f"{path} holds a denoiser's weights alone: expected autoencoder_path and scale_factor "
                "(1 over the deviation of the latents it was trained on) in the configuration file."
            )
        built = {"denoiser": config.diffusion_def, "autoencoder": config.autoencoder_def}
        models = {
            "denoiser": stored_model(path, "denoiser", config.diffusion_def),
            "autoencoder": stored_model(config.autoencoder_path, "autoencoder", config.autoencoder_def),
        }
        process = config.NoiseScheduler if config.process == "ddpm" else config.flow
        scale = LatentScale.from_factor(config.scale_factor, config.latent_channels)
        facts = {"process": process.model_dump(mode="json"), "latent_scale": scale.model_dump(mode="json")}
    else:
        built = {"translator": config.translator_def}
        models = {"translator": stored_model(path, "translator", config.translator_def)}
        facts = {}
    for model in models.values():
        model.eval().requires_grad_(False)
    return Trained(
        task,
        models,
        {name: settings_of(model) for name, model in built.items()},
        config.model_dump(mode="json"),
        facts,
        path=Path(path),
    )


def stored_model(path: str | Path, part: str, config: ModelConfig) -> nn.Module:
    """Return the part of a checkpoint, or bare weights in the network that `config` builds.

    Raises
    ------
    CheckpointError
        When the weights fit no such network, or were trained on transposed images.
    """
    stored = load_weights(path, part=part)
    if stored.is_older:
        raise CheckpointError(
            f"{path} is a full checkpoint of PTI-LDM-VAE, which trained on transposed images: expected "
            "weights that were trained on upright ones. Convert it once with adopt_vae or adopt_ldm of "
            "voxloom.compat.checkpoints."
        )
    return stored.build() if stored.config is not None else stored.into(build_model(config, seed=0))
