"""The older loaders and transforms."""

from voxloom.compat.pti_ldm_vae.data.loaders import (
    TensorLoader,
    create_ldm_dataloaders,
    create_vae_dataloaders,
)
from voxloom.compat.pti_ldm_vae.data.transforms import (
    ApplyLocalNormd,
    LocalNormalizeByMask,
    ToTuple,
    get_albumentations_transform,
)

__all__ = [
    "ApplyLocalNormd",
    "LocalNormalizeByMask",
    "TensorLoader",
    "ToTuple",
    "create_ldm_dataloaders",
    "create_vae_dataloaders",
    "get_albumentations_transform",
]
