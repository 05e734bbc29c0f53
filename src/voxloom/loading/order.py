"""The order in which samples are seen: a pure function of the global step, so a resume needs one integer."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.seeding import rng_for

__all__ = ["Order", "Share"]

Indices = npt.NDArray[np.int64]


@lru_cache(maxsize=4)  # the steps of an epoch share one; training and its neighbours in tests hold a few
def _permutation(length: int, seed: int, epoch: int) -> Indices:
    return rng_for(seed, "order", epoch).permutation(length)


class Share(NamedTuple):
    """What one rank reads at one step."""

    epoch: int
    """Passes over the data that were complete before this step."""
    indices: list[int]
    """Indices into the source; empty where a last validation batch has fewer samples than ranks."""
    weight: float
    """Samples here over the mean number per rank: averaging weighted gradients over the ranks
    gives the gradient of the whole batch."""


class Order(Component):
    """Which samples this rank reads at which step, without a duplicate, the same after a resume.

    Steps count from 0 across epochs and are the same number on all ranks. A global batch is the
    next ``world * batch_size`` places of the epoch's permutation, dealt to the ranks in turn: so the
    union over the ranks does not depend on how many there are, only on the global batch size.

    A last, smaller batch is kept. Only with fewer samples than ranks is it left out when shuffling
    (a training step needs a sample on every rank); in order of index (validation), the ranks
    without a sample get an empty share instead.

    Examples
    --------
    >>> order = Order(length=5, batch_size=2, shuffle=False)
    >>> [order.batch(step).indices for step in range(order.batches_per_epoch)]
    [[0, 1], [2, 3], [4]]
    >>> [Order(length=5, batch_size=1, shuffle=False, rank=r, world=2).batch(2) for r in range(2)]
    [Share(epoch=0, indices=[4], weight=2.0), Share(epoch=0, indices=[], weight=0.0)]
    """

    length: Annotated[int, Setting(ge=0)]
    """Number of samples in the source."""
    batch_size: Annotated[int, Setting(ge=1)]
    """Samples per step on each rank."""
    seed: int = 0
    """The permutation of each epoch derives from it."""
    shuffle: bool = True
    """Whether each epoch has a permutation of its own (training) or goes by index (validation)."""
    rank: Annotated[int, Setting(ge=0)] = 0
    """This process among `world`."""
    world: Annotated[int, Setting(ge=1)] = 1
    """Number of processes that share the data."""
    drop_last: bool = False
    """Whether to leave out a last batch that is not full on every rank."""

    @model_validator(mode="after")
    def _rank_is_in_world(self) -> Order:
        if self.rank >= self.world:
            raise ValueError(f"rank {self.rank} of {self.world}: expected a rank in [0, {self.world})")
        return self

    @property
    def batches_per_epoch(self) -> int:
        """Steps in one pass over the data, the same number on all ranks."""
        full, rest = divmod(self.length, self.world * self.batch_size)
        smallest = self.world if self.shuffle else 1
        return full + (rest >= smallest and not self.drop_last)

    def batch(self, step: int) -> Share:
        """Return this rank's share of a step: its epoch, its indices and its weight.

        Parameters
        ----------
        step
            Counts from 0 across epochs.

        Raises
        ------
        ConfigError
            If the data is too small for a single batch.
        """
        epoch, number = divmod(step, self.checked_batches_per_epoch())
        size = self.world * self.batch_size
        whole = self._places(epoch)[number * size : (number + 1) * size]
        mine = whole[self.rank :: self.world]
        return Share(epoch, mine.tolist(), len(mine) * self.world / len(whole))

    def _places(self, epoch: int) -> Indices:
        return _permutation(self.length, self.seed, epoch) if self.shuffle else np.arange(self.length)

    def checked_batches_per_epoch(self) -> int:
        """Return `batches_per_epoch`, or raise ConfigError where it is zero: no epoch would ever end."""
        if not self.batches_per_epoch:
            raise ConfigError(
                f"{self.length} samples give no batch of {self.batch_size} on each of {self.world} ranks"
                f"{' with drop_last' if self.drop_last else ''}: expected at least one. "
                "Add images, or use a smaller batch size or fewer processes."
            )
        return self.batches_per_epoch
