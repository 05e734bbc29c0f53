"""From a configuration and the data to an objective: which room's piece goes where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxloom.config import Config, Task
from voxloom.config.schema import AutoencoderTrain, Pix2PixTrain, RegressionTrain, SegmentationTrain
from voxloom.models import Autoencoder, LatentScale
from voxloom.source import Source
from voxloom.sources import Parts
from voxloom.training import (
    AutoencoderLoss,
    AutoencoderObjective,
    ImageTrainSettings,
    LatentObjective,
    Objective,
    Pix2PixLoss,
    Pix2PixObjective,
    RegressionLoss,
    RegressionObjective,
    SegmentationLoss,
    SegmentationObjective,
    SegmentationPatches,
)
from voxloom.transforms import Compose

__all__ = ["Material", "build_objective", "data_range_of", "images_of", "pairs_of"]

RANGE_SAMPLES = 64
"""Images that the intensity range is taken from, where the normalisation does not fix it."""


@dataclass
class Material:
    """What a run is trained on.

    Attributes
    ----------
    train, validation
        The two sources.
    train_transform, validation_transform
        What happens to their samples; None for nothing.
    data_range
        Width of the intensity range of prepared images, for PSNR and SSIM.
    is_mapped
        Whether reading is a mere copy from mapped memory, so that workers do not pay.
    is_drawn
        Whether the training source draws other samples in each epoch, in random order already: it is
        not shuffled, and not kept in memory.
    crops_per_block
        Training samples that follow each other and are read as one.
    patches
        What the samples of a segmentation hold.
    first_stage, scale
        The autoencoder behind latents, and the latents' scale.
    facts
        Plain values for the run's record.
    """

    train: Source
    validation: Source
    train_transform: Compose | None = None
    validation_transform: Compose | None = None
    data_range: float = 1.0
    is_mapped: bool = False
    is_drawn: bool = False
    crops_per_block: int = 1
    patches: SegmentationPatches | None = None
    first_stage: Autoencoder | None = None
    scale: LatentScale | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def images_of(config: Config, parts: Parts) -> Material:
    """Return the material of a VAE."""
    return _prepared(config, "vae", parts, "image")


def pairs_of(config: Config, task: Task, parts: Parts) -> Material:
    """Return the material of a direct translator."""
    return _prepared(config, task, parts, "target")


def _prepared(config: Config, task: Task, parts: Parts, judged: str) -> Material:
    settings = config.settings(task)
    assert isinstance(settings, ImageTrainSettings)
    size = settings.image_size
    plain = config.preparation.transform(size)
    data_range = data_range_of(parts.train, plain, judged, config)
    return Material(
        train=parts.train,
        validation=parts.validation,
        train_transform=config.preparation.transform(size, config.augmentation),
        validation_transform=plain,
        data_range=data_range,
        facts={"data_range": data_range},
    )


def data_range_of(source: Source, transform: Compose, name: str, config: Config) -> float:
    """Return the width of the intensity range that PSNR and SSIM refer to: one number for all images.

    A fixed normalisation says it; otherwise it is the range over evenly spread training images.
    """
    if config.preparation.is_invertible:
        return 2.0
    rng = np.random.default_rng(0)
    chosen = np.unique(np.linspace(0, len(source) - 1, RANGE_SAMPLES).astype(int))
    images = [transform(source[int(i)], rng)[name] for i in chosen]
    low, high = min(float(i.min()) for i in images), max(float(i.max()) for i in images)
    return high - low or 1.0


def build_objective(task: Task, config: Config, material: Material) -> Objective:
    """Return the task's objective, with fresh networks."""
    settings = config.settings(task)
    match settings:
        case AutoencoderTrain():
            loss = AutoencoderLoss(**{n: getattr(settings, n) for n in AutoencoderLoss.model_fields})
            return AutoencoderObjective(
                config.autoencoder_def,
                config.discriminator_def,
                loss,
                data_range=material.data_range,
                seed=config.seed,
            )
        case RegressionTrain():
            loss_ = RegressionLoss(**{n: getattr(settings, n) for n in RegressionLoss.model_fields})
            return RegressionObjective(
                config.translator_def, loss_, data_range=material.data_range, seed=config.seed
            )
        case Pix2PixTrain():
            weights = Pix2PixLoss(**{n: getattr(settings, n) for n in Pix2PixLoss.model_fields})
            return Pix2PixObjective(
                config.translator_def,
                config.discriminator_def,
                weights,
                data_range=material.data_range,
                seed=config.seed,
            )
        case SegmentationTrain():
            assert material.patches is not None
            wanted = SegmentationLoss(**{n: getattr(settings, n) for n in SegmentationLoss.model_fields})
            network = config.segmenter(channels=material.patches.channels)
            return SegmentationObjective(network, wanted, material.patches, seed=config.seed)
    return _latent_objective(config, material)


def _latent_objective(config: Config, material: Material) -> LatentObjective:
    assert material.first_stage is not None
    assert material.scale is not None
    return LatentObjective(
        config.diffusion_def,
        config.NoiseScheduler if config.process == "ddpm" else config.flow,
        autoencoder=material.first_stage,
        scale=material.scale,
        seed=config.seed,
        preview_solver=config.sampling.solver,
        preview_steps=config.sampling.steps,
    )
