"""The order in which samples are seen: a pure function of the global step, so a resume needs one integer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, ConfigDict, PlainSerializer, model_validator
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.loading.shuffle import Indices, drawn, shuffled, shuffled_in_blocks
from voxloom.loading.weights import Weights

__all__ = ["Order", "Place", "Share"]


class Place(NamedTuple):
    """Where a global batch begins."""

    epoch: int
    """Passes over the data that are complete."""
    begin: int
    """Samples of this pass that all ranks together have seen."""


class Share(NamedTuple):
    """What one rank reads at one step."""

    epoch: int
    """Passes over the data that were complete before this step."""
    indices: list[int]
    """Indices into the source; empty where a last validation batch has fewer samples than ranks."""
    weight: float
    """Samples here over the mean number per rank: averaging weighted gradients over the ranks
    gives the gradient of the whole batch."""


def _weights(value: Any) -> Any:
    return value if value is None or isinstance(value, Weights) else Weights(value)


def _listed(value: Weights | None) -> list[float] | None:
    return None if value is None else value.values.tolist()


class Order(Component):
    """Which samples this rank reads at which step, without a duplicate, the same after a resume.

    Steps count from 0 across epochs and are the same number on all ranks. A global batch is the
    next ``world * batch_size`` places of the epoch's order, dealt to the ranks in turn: so the
    union over the ranks does not depend on how many there are, only on the global batch size.

    A last, smaller batch is kept. Only with fewer samples than ranks is it left out when shuffling
    (a training step needs a sample on every rank); in order of index (validation), the ranks
    without a sample get an empty share instead. With `pad`, some samples are seen twice instead, so
    that all ranks have the same number, as torch's DistributedSampler has it.

    Notes
    -----
    ``shuffle="block"`` reads neighbours at about the same time, for cold disks and object stores:
    blocks of `block_size` neighbours come in a random order, and the samples of `mixed_blocks` of
    them at a time are mixed. A batch is drawn from ``block_size * mixed_blocks`` samples instead of
    all: make that many times the batch, and mix more blocks where the samples lie sorted by class.
    Several ranks share each block, so give them blocks of ``world`` times the size.

    With `crops_per_block` the ranks do not take turns: each gets samples that follow each other, and
    so whole blocks where `batch_size` is a multiple of it. The union over the ranks stays the same.

    Measured on 100000 samples that lie sorted by 100 classes, in batches of 64 (epoch 0): a batch holds
    47.5 classes with "full", and with "block" in blocks of 64 it holds 15.6 where 16 are mixed, 33.7
    where 64 are, 43.3 where 256 are. Two samples of a batch meet again in the next epoch 6.6, 1.4 and 1
    times as often as with "full". Neighbours in the order correlate by 0.05, 0.02 and 0.00. The mean
    distance from a sample's own place is a third of the whole in all of them.

    Examples
    --------
    >>> order = Order(length=5, batch_size=2, shuffle=False)
    >>> [order.batch(step).indices for step in range(order.batches_per_epoch)]
    [[0, 1], [2, 3], [4]]
    >>> [Order(length=5, batch_size=1, shuffle=False, rank=r, world=2).batch(2) for r in range(2)]
    [Share(epoch=0, indices=[4], weight=2.0), Share(epoch=0, indices=[], weight=0.0)]
    >>> [Order(length=5, batch_size=1, shuffle=False, rank=r, world=2, pad=True).batch(2) for r in range(2)]
    [Share(epoch=0, indices=[4], weight=1.0), Share(epoch=0, indices=[0], weight=1.0)]
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    length: Annotated[int, Setting(ge=0)]
    """Number of samples in the source."""
    batch_size: Annotated[int, Setting(ge=1)]
    """Samples per step on each rank."""
    seed: int = 0
    """The order of each epoch derives from it."""
    shuffle: bool | Literal["full", "block"] = True
    """Whether each epoch has a permutation of its own (training) or goes by index (validation).
    True is "full"; "block" keeps neighbours together (see the notes)."""
    rank: Annotated[int, Setting(ge=0)] = 0
    """This process among `world`."""
    world: Annotated[int, Setting(ge=1)] = 1
    """Number of processes that share the data."""
    drop_last: bool = False
    """Whether to leave out a last batch that is not full on every rank."""
    pad: bool = False
    """Whether the first samples of an epoch stand at its end again, so that each rank has the same
    number. A mean over such an epoch counts them twice."""
    block_size: Annotated[int, Setting(ge=1)] = 64
    """Neighbouring samples that ``shuffle="block"`` keeps together."""
    mixed_blocks: Annotated[int, Setting(ge=1)] = 64
    """Blocks whose samples ``shuffle="block"`` mixes."""
    crops_per_block: Annotated[int, Setting(ge=1)] = 1
    """Samples that follow each other and that the source reads as one; it needs ``shuffle=False``."""
    weights: Annotated[Weights | None, BeforeValidator(_weights), PlainSerializer(_listed)] = None
    """How often each sample is drawn: an epoch is `length` draws with replacement, in the place of a
    permutation (see `balanced_weights`)."""

    @model_validator(mode="after")
    def _fits(self) -> Order:
        if self.rank >= self.world:
            raise ValueError(f"rank {self.rank} of {self.world}: expected a rank in [0, {self.world})")
        if self.crops_per_block > 1 and self.shuffle:
            raise ValueError(
                f"crops_per_block={self.crops_per_block} with shuffle={self.shuffle!r}: it would tear the "
                "blocks apart, so expected False"
            )
        if self.weights is None:
            return self
        if len(self.weights) != self.length:
            raise ValueError(f"{len(self.weights)} weights for {self.length} samples: expected one for each")
        if self.shuffle not in (True, "full"):
            raise ValueError(
                f"weights with shuffle={self.shuffle!r}: they are drawn at random, so expected True"
            )
        return self

    @property
    def global_batch(self) -> int:
        """Samples per step on all ranks together."""
        return self.world * self.batch_size

    @property
    def batches_per_epoch(self) -> int:
        """Steps in one pass over the data, the same number on all ranks."""
        return self.batches_from(0)

    def batches_from(self, begin: int) -> int:
        """Return the steps that the rest of an epoch takes, after its first `begin` samples."""
        rest = max(0, self.length - begin)
        if self.pad:
            rest += -rest % self.world
        full, rest = divmod(rest, self.global_batch)
        smallest = self.world if self.shuffle else 1
        return full + (rest >= smallest and not self.drop_last)

    def place(self, step: int) -> Place:
        """Return where a step begins.

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
        return Place(epoch, number * self.global_batch)

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
        return self.share(self.place(step))

    def share(self, place: Place) -> Share:
        """Return this rank's share of the global batch that begins at a place."""
        whole = self._samples(place)
        if self.crops_per_block == 1:
            mine = whole[self.rank :: self.world]
        else:
            mine = np.array_split(whole, self.world)[self.rank]
        return Share(place.epoch, mine.tolist(), len(mine) * self.world / len(whole))

    def _samples(self, place: Place) -> Indices:
        """Return the global batch at a place."""
        begin, end = place.begin, min(place.begin + self.global_batch, self.length)
        whole = self._between(place.epoch, begin, end)
        missing = -len(whole) % self.world if self.pad else 0
        while missing:  # more than once with fewer samples than ranks
            more = self._between(place.epoch, 0, min(missing, self.length))
            whole, missing = np.concatenate([whole, more]), missing - len(more)
        return whole

    def _between(self, epoch: int, begin: int, end: int) -> Indices:
        if not self.shuffle:
            return np.arange(begin, end)
        if self.weights is not None:
            places = drawn(self.weights, self.seed, epoch)
        elif self.shuffle == "block":
            places = shuffled_in_blocks(self.length, self.seed, epoch, self.block_size, self.mixed_blocks)
        else:
            places = shuffled(self.length, self.seed, epoch)
        return places[begin:end]

    def checked_batches_per_epoch(self) -> int:
        """Return `batches_per_epoch`, or raise ConfigError where it is zero: no epoch would ever end."""
        if not self.batches_per_epoch:
            raise ConfigError(
                f"{self.length} samples give no batch of {self.batch_size} on each of {self.world} ranks"
                f"{' with drop_last' if self.drop_last else ''}: expected at least one. "
                "Add images, or use a smaller batch size or fewer processes."
            )
        return self.batches_per_epoch
