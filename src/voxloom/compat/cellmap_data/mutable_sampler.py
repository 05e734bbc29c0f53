"""A sampler of indices that can be drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler

__all__ = ["MutableSubsetRandomSampler"]


class MutableSubsetRandomSampler(Sampler[int]):
    """Some indices in a random order, another one each epoch.

    Parameters
    ----------
    indices_generator
        Returns the indices; called once here, and again by each `refresh`.
    rng
        Decides the order; None for torch's global generator.

    Examples
    --------
    >>> sampler = MutableSubsetRandomSampler(lambda: [3, 5, 8])
    >>> sampler.refresh()
    >>> sorted(sampler), len(sampler)
    ([3, 5, 8], 3)
    """

    def __init__(
        self,
        indices_generator: Callable[[], Sequence[int] | torch.Tensor],
        rng: torch.Generator | None = None,
    ) -> None:
        self.indices_generator = indices_generator
        self.rng = rng
        self.refresh()

    def refresh(self) -> None:
        """Draw other indices."""
        self.indices = torch.as_tensor(self.indices_generator(), dtype=torch.int64)

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self.indices), generator=self.rng)
        return iter(self.indices[order].tolist())

    def __len__(self) -> int:
        return len(self.indices)
