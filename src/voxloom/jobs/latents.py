"""The material of stage 2: the pairs' latents, encoded once, and how good their decoder is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch

from voxloom.config import Config
from voxloom.errors import CheckpointError, ConfigError
from voxloom.inference import LatentCache, PickVariant, Trained, is_exported, latent_scale
from voxloom.jobs.bare import stored_model
from voxloom.jobs.objectives import Material, data_range_of
from voxloom.jobs.outputs import data_folders, refuse_among
from voxloom.loading import Loader, Order
from voxloom.metrics import psnr, ssim
from voxloom.models import Autoencoder, LatentScale, build_model, config_from
from voxloom.models.model import check_divisible
from voxloom.ranks import Rank
from voxloom.source import Source
from voxloom.training.distributed import from_main, wait_for_all
from voxloom.transforms import Compose

__all__ = ["first_stage", "latents_of"]

logger = logging.getLogger(__name__)

Bars = Callable[[str], Callable[[int, int], object] | None]

LOW_CEILING = 25.0
"""PSNR in dB of the VAE's own reconstruction under which no translation can look right."""


class Parted(Protocol):
    """Pairs of which some train and some validate."""

    @property
    def train(self) -> Source:
        """Those that train."""

    @property
    def validation(self) -> Source:
        """Those that validate."""


def first_stage(config: Config, device: torch.device) -> Autoencoder:
    """Return the frozen autoencoder that `config.autoencoder_path` names.

    Raises
    ------
    ConfigError
        When no path is given.
    """
    if config.autoencoder_path is None:
        raise ConfigError(
            "autoencoder_path is not set: stage 2 needs a trained VAE. Train one (voxloom train vae) "
            "and name its checkpoint, for instance --set autoencoder_path=runs/vae/checkpoints/best.pt."
        )
    model = _stored(config, config.autoencoder_path)
    return model.to(device).eval().requires_grad_(False)


def _stored(config: Config, path: Path) -> Autoencoder:
    if path.is_dir() or is_exported(path):
        model = Trained.load(path).models.get("autoencoder")
    else:
        model = stored_model(path, "autoencoder", config.autoencoder_def)
    if not isinstance(model, Autoencoder):
        raise CheckpointError(
            f"autoencoder_path {path} holds no autoencoder: expected a run or a checkpoint of "
            "`voxloom train vae`, or its weights."
        )
    return model


def _of_checkpoint(state: dict[str, Any], device: torch.device) -> tuple[Autoencoder, LatentScale]:
    """Return what a run has worked with so far, whatever has become of the VAE's own run since."""
    model = build_model(config_from(state["model_configs"]["autoencoder"]), seed=0)
    model.load_state_dict(state["models"]["autoencoder"])
    autoencoder = cast(Autoencoder, model.to(device).eval().requires_grad_(False))
    return autoencoder, LatentScale.model_validate(state["facts"]["latent_scale"])


def latents_of(
    config: Config,
    parts: Parted,
    rank: Rank,
    device: torch.device,
    bars: Bars,
    state: dict[str, Any] | None = None,
) -> Material:
    """Encode both sides of all pairs, or find them encoded, and measure the VAE's ceiling.

    With the `state` of a checkpoint, its own VAE and latent scale are taken.
    """
    scale: LatentScale | None = None
    if state is None:
        autoencoder = first_stage(config, device)
    else:
        autoencoder, scale = _of_checkpoint(state, device)
    train_settings = config.diffusion_train
    size, augmentation = train_settings.image_size, config.augmentation
    autoencoder.check_size(*size)
    levels = len(config.diffusion_def.channels)
    divisor = autoencoder.config.downsampling * 2 ** (levels - 1)
    check_divisible(size, divisor, f"a denoiser of {levels} levels on this VAE's latents")
    plain = config.preparation.transform(size)
    root = config.latent_cache_dir or Path(config.run_dir).parent / "latents"
    refuse_among(root, data_folders(config.layout), "Name another latent_cache_dir.")
    cache = LatentCache(
        root=root,
        autoencoder=autoencoder,
        batch_size=train_settings.batch_size,
        num_workers=config.num_workers,
        rank=rank,
        barrier=wait_for_all,
        agree=from_main,
        seed=config.seed,
    )
    variants = train_settings.augment_variants if augmentation else 1
    transform = config.preparation.transform(size, augmentation)
    train = cache.encode(parts.train, transform, variants=variants, progress=bars("encoding"))
    validation = cache.encode(parts.validation, plain, progress=bars("encoding"))
    data_range = data_range_of(parts.train, plain, "target", config)
    ceiling = _ceiling(autoencoder, parts.validation, plain, data_range, device)
    channels = autoencoder.config.latent_channels
    if scale is None:
        factor = config.scale_factor
        scale = LatentScale.from_factor(factor, channels) if factor else latent_scale(train)
    return Material(
        train=train,
        validation=validation,
        train_transform=Compose(transforms=(PickVariant(),)),
        validation_transform=Compose(transforms=(PickVariant(),)),
        data_range=data_range,
        is_mapped=True,
        first_stage=autoencoder,
        scale=scale,
        facts={"data_range": data_range, **ceiling},
    )


@torch.no_grad()
def _ceiling(
    autoencoder: Autoencoder, source: Source, transform: Compose, data_range: float, device: torch.device
) -> dict[str, float]:
    """PSNR and SSIM of the targets' own reconstruction, which no translation through it can pass."""
    chosen = source[:: max(1, len(source) // 32)]
    order = Order(length=len(chosen), batch_size=8, seed=0, shuffle=False)
    values: dict[str, list[float]] = {"autoencoder_psnr": [], "autoencoder_ssim": []}
    for batch in Loader(chosen, transform, order=order, seed=0):
        target = batch["target"].to(device)
        copy = autoencoder.decode(autoencoder.encode(target)[0]).float()
        values["autoencoder_psnr"] += psnr(copy, target, data_range=data_range).tolist()
        values["autoencoder_ssim"] += ssim(copy, target, data_range=data_range).tolist()
    means = {name: float(np.mean(value)) for name, value in values.items()}
    logger.info(
        "ceiling: the VAE's own reconstruction of held-out targets has PSNR %.2f dB and SSIM %.3f",
        means["autoencoder_psnr"],
        means["autoencoder_ssim"],
    )
    if means["autoencoder_psnr"] < LOW_CEILING:
        logger.warning(
            "a ceiling of %.1f dB is low: translations will look blurred whatever stage 2 learns. "
            "Train the VAE longer, with more latent channels or one level less.",
            means["autoencoder_psnr"],
        )
    return means
