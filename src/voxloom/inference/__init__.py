"""Inference: trained models over sources and over volumes, and latents.

What works on volumes needs ``voxloom[volumes]`` and loads when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxloom.inference.encode import LatentCache, PickVariant, latent_scale, weights_digest
from voxloom.inference.encoding import EncodedImages
from voxloom.inference.grey_images import GreyImages
from voxloom.inference.image_encoder import ImageEncoder
from voxloom.inference.latent_space import LatentSpace, Translation
from voxloom.inference.predictor import Predictor, make_output
from voxloom.inference.trained import Trained, is_exported
from voxloom.inference.translators import (
    TRANSLATORS,
    DirectTranslator,
    LatentTranslator,
    Reconstructor,
    Translator,
)
from voxloom.inference.volume_model import Planes, VolumeModel

if TYPE_CHECKING:
    from voxloom.inference.tiling import TiledReport, predict_volume
    from voxloom.inference.volume_plan import TiledOptions
    from voxloom.inference.volume_translation import translation_model

_HOME = {
    "TiledOptions": "voxloom.inference.volume_plan",
    "TiledReport": "voxloom.inference.tiling",
    "predict_volume": "voxloom.inference.tiling",
    "translation_model": "voxloom.inference.volume_translation",
}

__all__ = [
    "TRANSLATORS",
    "DirectTranslator",
    "EncodedImages",
    "GreyImages",
    "ImageEncoder",
    "LatentCache",
    "LatentSpace",
    "LatentTranslator",
    "PickVariant",
    "Planes",
    "Predictor",
    "Reconstructor",
    "TiledOptions",
    "TiledReport",
    "Trained",
    "Translation",
    "Translator",
    "VolumeModel",
    "is_exported",
    "latent_scale",
    "make_output",
    "predict_volume",
    "translation_model",
    "weights_digest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.inference' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
