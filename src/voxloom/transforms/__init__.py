"""Functions of a sample and a generator: resizing, normalisation, augmentation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxloom.transforms.adapter import on_array
from voxloom.transforms.axes import ChannelsFirst
from voxloom.transforms.intensity import (
    ForegroundNormalize,
    MinMaxNormalize,
    PercentileNormalize,
    RangeNormalize,
)
from voxloom.transforms.pose import Elastic, SpatialAugment
from voxloom.transforms.transform import TRANSFORMS, Compose, Transform, build

if TYPE_CHECKING:
    from voxloom.transforms.augment import Augment, sampling_grid, warp
    from voxloom.transforms.patch_values import PatchValues, ValueAugment
    from voxloom.transforms.preparation import Preparation
    from voxloom.transforms.random_values import (
        GaussianBlur,
        GaussianNoise,
        PoissonNoise,
        RandomContrast,
        RandomGamma,
    )
    from voxloom.transforms.spatial import Resize, resample
    from voxloom.transforms.values import (
        Binarize,
        NaNtoNum,
        Normalize,
        Percentile,
        Values,
        ValueTransform,
        generators_for,
    )

# These need torch, which takes a second to import: they load when they are used.
_HOME = {
    "Augment": "augment",
    "Binarize": "values",
    "GaussianBlur": "random_values",
    "GaussianNoise": "random_values",
    "NaNtoNum": "values",
    "Normalize": "values",
    "PatchValues": "patch_values",
    "Percentile": "values",
    "PoissonNoise": "random_values",
    "Preparation": "preparation",
    "RandomContrast": "random_values",
    "RandomGamma": "random_values",
    "Resize": "spatial",
    "ValueAugment": "patch_values",
    "ValueTransform": "values",
    "Values": "values",
    "generators_for": "values",
    "resample": "spatial",
    "sampling_grid": "augment",
    "warp": "augment",
}

__all__ = [
    "TRANSFORMS",
    "Augment",
    "Binarize",
    "ChannelsFirst",
    "Compose",
    "Elastic",
    "ForegroundNormalize",
    "GaussianBlur",
    "GaussianNoise",
    "MinMaxNormalize",
    "NaNtoNum",
    "Normalize",
    "PatchValues",
    "Percentile",
    "PercentileNormalize",
    "PoissonNoise",
    "Preparation",
    "RandomContrast",
    "RandomGamma",
    "RangeNormalize",
    "Resize",
    "SpatialAugment",
    "Transform",
    "ValueAugment",
    "ValueTransform",
    "Values",
    "build",
    "generators_for",
    "on_array",
    "resample",
    "sampling_grid",
    "warp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.transforms' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.transforms.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
