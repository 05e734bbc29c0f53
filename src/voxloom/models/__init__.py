"""Networks behind a table of frozen configurations; torch and MONAI load when one is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; at run time names load when they are used
    from voxloom.models.autoencoder import (
        Autoencoder,
        AutoencoderConfig,
    )
    from voxloom.models.denoiser import (
        Denoiser,
        DenoiserConfig,
    )
    from voxloom.models.discriminator import (
        Discriminator,
        DiscriminatorConfig,
    )
    from voxloom.models.latent_scale import LatentScale
    from voxloom.models.model import (
        MODELS,
        build_model,
        config_from,
        settings_of,
    )
    from voxloom.models.perceptual import (
        PerceptualConfig,
        PerceptualDistance,
    )
    from voxloom.models.segmenter import (
        Segmenter,
        SegmenterConfig,
        SegmenterDef,
    )
    from voxloom.models.unet import (
        UNet,
        UNetConfig,
    )
    from voxloom.models.weights import (
        Weights,
        load_weights,
        save_weights,
    )

_HOME = {
    "MODELS": "model",
    "Autoencoder": "autoencoder",
    "AutoencoderConfig": "autoencoder",
    "Denoiser": "denoiser",
    "DenoiserConfig": "denoiser",
    "Discriminator": "discriminator",
    "DiscriminatorConfig": "discriminator",
    "LatentScale": "latent_scale",
    "PerceptualConfig": "perceptual",
    "PerceptualDistance": "perceptual",
    "Segmenter": "segmenter",
    "SegmenterConfig": "segmenter",
    "SegmenterDef": "segmenter",
    "UNet": "unet",
    "UNetConfig": "unet",
    "Weights": "weights",
    "build_model": "model",
    "config_from": "model",
    "load_weights": "weights",
    "save_weights": "weights",
    "settings_of": "model",
}

__all__ = [
    "MODELS",
    "Autoencoder",
    "AutoencoderConfig",
    "Denoiser",
    "DenoiserConfig",
    "Discriminator",
    "DiscriminatorConfig",
    "LatentScale",
    "PerceptualConfig",
    "PerceptualDistance",
    "Segmenter",
    "SegmenterConfig",
    "SegmenterDef",
    "UNet",
    "UNetConfig",
    "Weights",
    "build_model",
    "config_from",
    "load_weights",
    "save_weights",
    "settings_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.models' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.models.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
