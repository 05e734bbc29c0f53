"""The Loader: batches of a source in an order, read ahead by worker processes."""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Sampler

from voxloom.errors import CheckpointError, ConfigError, LoadingError
from voxloom.loading.batch import Batch
from voxloom.loading.cache import Progress
from voxloom.loading.order import Order
from voxloom.loading.worker import Batches, Failure, Pipeline, as_it_is, ignore_interrupts
from voxloom.sample import Source
from voxloom.seeding import stable_hash

__all__ = ["Loader"]


class Loader:
    """Batches of a source, one epoch an iteration, resumable at any step.

    The batches are the same with any number of workers, after a resume, and (as a union over the
    ranks, for one global batch size) with any number of ranks: the order derives from
    ``(seed, epoch)`` and the randomness of a sample from ``(seed, epoch, index)``. No global
    generator is drawn from.

    Parameters
    ----------
    source
        What is read.
    transform
        Applied to each sample; None to leave samples as they are.
    order
        Which samples come when, for this rank.
    seed
        The randomness of the transforms derives from it.
    num_workers
        Processes that read ahead and stay alive between epochs; 0 to read in this process.
    pin_memory
        Whether batches come in page-locked memory; ignored without CUDA.
    cache_rate
        Share of the samples, from the first on, that stay in memory after the deterministic steps.
        They are read once, when the first iteration begins.
    prefetch
        Batches that each worker keeps ready.
    start_method
        How workers start: "fork", "spawn" or "forkserver"; None for the platform's own way. Forked
        ones share the cache.
    progress
        Called with (done, total) after each cached sample.

    Raises
    ------
    ConfigError
        If `order` is for another number of samples, or shuffles less than one batch.

    Examples
    --------
    >>> import numpy as np
    >>> from voxloom.sample import Field, Sample, Schema
    >>> class Numbers(Source):
    ...     schema = Schema([Field(name="image")])
    ...     keys = ("a", "b", "c")
    ...     def read(self, index):
    ...         return Sample(self.keys[index], self.schema, {"image": np.full((1, 2, 2), index)})
    >>> loader = Loader(Numbers(), None, order=Order(length=3, batch_size=2, shuffle=False), seed=0)
    >>> [batch.keys for batch in loader], loader.state_dict()
    ([['a', 'b'], ['c']], {'step': 2})
    """

    def __init__(
        self,
        source: Source,
        transform: Pipeline | None,
        *,
        order: Order,
        seed: int,
        num_workers: int = 0,
        pin_memory: bool = False,
        cache_rate: float = 0.0,
        prefetch: int = 2,
        start_method: Literal["fork", "spawn", "forkserver"] | None = None,
        progress: Progress | None = None,
    ) -> None:
        if order.length != len(source):
            raise ConfigError(
                f"an order of {order.length} samples for a source of {len(source)}: expected the same"
            )
        if order.shuffle:
            order.checked_batches_per_epoch()
        self.order = order
        self._steps = _Steps(order)
        self._batches = Batches(source, transform, order, seed, cache_rate)
        self._progress = progress
        self._options = _options(seed, num_workers, pin_memory, prefetch, start_method)
        self._running: list[DataLoader[Batch | Failure]] = []  # one, once it is started
        # The garbage collector would take a DataLoader apart in any order, and each worker would be
        # waited for in vain; this lets go of it as a whole, when the loader goes or the process ends.
        weakref.finalize(self, self._running.clear)

    def __len__(self) -> int:
        """Return the steps of an epoch, the same number on all ranks."""
        return self.order.batches_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to."""
        return self._steps.step // max(1, len(self))

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches from the current step to the end of its epoch.

        Each batch counts as seen when it is handed out, whatever the workers have read ahead.

        Raises
        ------
        VoxloomError
            What the source or a transform raised, from a worker too.
        LoadingError
            If a worker process died or cannot be reached.
        """
        steps, end = self._steps.remaining(), self._steps.epoch_end()
        for step, batch in zip(steps, self._read_ahead() if steps else (), strict=True):
            if isinstance(batch, Failure):
                raise batch.error
            self._steps.step = end if step == steps[-1] else step + 1
            yield batch
        self._steps.step = end

    def state_dict(self) -> dict[str, int]:
        """Return the step of the next batch: all that a resume needs."""
        return {"step": self._steps.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at the step of `state`; the next iteration begins there.

        Raises
        ------
        CheckpointError
            If `state` holds no step.
        """
        step = state.get("step")
        if not isinstance(step, int) or step < 0:
            raise CheckpointError(
                f"loader state {dict(state)!r}: expected {{'step': n}} with a number n >= 0"
            )
        self._steps.step = step

    def close(self) -> None:
        """Stop the workers; a later iteration starts new ones."""
        self._running.clear()

    def _read_ahead(self) -> Iterator[Batch | Failure]:
        self._batches.cache.fill(self._progress)
        with warnings.catch_warnings():
            # More workers than cores: wrong for decoding, right for slow disks, so the user decides.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            if not self._running:
                self._running.append(DataLoader(self._batches, sampler=self._steps, **self._options))
            batches = iter(self._running[0])
        return self._watched(batches) if self._options["num_workers"] else batches

    def _watched(self, batches: Iterator[Batch | Failure]) -> Iterator[Batch | Failure]:
        try:
            yield from batches
        except (RuntimeError, OSError, EOFError) as error:
            if str(error).startswith("Caught "):  # torch's words for what was raised in a worker
                raise
            cause = _last_words(error)
            self.close()
            raise LoadingError(
                f"the loading workers failed: {str(cause) or type(cause).__name__}. Most often one was ended "
                "because memory ran out: use fewer workers (num_workers) or a lower cache_rate, or read in "
                "this process (num_workers=0)."
            ) from cause


class _Steps(Sampler[int]):
    """The current step; iterating yields what remains of its epoch."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.step = 0

    def __iter__(self) -> Iterator[int]:
        return iter(self.remaining())

    def epoch_end(self) -> int:
        """Return the first step of the next epoch."""
        length = self.order.batches_per_epoch
        return (self.step // length + 1) * length if length else self.step

    def remaining(self) -> range:
        """Return the steps from the current one to the end of its epoch at which this rank has samples."""
        end = self.epoch_end()
        last_is_empty = self.step < end and not self.order.batch(end - 1).indices
        return range(self.step, end - last_is_empty)


def _options(
    seed: int, num_workers: int, pin_memory: bool, prefetch: int, start_method: str | None
) -> dict[str, Any]:
    """Return what torch's DataLoader is told."""
    options: dict[str, Any] = {
        "batch_size": None,  # the dataset gives whole batches
        "collate_fn": as_it_is,
        "num_workers": num_workers,
        "pin_memory": pin_memory and torch.cuda.is_available(),
        # torch seeds its workers from this generator; without one it would draw from the global one
        "generator": torch.Generator().manual_seed(stable_hash(seed, "workers") >> 1),
    }
    if not num_workers:
        return options
    return options | {
        "persistent_workers": True,
        "prefetch_factor": prefetch,
        "multiprocessing_context": start_method,
        "worker_init_fn": ignore_interrupts,
    }


def _last_words(error: Exception) -> Exception:
    """Return what torch tells of a worker's death: its signal handler may raise just after the pipe broke."""
    try:
        time.sleep(0.2)
    except RuntimeError as told:
        return told
    return error
