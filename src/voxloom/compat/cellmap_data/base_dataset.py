"""What each dataset can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from voxloom.compat.cellmap_data.mutable_sampler import MutableSubsetRandomSampler

__all__ = ["CellMapBaseDataset", "Item", "Transform", "in_order", "weights_of"]

Item = dict[str, Any]
"""A tensor an array, ``idx``, and ``__metadata__``."""
Transform = Callable[[torch.Tensor], torch.Tensor]


class CellMapBaseDataset(ABC):
    """What each dataset can do."""

    @property
    @abstractmethod
    def class_counts(self) -> Mapping[str, Any]:
        """How much of each class there is, in nm³, and as ``<class>_bg`` how much is known to be none."""

    @property
    @abstractmethod
    def class_weights(self) -> dict[str, float]:
        """How much more there is of what is known to be none of a class than of the class."""

    @property
    @abstractmethod
    def validation_indices(self) -> Sequence[int]:
        """Indices of patches that cover the dataset, side by side."""

    @abstractmethod
    def get_random_subset_indices(
        self, num_samples: int, rng: torch.Generator | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """Return random indices."""

    @abstractmethod
    def set_raw_value_transforms(self, transforms: Transform | None) -> None:
        """Choose what is done to raw patches."""

    @abstractmethod
    def set_target_value_transforms(self, transforms: Any) -> None:
        """Choose what is done to the patches of each class."""

    @abstractmethod
    def to(self, device: str | torch.device, non_blocking: bool = True) -> Any:
        """Choose where tensors are put."""

    def get_subset_random_sampler(
        self,
        num_samples: int,
        weighted: bool | torch.Generator | None = True,
        rng: torch.Generator | bool | None = None,
    ) -> MutableSubsetRandomSampler:
        """Return a sampler of some random indices, which its `refresh` draws anew.

        `rng` may come before `weighted`.
        """
        is_weighted, generator = in_order(weighted, rng)

        def draw() -> torch.Tensor:
            return self.get_random_subset_indices(num_samples, rng=generator, weighted=is_weighted)

        return MutableSubsetRandomSampler(draw, rng=generator)


def in_order(*given: bool | torch.Generator | None) -> tuple[bool, torch.Generator | None]:
    """Return whether to weight, and the generator, in whichever order they were given: methods differ.

    Examples
    --------
    >>> in_order(None, False), in_order(torch.Generator(), None)[0]
    ((False, None), True)
    """
    flags = [each for each in given if isinstance(each, bool)]
    generators = [each for each in given if isinstance(each, torch.Generator)]
    return all(flags), generators[0] if generators else None


def weights_of(counts: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """Return the weight of each class; 1 for one that was found nowhere.

    Examples
    --------
    >>> weights_of({"mito": 2.0, "mito_bg": 6.0, "er": 0.0, "er_bg": 8.0}, ["mito", "er"])
    {'mito': 3.0, 'er': 1.0}
    """
    return {c: counts[f"{c}_bg"] / counts[c] if counts.get(c) else 1.0 for c in classes}
