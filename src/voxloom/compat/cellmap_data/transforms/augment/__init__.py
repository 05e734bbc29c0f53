"""Changes of values, with the older arguments."""

from voxloom.compat.cellmap_data.transforms.augment.binarize import Binarize
from voxloom.compat.cellmap_data.transforms.augment.gaussian_blur import GaussianBlur
from voxloom.compat.cellmap_data.transforms.augment.gaussian_noise import GaussianNoise
from voxloom.compat.cellmap_data.transforms.augment.nan_to_num import NaNtoNum
from voxloom.compat.cellmap_data.transforms.augment.normalize import Normalize, ToFloat
from voxloom.compat.cellmap_data.transforms.augment.random_contrast import RandomContrast
from voxloom.compat.cellmap_data.transforms.augment.random_gamma import RandomGamma

__all__ = [
    "Binarize",
    "GaussianBlur",
    "GaussianNoise",
    "NaNtoNum",
    "Normalize",
    "RandomContrast",
    "RandomGamma",
    "ToFloat",
]
