"""The Loader: batches of a source in an order, read ahead by threads or processes."""

from __future__ import annotations

import multiprocessing
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch

from voxloom.errors import ConfigError, LoadingError
from voxloom.loading.batch import Batch
from voxloom.loading.cache import Progress
from voxloom.loading.device import DeviceCopies
from voxloom.loading.order import Order
from voxloom.loading.position import Position
from voxloom.loading.processes import Processes
from voxloom.loading.threads import Threads
from voxloom.loading.worker import Batches, Failure, Pipeline
from voxloom.source import Source

__all__ = ["Loader"]


class Loader:
    """Batches of a source, one epoch an iteration, resumable at any step.

    The batches are the same with any number of workers, after a resume, and (as a union over the
    ranks, for one global batch size) with any number of ranks: the order derives from
    ``(seed, epoch)`` and the randomness of a sample from ``(seed, epoch, index)``, and from the
    number of the draw where weights draw it more than once. No global generator is drawn from.

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
        Threads or processes that read ahead and stay alive between epochs; 0 to read when a batch is
        asked for. For raw data one thread is enough: it copies as fast as memory does.
    pin_memory
        Whether batches come in page-locked memory; ignored without CUDA.
    cache_rate
        Share of the samples, from the first on, that stay in memory after the deterministic steps.
        They are read once, when the first iteration begins.
    prefetch
        Batches that each worker keeps ready.
    workers
        "thread" or "process". None for threads where batches are gathered (no transform, no cache, and
        a source with a `gather` of its own), since that leaves Python free, and where a source reads
        with threads of its own, as patches of volumes do; processes elsewhere, since transforms in
        Python would wait for each other.
    start_method
        How processes start: "fork", "spawn" or "forkserver"; None for the platform's own way. Forked
        ones share the cache and start at once. They are safe beside our own threads: a fork waits
        until these are between two reads, and stores open their files anew in each process. Choose
        another where threads of other libraries hold locks; a script then needs its
        ``if __name__ == "__main__"``, and each worker some seconds to import.
    progress
        Called with (done, total) after each cached sample.
    device
        Where batches shall lie; None leaves them in the host's memory. To a CUDA device the next batch is
        copied beside the work on the last, on a stream of its own: pin the memory for that.

    Raises
    ------
    ConfigError
        If `order` is for another number of samples, or shuffles less than one batch; if another
        argument is none of what it may be.

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
    ([['a', 'b'], ['c']], {'step': 2, 'epoch': 1, 'seen': 0})
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
        workers: Literal["thread", "process"] | None = None,
        start_method: Literal["fork", "spawn", "forkserver"] | None = None,
        progress: Progress | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if order.length != len(source):
            raise ConfigError(
                f"an order of {order.length} samples for a source of {len(source)}: expected the same"
            )
        if order.shuffle:
            order.checked_batches_per_epoch()
        _refuse_unlikely(num_workers, prefetch, workers, start_method)
        self.order = order
        self._position = Position(order)
        self._batches = Batches(source, transform, order, seed, cache_rate)
        self._progress = progress
        self._copies = None if device is None else DeviceCopies(device)
        self._number, self._prefetch = num_workers, prefetch
        in_threads = workers == "thread" or (workers is None and self._batches.is_threaded)
        self._in_processes = num_workers > 0 and not in_threads
        pinned = pin_memory and torch.cuda.is_available()
        self._batches.prepare(
            buffers=2 + num_workers * (prefetch + 1), pinned=pinned and not self._in_processes
        )
        self._options = {"pin_memory": pinned, "prefetch": prefetch, "start_method": start_method}
        self._iteration: object = None  # the one that goes on
        self._running: list[Threads | Processes] = []  # one, once it is started
        # The garbage collector would take a DataLoader apart in any order, and each worker would be
        # waited for in vain; this ends it as a whole, when the loader goes or the process ends.
        weakref.finalize(self, _end, self._running)

    def __len__(self) -> int:
        """Return the steps of an epoch, the same number on all ranks."""
        return self.order.batches_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to."""
        return self._position.epoch

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches from the current step to the end of its epoch.

        Each batch counts as seen when it is handed out, whatever the workers have read ahead. Of
        several iterations the last to begin goes on; an earlier one then raises LoadingError, since
        both would count the same steps.

        Raises
        ------
        VoxloomError
            What the source or a transform raised, from a worker too.
        LoadingError
            If a worker process died or cannot be reached, or the loader was closed meanwhile.
        """
        self._iteration = iteration = object()
        return self._iterated(iteration)

    def _iterated(self, iteration: object) -> Iterator[Batch]:
        position = self._position
        steps, end = position.remaining(), position.epoch_end()
        batches = self._read_ahead() if steps else iter(())
        batches = batches if self._copies is None else self._copies.of(batches)
        for step, batch in zip(steps, batches, strict=True):
            if isinstance(batch, Failure):
                raise batch.error
            position.step = step + 1
            yield batch
            if self._iteration is not iteration:
                raise LoadingError(
                    "this iteration of the loader was overtaken: another was begun, or the loader was closed."
                    " Begin a new one; it goes on where the loader stands."
                )
        position.step = end

    def state_dict(self) -> dict[str, int]:
        """Return where the next batch begins: all that a resume needs, the same on all ranks.

        It is ``{"step": n, "epoch": e, "seen": s}``: `s` samples of epoch `e` have been handed out on
        all ranks together.
        """
        return self._position.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` stands; the next iteration begins there.

        With another batch size or number of ranks the rest of the epoch is split anew: what has been
        seen does not come again, and nothing is left out. A ``{"step": n}`` alone counts in steps of
        this loader.

        Raises
        ------
        CheckpointError
            If `state` holds no step, or stands after more samples than there are.
        """
        self._position.load(state)

    def close(self) -> None:
        """End the workers, and the iteration that is under way; a later one starts new workers.

        When it returns no worker process is left, whoever still holds an error that one of them told of.
        """
        self._iteration = None
        _end(self._running)

    def _read_ahead(self) -> Iterator[Batch | Failure]:
        self._batches.cache.fill(self._progress)
        if not self._number:
            return map(self._batches.__getitem__, self._position)
        return self._from_processes() if self._in_processes else self._from_threads()

    def _from_threads(self) -> Iterator[Batch | Failure]:
        threads = self._running[0] if self._running else None
        if not isinstance(threads, Threads) or not threads.are_of_this_process:
            device = torch.cuda.current_device() if self._batches.pinned else None
            threads = Threads(self._number, ahead=self._number * self._prefetch, device=device)
            self._running[:] = [threads]
        return threads.map(self._batches.__getitem__, self._position)

    def _from_processes(self) -> Iterator[Batch | Failure]:
        processes = self._running[0] if self._running else None
        if not isinstance(processes, Processes) or not processes.are_of_this_process:
            seed, number = self._batches.seed, self._number
            processes = Processes(self._batches, self._position, seed=seed, number=number, **self._options)
            self._running[:] = [processes]
        return processes.iterate()


def _refuse_unlikely(num_workers: int, prefetch: int, workers: str | None, start_method: str | None) -> None:
    for name, value, least in (("num_workers", num_workers, 0), ("prefetch", prefetch, 1)):
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}={value!r}: expected a whole number of at least {least}")
    if workers not in ("thread", "process", None):
        raise ConfigError(f"workers={workers!r}: expected 'thread', 'process' or None")
    if start_method not in (*multiprocessing.get_all_start_methods(), None):
        methods = ", ".join(multiprocessing.get_all_start_methods())
        raise ConfigError(f"start_method={start_method!r}: expected one of {methods}, or None")


def _end(running: list[Threads | Processes]) -> None:
    while running:
        running.pop().close()
