"""Reading ahead in processes, torch's, with an end that is sure to come."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader

from voxloom.errors import LoadingError
from voxloom.loading.batch import Batch
from voxloom.loading.position import Position
from voxloom.loading.worker import Batches, Failure, as_it_is, begin_worker
from voxloom.seeding import stable_hash

__all__ = ["Processes"]


class Processes:
    """Worker processes that stay alive from epoch to epoch, until `close`.

    Parameters
    ----------
    batches
        What they make, by place.
    position
        Yields the places.
    seed
        Of torch's generators in the workers, which nothing here draws from.
    number
        How many.
    pin_memory, prefetch, start_method
        As a `Loader` is told.
    """

    def __init__(
        self,
        batches: Batches,
        position: Position,
        *,
        seed: int,
        number: int,
        **options: Any,
    ) -> None:
        self._pid = os.getpid()
        with _accepting_many():
            self._loader: DataLoader[Batch | Failure] = DataLoader(
                batches, sampler=position, **_options(seed, number, **options)
            )

    @property
    def are_of_this_process(self) -> bool:
        """Whether they are children of this process, and not of the one that it was forked from."""
        return self._pid == os.getpid()

    def iterate(self) -> Iterator[Batch | Failure]:
        """Start them, or give those that run new work; yield what they make, in order.

        Raises
        ------
        LoadingError
            While it is iterated, if a worker died or cannot be reached; all of them are ended then.
        """
        with _accepting_many():
            batches: Iterator[Batch | Failure] = iter(self._loader)
        return self._watched(batches)

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

    def close(self) -> None:
        """End the processes, and return when they are gone.

        torch ends them when the last reference to its iterator goes. That is too late where an error's
        traceback holds one, and it fails where the garbage collector finds it in a cycle: the queues are
        closed first, so no worker hears of the end, and Python would wait for them at its exit for ever.
        """
        if not self.are_of_this_process:
            return
        iterator: Any = self._loader._iterator
        self._loader._iterator = None
        if iterator is None:
            return
        iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():  # they leave SIGTERM, which torch has sent by now, to their parent
                worker.kill()
                worker.join()


@contextmanager
def _accepting_many() -> Iterator[None]:
    """Silence two warnings: of more workers than cores, and of a fork beside threads."""
    with warnings.catch_warnings():
        # More workers than cores: wrong for decoding, right for slow disks, so the user decides.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        # Of Python 3.12 on: our own threads hold no lock meanwhile (see `Threads`).
        warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
        yield


def _options(
    seed: int, number: int, *, pin_memory: bool, prefetch: int, start_method: str | None
) -> dict[str, Any]:
    """Return what torch's DataLoader is told."""
    return {
        "batch_size": None,  # the dataset gives whole batches
        "collate_fn": as_it_is,
        "num_workers": number,
        "pin_memory": pin_memory,
        # torch seeds its workers from this generator; without one it would draw from the global one
        "generator": torch.Generator().manual_seed(stable_hash(seed, "workers") >> 1),
        "persistent_workers": True,
        "prefetch_factor": prefetch,
        "multiprocessing_context": start_method,
        "worker_init_fn": begin_worker,
    }


def _last_words(error: Exception) -> Exception:
    """Return what torch tells of a worker's death: its signal handler may raise just after the pipe broke."""
    try:
        time.sleep(0.2)
    except RuntimeError as told:
        return told
    return error
