"""The image of a class that nobody annotated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from voxloom.compat.cellmap_data.arrays import ArraySpec, Center
from voxloom.compat.cellmap_data.base_image import CellMapImageBase, PendingImage
from voxloom.geometry import AXES, Point, Pose

__all__ = ["EmptyImage"]


class EmptyImage(CellMapImageBase):
    """Patches of one value, each a tensor of its own.

    Parameters
    ----------
    label_class
        The class.
    scale, voxel_shape
        Of the patches: nm, and voxels.
    store
        A tensor to return copies of, instead of `empty_value`.
    axis_order
        Of scale and shape.
    empty_value
        What fills them.
    target_class
        The same as `label_class`.

    Examples
    --------
    >>> EmptyImage("er", (8, 8, 8), (1, 2, 2), empty_value=0)[{"z": 0, "y": 0, "x": 0}]
    tensor([[0., 0.],
            [0., 0.]])
    """

    def __init__(
        self,
        label_class: str | None = None,
        scale: Sequence[float] = (1, 1, 1),
        voxel_shape: Sequence[int] = (1, 1, 1),
        store: torch.Tensor | None = None,
        axis_order: str | Sequence[str] = AXES,
        empty_value: float = -100,
        *,
        target_class: str | None = None,
    ) -> None:
        self.label_class = self.target_class = label_class or target_class
        self.spec = ArraySpec.of({"shape": voxel_shape, "scale": scale}, axis_order)
        self.axes = self.spec.order
        self.scale, self.output_shape, self.output_size = self.spec.scale, self.spec.shape, self.spec.size
        self.empty_value = empty_value
        shape = [n for n in self.spec.shape.values() if n > 1]
        self.store = torch.full(shape, float(empty_value)) if store is None else store

    def __getitem__(self, center: Center) -> torch.Tensor:
        """Return a tensor that is nobody else's."""
        return self.store.clone()

    def begin(self, center: Point, pose: Pose) -> PendingImage:  # noqa: ARG002
        """Return what has nothing to wait for."""
        return _Ready(self.store)

    def transformed(self, values: torch.Tensor) -> torch.Tensor:
        """Return what is unknown as it is."""
        return values

    @property
    def bounding_box(self) -> None:
        """None: it lies everywhere."""
        return None

    @property
    def sampling_box(self) -> None:
        """None: it can be read everywhere."""
        return None

    @property
    def class_counts(self) -> float:
        """Nothing of the class."""
        return 0.0

    @property
    def bg_count(self) -> float:
        """Nothing that is known to be something else."""
        return 0.0

    @property
    def total_voxels(self) -> int:
        """Voxels of a patch."""
        return math.prod(self.spec.shape.values())

    def to(self, device: str | torch.device, non_blocking: bool = True) -> EmptyImage:
        """Choose where tensors are put."""
        self.store = self.store.to(device, non_blocking=non_blocking)
        return self

    def set_spatial_transforms(self, transforms: Any) -> None:
        """Change nothing: it looks the same however it lies."""


class _Ready(PendingImage):
    def __init__(self, store: torch.Tensor) -> None:
        self._store = store

    def values(self) -> torch.Tensor:
        return self._store.clone()
