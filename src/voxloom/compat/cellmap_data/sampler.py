"""Which items come when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from voxloom.errors import ConfigError
from voxloom.sources.permutation import Permutation

__all__ = ["ClassBalancedSampler", "ShuffledSampler", "chosen_sampler"]


class ShuffledSampler(Sampler[int]):
    """All items in a random order, another one each epoch, without a list of them.

    Parameters
    ----------
    length
        How many there are: billions, if need be.
    rng
        Decides; None for torch's global generator.

    Examples
    --------
    >>> sorted(ShuffledSampler(4))
    [0, 1, 2, 3]
    """

    def __init__(self, length: int, rng: torch.Generator | None = None) -> None:
        self._length, self._rng = length, rng

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        key = int(torch.randint(2**62, (), generator=self._rng))
        order = Permutation(self._length, key) if self._length else ()
        return (order[place] for place in range(self._length))


class ClassBalancedSampler(Sampler[int]):
    """Items such that each class is annotated in as many as any other.

    Each draw takes the class that was seen least, at random among equals; then one of the datasets that
    annotate it, and counts all classes that it annotates as seen; then one of its places.

    Parameters
    ----------
    dataset
        A `CellMapMultiDataset` or a `CellMapDataset`.
    samples_per_epoch
        Draws of an epoch; None for as many as there are places.
    seed
        What the draws derive from; each epoch draws others.

    Raises
    ------
    ConfigError
        A ValueError; if no class is annotated anywhere.
    """

    def __init__(self, dataset: Any, samples_per_epoch: int | None = None, seed: int = 42) -> None:
        self._sizes = [len(each) for each in getattr(dataset, "datasets", [dataset])]
        self._annotates = dataset.get_crop_class_matrix() & (np.array(self._sizes)[:, None] > 0)
        self._active = np.flatnonzero(self._annotates.any(axis=0))
        if not len(self._active):
            raise ConfigError(f"{dataset!r}: none of its classes is annotated; expected at least one")
        self.samples_per_epoch = sum(self._sizes) if samples_per_epoch is None else samples_per_epoch
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.samples_per_epoch

    def __iter__(self) -> Iterator[int]:
        starts = np.cumsum([0, *self._sizes[:-1]])
        seen = np.zeros(self._annotates.shape[1], np.int64)
        for _ in range(self.samples_per_epoch):
            least = self._active[seen[self._active] == seen[self._active].min()]
            crop = self._rng.choice(np.flatnonzero(self._annotates[:, self._rng.choice(least)]))
            seen += self._annotates[crop]
            yield int(starts[crop] + self._rng.integers(self._sizes[crop]))


def chosen_sampler(
    dataset: Any,
    batch_size: int,
    *,
    samples: int | None,
    weighted: bool,
    rng: torch.Generator | None,
) -> Any:
    """Return the sampler of a loader that draws; None where all items come.

    Parameters
    ----------
    samples
        Draws of an epoch; None where the loader was not told.
    weighted
        Whether the classes are balanced.
    """
    if samples is not None and hasattr(dataset, "get_subset_random_sampler"):
        return dataset.get_subset_random_sampler(samples, weighted=weighted, rng=rng)
    if weighted and hasattr(dataset, "get_weighted_sampler"):
        return dataset.get_weighted_sampler(batch_size, rng=rng)
    return None
