"""What each image of a dataset can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch

from voxloom.compat.cellmap_data.arrays import Center
from voxloom.compat.cellmap_data.utils.geometry import Bounds

__all__ = ["CellMapImageBase", "PendingImage"]


class PendingImage(ABC):
    """A patch of an image whose voxels are on their way."""

    @abstractmethod
    def values(self) -> torch.Tensor:
        """Wait for the voxels and return them, as they are stored."""


class CellMapImageBase(ABC):
    """What each image of a dataset can do."""

    @abstractmethod
    def __getitem__(self, center: Center) -> torch.Tensor:
        """Return the patch around a centre."""

    @property
    @abstractmethod
    def bounding_box(self) -> Bounds | None:
        """From the centre of the first voxel to that of the last, in nm by axis."""

    @property
    @abstractmethod
    def sampling_box(self) -> Bounds | None:
        """Where the centre of a patch may lie, in nm by axis."""

    @property
    @abstractmethod
    def class_counts(self) -> float | dict[str, float]:
        """How much of the class there is, in nm³."""

    @abstractmethod
    def to(self, device: str | torch.device, non_blocking: bool = True) -> Any:
        """Choose where tensors are put."""

    @abstractmethod
    def set_spatial_transforms(self, transforms: Mapping[str, Any] | None) -> None:
        """Choose how patches lie from now on."""
