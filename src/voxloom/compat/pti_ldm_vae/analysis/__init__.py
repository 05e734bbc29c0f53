"""The older latent-space analysis, and the comparison of images."""

from voxloom.compat.pti_ldm_vae.analysis.image_paths import (
    extract_patient_id_from_filename,
    load_image_paths,
)
from voxloom.compat.pti_ldm_vae.analysis.latent_cache import LatentCache
from voxloom.compat.pti_ldm_vae.analysis.latent_space import LatentSpaceAnalyzer, compute_distance_metrics
from voxloom.compat.pti_ldm_vae.analysis.metrics import ImageComparison

__all__ = [
    "ImageComparison",
    "LatentCache",
    "LatentSpaceAnalyzer",
    "compute_distance_metrics",
    "extract_patient_id_from_filename",
    "load_image_paths",
]
