"""Inference: trained models over sources, and latents."""

from voxloom.inference.encode import LatentCache, PickVariant, latent_scale, weights_digest
from voxloom.inference.predictor import Predictor, make_output
from voxloom.inference.trained import Trained, is_exported
from voxloom.inference.translators import (
    TRANSLATORS,
    DirectTranslator,
    LatentTranslator,
    Reconstructor,
    Translator,
)

__all__ = [
    "TRANSLATORS",
    "DirectTranslator",
    "LatentCache",
    "LatentTranslator",
    "PickVariant",
    "Predictor",
    "Reconstructor",
    "Trained",
    "Translator",
    "is_exported",
    "latent_scale",
    "make_output",
    "weights_digest",
]
