"""What a worker does: read the samples of one step, change them, and stack them."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, cast

import numpy as np
from torch.utils.data import Dataset

from voxloom.errors import ConfigError, VoxloomError
from voxloom.loading.batch import Batch, collate
from voxloom.loading.cache import Cache
from voxloom.loading.gather import Gatherer, gathers, reads_in_threads
from voxloom.loading.order import Order, Place, Share
from voxloom.sample import Sample
from voxloom.seeding import rng_for
from voxloom.source import Map, Source

__all__ = ["Batches", "Change", "Failure", "Pipeline", "as_it_is", "begin_worker"]

Change = Callable[[Sample, np.random.Generator], Sample]
"""What a transform is to the loader."""


class Pipeline(Protocol):
    """Transforms in two parts: what can be done once and kept, and what differs each time."""

    @property
    def deterministic(self) -> Change:
        """The steps before the first random one; they draw nothing from the generator."""

    @property
    def random_part(self) -> Change:
        """The first random step and all after it."""


class Batches(Dataset["Batch | Failure"]):
    """The batch of each place, as a worker makes it.

    Attributes
    ----------
    cache
        What is read, with the deterministic steps done.
    gatherer
        Makes batches without samples, where nothing changes them and the source can; None elsewhere.
    is_threaded
        Whether threads are the better workers.
    pinned
        Whether batches are made in page-locked memory.
    """

    def __init__(
        self, source: Source, transform: Pipeline | None, order: Order, seed: int, cache_rate: float
    ) -> None:
        self.order = order
        self.seed = seed
        self.random_part: Change | None = None
        self.gatherer: Gatherer | None = None
        self.pinned = False
        self.is_gathered = transform is None and not cache_rate and gathers(source)
        self.is_threaded = self.is_gathered or reads_in_threads(source)
        if transform is not None:
            # a generator for each sample is only made where one is drawn from
            self.random_part = transform.random_part if getattr(transform, "random", True) else None
            source = Map(source, _Prepare(transform.deterministic))
        self.cache = Cache(source, cache_rate)

    def prepare(self, *, buffers: int, pinned: bool) -> None:
        """Set up the memory of the batches: how many may be held at once, and whether page-locked."""
        self.pinned = pinned
        if self.is_gathered:
            size = self.order.batch_size
            self.gatherer = Gatherer(self.cache.source, size, buffers=buffers, pinned=pinned)

    def __getitem__(self, place: Place) -> Batch | Failure:
        try:
            batch = self.read(place)
        except VoxloomError as error:
            # torch would hide it in the text of another error: it travels as a value instead
            return Failure(error)
        return batch.pin_memory() if self.pinned and self.gatherer is None else batch

    def read(self, place: Place) -> Batch:
        """Return the batch of a place."""
        share = self.order.share(place)
        if self.gatherer is not None and share.indices:
            return self.gatherer.batch(share)
        samples = self.cache.at_epoch(share.epoch).__getitems__(share.indices)
        if self.random_part is not None:
            rngs = (
                rng_for(self.seed, "transform", share.epoch, *which) for which in self._which(place, share)
            )
            samples = [_apply(self.random_part, *pair) for pair in zip(samples, rngs, strict=True)]
        return collate(samples, share)

    def _which(self, place: Place, share: Share) -> Iterable[tuple[int, ...]]:
        """Return what tells each sample from the others of its epoch."""
        if self.order.weights is None:
            return zip(share.indices)
        # One that is drawn often should not look the same each time; draws count over all ranks.
        return zip(share.indices, count(place.begin + self.order.rank, self.order.world))


@dataclass(frozen=True)
class Failure:
    """An error on its way to the parent."""

    error: VoxloomError


@dataclass(frozen=True)
class _Prepare:
    """The deterministic steps as a function of the sample alone."""

    change: Change

    def __call__(self, sample: Sample) -> Sample:
        return _apply(self.change, sample, cast(np.random.Generator, _NoDraws()))


class _NoDraws:
    """In the place of a generator where nothing may be drawn, since the result may be kept."""

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(
            f"a transform that counts as deterministic asked its generator for {name!r}; expected no draw. "
            "Mark the transform as random, so that its result is not kept from epoch to epoch."
        )


def _apply(change: Change, sample: Sample, rng: np.random.Generator) -> Sample:
    try:
        return change(sample, rng)
    except Exception as error:  # raised again: the note says which sample it was
        error.add_note(f"while transforming sample {sample.key!r}")
        raise


def as_it_is(batch: Any) -> Any:
    """Return the batch: torch should not look into it."""
    return batch


def begin_worker(_worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which reach the whole process group, to the parent.

    It knows what to save; workers end with it, since torch has each of them watch for that.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # A spawned process ends as a program does, and the thread pools of libraries (pyarrow's) sometimes
    # abort then; forked ones leave without, and have nothing to tidy up either.
    atexit.register(os._exit, 0)
