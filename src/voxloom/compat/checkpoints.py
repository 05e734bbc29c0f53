"""Checkpoints of the older system, turned into models that `voxloom predict` takes.

The older networks saw images with x and y exchanged, as MONAI's reader hands them over. A
convolution with its kernel exchanged too does to an upright image what the other did, and nothing
else in these networks knows one axis from the other: so this is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from voxloom.config import TASKS, Config, Task, load_config
from voxloom.inference import Trained
from voxloom.models import Autoencoder, LatentScale, Weights, load_weights, settings_of
from voxloom.models.conditioning import CrossAttention

__all__ = ["adopt_ldm", "adopt_vae"]

StrPath = str | Path


def adopt_vae(checkpoint: StrPath, files: Iterable[StrPath]) -> Trained:
    """Return an older VAE, ready to predict, or to be saved and named as ``autoencoder_path``.

    Parameters
    ----------
    checkpoint
        A full checkpoint or bare weights.
    files
        The older configuration files.

    Raises
    ------
    MissingDataError
        When a file does not exist.
    CheckpointError
        When the weights do not fit the configuration.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import json, torch
    >>> from voxloom.compat.pti_ldm_vae.models import VAEModel
    >>> folder = Path(mkdtemp())
    >>> block = {"channels": [8, 16], "norm_num_groups": 4}
    >>> _ = (folder / "vae.json").write_text(json.dumps({"autoencoder_def": block}))
    >>> torch.save(VAEModel(2, 1, 1, 4, **block).state_dict(), folder / "autoencoder_last.pt")
    >>> adopt_vae(folder / "autoencoder_last.pt", [folder / "vae.json"]).save(folder / "vae.safetensors").name
    'vae.safetensors'
    """
    config = load_config("vae", files)
    model = _autoencoder(checkpoint, config)
    return _trained("vae", config, {"autoencoder": model}, {}, checkpoint)


def adopt_ldm(
    checkpoint: StrPath, files: Iterable[StrPath], *, autoencoder: StrPath, scale_factor: float
) -> Trained:
    """Return an older latent diffusion model, ready to predict.

    Parameters
    ----------
    checkpoint
        A full checkpoint (``checkpoint_epochE.pth``): bare weights lack the projection of the condition.
    files
        The older configuration files: environment and networks.
    autoencoder
        The older VAE that it was trained with, full or bare.
    scale_factor
        One over the standard deviation of the targets' latents; the older system measured it anew
        at each start, on its first batch, and stored it nowhere.

    Raises
    ------
    MissingDataError
        When a file does not exist.
    CheckpointError
        When weights do not fit the configuration.
    """
    overrides = {
        "process": "ddpm",
        "scale_factor": scale_factor,
        "diffusion_def.conditioning": "cross_attention",
        "diffusion_def.condition_positions": False,
    }
    config = load_config("ldm", files, overrides=overrides)
    denoiser = _upright(load_weights(checkpoint, part="denoiser")).into(config.diffusion_def.build())
    # Older conditions were not scaled: what ours are multiplied by is taken off here.
    cast(CrossAttention, denoiser.conditioner).projection.weight.data /= scale_factor
    models = {"autoencoder": _autoencoder(autoencoder, config), "denoiser": denoiser}
    facts = {
        "process": config.NoiseScheduler.model_dump(mode="json"),
        "latent_scale": LatentScale.from_factor(scale_factor, config.latent_channels).model_dump(mode="json"),
    }
    return _trained("ldm", config, models, facts, checkpoint)


def _autoencoder(checkpoint: StrPath, config: Config) -> Autoencoder:
    return _upright(load_weights(checkpoint, part="autoencoder")).into(config.autoencoder_def.build())


def _upright(weights: Weights) -> Weights:
    """Exchange the two axes of every convolution's kernel."""
    tensors = {name: tensor.mT if tensor.ndim == 4 else tensor for name, tensor in weights.tensors.items()}
    return replace(weights, tensors=tensors)


def _trained(
    task: Task, config: Config, models: dict[str, Any], facts: dict[str, Any], checkpoint: StrPath
) -> Trained:
    plain = config.model_dump(mode="json")
    plain[TASKS[task]]["patch_size"].reverse()  # it was the size of images with x and y exchanged
    configs = {name: settings_of(model.config) for name, model in models.items()}
    for model in models.values():
        model.eval()
    return Trained(task, models, configs, plain, facts, path=Path(checkpoint))
