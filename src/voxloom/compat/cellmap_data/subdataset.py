"""Some places of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset

from voxloom.compat.cellmap_data.base_dataset import CellMapBaseDataset, Item, Transform
from voxloom.compat.cellmap_data.items import PendingItem
from voxloom.compat.cellmap_data.utils.sampling import min_redundant_inds

__all__ = ["CellMapSubset"]


class CellMapSubset(CellMapBaseDataset, Subset[Item]):
    """Some places of a dataset, in an order; what it knows else is what the dataset knows.

    Parameters
    ----------
    dataset
        Any of this package.
    indices
        Into it.
    """

    dataset: Any

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        super().__init__(dataset, indices)

    def __getitem__(self, idx: int) -> Item:
        """Return the item at a place of the list."""
        return self.begin(idx).wait().item()

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several items, whose reads are in flight at once."""
        return [pending.wait().item() for pending in [self.begin(idx) for idx in indices]]

    def begin(self, idx: int, rng: np.random.Generator | None = None) -> PendingItem:
        """Begin to read an item; returns at once."""
        pending: PendingItem = self.dataset.begin(self.indices[idx], rng)
        return pending

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the channels."""
        return list(self.dataset.classes)

    @property
    def input_arrays(self) -> Mapping[str, Any]:
        """Of the dataset."""
        arrays: Mapping[str, Any] = self.dataset.input_arrays
        return arrays

    @property
    def target_arrays(self) -> Mapping[str, Any]:
        """Of the dataset."""
        arrays: Mapping[str, Any] = self.dataset.target_arrays
        return arrays

    @property
    def class_counts(self) -> Mapping[str, Any]:
        """Of the dataset."""
        counts: Mapping[str, Any] = self.dataset.class_counts
        return counts

    @property
    def class_weights(self) -> dict[str, float]:
        """Of the dataset."""
        return dict(self.dataset.class_weights)

    @property
    def validation_indices(self) -> Sequence[int]:
        """Where in this list the dataset's validation patches are."""
        wanted = set(self.dataset.validation_indices)
        return [place for place, index in enumerate(self.indices) if index in wanted]

    def get_random_subset_indices(
        self,
        num_samples: int,
        rng: torch.Generator | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return random places of the list, none twice before all have come."""
        return min_redundant_inds(len(self), num_samples, rng=rng)

    def set_raw_value_transforms(self, transforms: Transform | None) -> None:
        """Choose what is done to raw patches."""
        self.dataset.set_raw_value_transforms(transforms)

    def set_target_value_transforms(self, transforms: Any) -> None:
        """Choose what is done to the patches of each class."""
        self.dataset.set_target_value_transforms(transforms)

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapSubset:
        """Choose where items are put."""
        self.dataset.to(device, non_blocking=non_blocking)
        return self
