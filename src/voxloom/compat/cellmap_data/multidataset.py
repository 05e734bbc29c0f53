"""Several datasets as one."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from voxloom.compat.cellmap_data.base_dataset import CellMapBaseDataset, Item, Transform, in_order, weights_of
from voxloom.compat.cellmap_data.items import PendingItem
from voxloom.compat.cellmap_data.mutable_sampler import MutableSubsetRandomSampler
from voxloom.compat.cellmap_data.utils.sampling import min_redundant_inds
from voxloom.errors import ConfigError

__all__ = ["CellMapMultiDataset"]

Arrays = Mapping[str, Mapping[str, Any]]


class CellMapMultiDataset(CellMapBaseDataset, ConcatDataset[Item]):
    """Several datasets of the same classes and arrays, one after the other.

    Parameters
    ----------
    classes
        Names, in the order of the channels; None for raw data alone.
    input_arrays, target_arrays
        As in each of the datasets.
    datasets
        Of `CellMapDataset`. May come first instead.

    Examples
    --------
    >>> CellMapMultiDataset.empty().has_data
    False
    """

    def __init__(
        self,
        classes: Any,
        input_arrays: Any,
        target_arrays: Any,
        datasets: Any = (),
    ) -> None:
        if classes and not isinstance(classes[0], str):  # the order of the later version
            datasets, classes, input_arrays, target_arrays = classes, input_arrays, target_arrays, datasets
        if datasets:
            super().__init__(datasets)
        else:
            self.datasets, self.cumulative_sizes = [], []
        self.classes = list(classes or ())
        self.input_arrays, self.target_arrays = dict(input_arrays), dict(target_arrays or {})

    @staticmethod
    def empty() -> CellMapMultiDataset:
        """Return one without datasets."""
        return CellMapMultiDataset([], {}, {}, [])

    def __len__(self) -> int:
        return self.cumulative_sizes[-1] if self.cumulative_sizes else 0

    def __repr__(self) -> str:
        return f"CellMapMultiDataset of {len(self.datasets)} datasets, {len(self)} places"

    # -- items --------------------------------------------------------------------------------------

    def __getitem__(self, idx: int) -> Item:
        """Return an item, as the dataset does that holds it."""
        return self.begin(idx).wait().item()

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several items, whose reads are in flight at once."""
        return [pending.wait().item() for pending in [self.begin(idx) for idx in indices]]

    def begin(self, idx: int, rng: np.random.Generator | None = None) -> PendingItem:
        """Begin to read an item; returns at once."""
        number, length = int(idx), len(self)
        if not -length <= number < length:
            raise IndexError(f"index {number} of {self!r}")
        number %= length
        place = bisect.bisect_right(self.cumulative_sizes, number)
        pending: PendingItem = self.datasets[place].begin(number - self._starts[place], rng)  # type: ignore[attr-defined]
        pending.told = pending.told | {"idx": torch.tensor(number)}
        return pending

    @property
    def _starts(self) -> list[int]:
        return [0, *self.cumulative_sizes[:-1]]

    # -- classes ------------------------------------------------------------------------------------

    @property
    def has_data(self) -> bool:
        """Whether any of the datasets has a place."""
        return len(self) > 0

    @cached_property
    def class_counts(self) -> dict[str, dict[str, float]]:
        """nm³ of each class in all datasets, and as ``<class>_bg`` what is known to be none."""
        keys = [key for name in self.classes for key in (name, f"{name}_bg")]
        each = [dataset.class_counts["totals"] for dataset in self.datasets]  # type: ignore[attr-defined]
        return {"totals": {key: math.fsum(counts.get(key, 0.0) for counts in each) for key in keys}}

    @property
    def class_weights(self) -> dict[str, float]:
        """How much more is known to be none of a class than to be it; 1 for a class that is nowhere."""
        return weights_of(self.class_counts["totals"], self.classes)

    @cached_property
    def dataset_weights(self) -> dict[Any, float]:
        """What a place of each dataset weighs: what it holds of each class times the weight of the class."""
        return {dataset: self._weight(dataset) for dataset in self.datasets}

    def _weight(self, dataset: Any) -> float:
        if not self.classes:
            return 1.0
        counts, weights = dataset.class_counts["totals"], self.class_weights
        held = math.fsum(counts.get(name, 0.0) * weights[name] for name in self.classes)
        return held / len(dataset) if len(dataset) else 0.0

    @property
    def sample_weights(self) -> torch.Tensor:
        """The weight of each place, float64: 8 bytes for each voxel of the data."""
        each = torch.tensor([self.dataset_weights[dataset] for dataset in self.datasets], dtype=torch.float64)
        sizes = torch.tensor([len(dataset) for dataset in self.datasets])  # type: ignore[arg-type]
        return each.repeat_interleave(sizes)

    def get_crop_class_matrix(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return (datasets, classes): which classes are annotated in which."""
        rows = [dataset.get_crop_class_matrix() for dataset in self.datasets]  # type: ignore[attr-defined]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.classes)), bool)

    def verify(self) -> bool:
        """Return whether there is a place, and all datasets have the same classes and arrays."""

        def told(one: Any) -> tuple[Any, ...]:
            return list(one.classes), set(one.input_arrays), set(one.target_arrays)

        return len(self) > 0 and all(told(dataset) == told(self) for dataset in self.datasets)

    # -- indices ------------------------------------------------------------------------------------

    def get_indices(self, chunk_size: Mapping[str, int]) -> list[int]:
        """Return the indices of patches a number of voxels apart, in all datasets."""
        return self._of_all(lambda dataset: dataset.get_indices(chunk_size))

    @property
    def validation_indices(self) -> list[int]:
        """Indices of patches whose targets cover all datasets, side by side."""
        return self._of_all(lambda dataset: dataset.validation_indices)

    def _of_all(self, indices_of: Any) -> list[int]:
        pairs = zip(self._starts, self.datasets, strict=False)  # without datasets there is still one start
        return [start + index for start, dataset in pairs if len(dataset) for index in indices_of(dataset)]  # type: ignore[arg-type]

    def get_random_subset_indices(
        self,
        num_samples: int,
        rng: torch.Generator | bool | None = None,
        weighted: bool | torch.Generator | None = True,
        **kwargs: Any,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return random indices: of each dataset none twice before all have come.

        Parameters
        ----------
        weighted
            Whether datasets come as often as what they hold of the classes weighs; else as often as
            they are large. May come before `rng`.
        """
        is_weighted, generator = in_order(weighted, rng)
        sizes = torch.tensor([len(dataset) for dataset in self.datasets], dtype=torch.float64)  # type: ignore[arg-type]
        if not len(self):
            raise ConfigError(f"{num_samples} samples of {self!r}: expected at least one place")
        weights = torch.tensor([self._weight(dataset) for dataset in self.datasets], dtype=torch.float64)
        shares = sizes * weights if is_weighted and weights.any() else sizes
        drawn = torch.multinomial(shares, num_samples, replacement=True, generator=generator)
        chosen = []
        for place, number in enumerate(torch.bincount(drawn, minlength=len(sizes)).tolist()):
            if number:
                chosen.append(self._starts[place] + _drawn(int(sizes[place]), number, generator))
        indices = torch.cat(chosen)
        return indices[torch.randperm(len(indices), generator=generator)]

    def get_weighted_sampler(
        self, batch_size: int = 1, rng: torch.Generator | None = None
    ) -> MutableSubsetRandomSampler:
        """Return a sampler of one batch, drawn anew each epoch, that balances the classes."""

        def draw() -> torch.Tensor:
            return self.get_random_subset_indices(batch_size, rng=rng)

        return _DrawnEachEpoch(draw, rng=rng)

    # -- settings -----------------------------------------------------------------------------------

    def set_raw_value_transforms(self, transforms: Transform | None) -> None:
        """Choose what is done to raw patches."""
        for dataset in self.datasets:
            dataset.set_raw_value_transforms(transforms)  # type: ignore[attr-defined]

    def set_target_value_transforms(self, transforms: Any) -> None:
        """Choose what is done to the patches of each class."""
        for dataset in self.datasets:
            dataset.set_target_value_transforms(transforms)  # type: ignore[attr-defined]

    def set_spatial_transforms(self, spatial_transforms: Mapping[str, Any] | None) -> None:
        """Choose how patches are laid at random."""
        for dataset in self.datasets:
            dataset.set_spatial_transforms(spatial_transforms)  # type: ignore[attr-defined]

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapMultiDataset:
        """Choose where items are put."""
        for dataset in self.datasets:
            dataset.to(device, non_blocking=non_blocking)  # type: ignore[attr-defined]
        return self


class _DrawnEachEpoch(MutableSubsetRandomSampler):
    def __iter__(self) -> Any:
        self.refresh()
        return super().__iter__()


def _drawn(size: int, number: int, rng: torch.Generator | None) -> torch.Tensor:
    """Return indices below a size; where more are wanted than there are, rounds of all of them."""
    rounds = [min_redundant_inds(size, min(size, number - done), rng=rng) for done in range(0, number, size)]
    return torch.cat(rounds)
