"""Changes of values, with the older arguments."""

from voxloom.compat.cellmap_data.transforms import augment
from voxloom.compat.cellmap_data.transforms.augment import (
    Binarize,
    GaussianBlur,
    GaussianNoise,
    NaNtoNum,
    Normalize,
    RandomContrast,
    RandomGamma,
    ToFloat,
)

__all__ = [
    "Binarize",
    "GaussianBlur",
    "GaussianNoise",
    "NaNtoNum",
    "Normalize",
    "RandomContrast",
    "RandomGamma",
    "ToFloat",
    "augment",
]
