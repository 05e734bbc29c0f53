"""Shards written by the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from voxloom.conversion.shards import Advance, ShardTask
from voxloom.errors import DistributedError, LoadingError, MissingExtraError, VoxloomError
from voxloom.formats.manifest import ShardFacts

__all__ = ["require_distributed", "scheduler_client", "write_on_dask"]

PATIENCE = "30s"
"""How long a scheduler has to answer."""


def write_on_dask(
    task: ShardTask, numbers: Sequence[int], scheduler: Any, advance: Advance, *, workers: int = 0
) -> Iterator[ShardFacts]:
    """Write shards as tasks of a cluster, whose machines see the same folders as this one.

    Parameters
    ----------
    task, numbers, advance
        What to write, and who is told of progress: a shard at a time.
    scheduler
        ``local`` for a cluster of this machine's own, the address of a scheduler, or a
        ``distributed.Client``.
    workers
        Processes of a local cluster; 0 leaves it to Dask.

    Raises
    ------
    MissingExtraError
        When distributed is not installed.
    DistributedError
        When the scheduler cannot be reached.
    LoadingError
        When workers die again and again.
    """
    distributed = require_distributed()
    if isinstance(scheduler, distributed.Client):
        yield from _written(distributed, scheduler, task, numbers, advance)
        return
    with scheduler_client(distributed, scheduler, workers) as client:
        yield from _written(distributed, client, task, numbers, advance)


def _written(
    distributed: Any, client: Any, task: ShardTask, numbers: Sequence[int], advance: Advance
) -> Iterator[ShardFacts]:
    shared = client.scatter(task, broadcast=True, hash=False)
    futures = client.map(_write, numbers, task=shared, pure=False)
    try:
        for future in distributed.as_completed(futures):
            facts: ShardFacts | VoxloomError = future.result()
            if isinstance(facts, VoxloomError):
                raise facts
            advance(facts.samples + len(facts.skipped), facts.bytes)
            yield facts
    except (distributed.KilledWorker, distributed.CancelledError) as error:
        raise LoadingError(
            f"Dask gave up a shard: {error}. A worker died over it again and again, maybe out of memory. "
            "What is finished is kept: go on with resume (--resume)."
        ) from error
    finally:
        client.cancel(futures)


def _write(number: int, task: ShardTask) -> ShardFacts | VoxloomError:
    """Write a shard on a worker; an error goes home as a value, for Dask cannot rebuild ours."""
    try:
        return task.write(number)
    except VoxloomError as error:
        return error


def scheduler_client(distributed: Any, scheduler: str, workers: int = 0) -> Any:
    """Return a client of a cluster of this machine's own (``local``), or of a scheduler at an address."""
    if scheduler == "local":
        count = workers or None
        return distributed.Client(n_workers=count, threads_per_worker=1, dashboard_address=None)
    try:
        return distributed.Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise DistributedError(
            f"no Dask scheduler answers at {scheduler!r} ({error}). Expected 'local' or an address such as "
            "tcp://host:8786."
        ) from error


def require_distributed() -> Any:
    """Return the package distributed, or say how to install it."""
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            'a conversion on Dask needs the package distributed: pip install "voxloom[dask]"'
        ) from error
    return distributed
