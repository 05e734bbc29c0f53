"""Shards written by the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from voxloom.conversion.shards import Advance, ShardTask
from voxloom.errors import DistributedError, LoadingError, MissingExtraError, VoxloomError
from voxloom.formats.manifest import ShardFacts

__all__ = ["answers", "require_distributed", "write_on_dask"]

Task = TypeVar("Task")
Answer = TypeVar("Answer")

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
    gave_up = "a shard", "What is finished is kept: go on with resume (--resume)."
    for facts in answers(scheduler, _write, (task, numbers), gave_up=gave_up, workers=workers):
        advance(facts.samples + len(facts.skipped), facts.bytes)
        yield facts


def answers(
    scheduler: Any,
    function: Callable[[int, Task], Answer],
    work: tuple[Task, Sequence[int]],
    *,
    gave_up: tuple[str, str],
    workers: int = 0,
) -> Iterator[Answer]:
    """Yield what workers of a cluster answer to each number, in the order in which they end.

    Parameters
    ----------
    scheduler, workers
        As of `write_on_dask`.
    function
        Called as ``function(number, task)`` on a worker; what it raises of ours is raised here.
    work
        The task, which is sent once, and the numbers.
    gave_up
        What Dask gives up where workers die again and again, and the cure, as the message says them.

    Raises
    ------
    MissingExtraError, DistributedError, LoadingError
        As `write_on_dask` does.
    """
    distributed = require_distributed()
    if isinstance(scheduler, distributed.Client):
        yield from _answered(distributed, scheduler, function, work, gave_up)
        return
    with _scheduler_client(distributed, scheduler, workers) as client:
        yield from _answered(distributed, client, function, work, gave_up)


def _answered(
    distributed: Any,
    client: Any,
    function: Callable[[int, Task], Answer],
    work: tuple[Task, Sequence[int]],
    gave_up: tuple[str, str],
) -> Iterator[Answer]:
    task, numbers = work
    shared = client.scatter(task, broadcast=True, hash=False)
    futures = client.map(_at_home, numbers, function=function, task=shared, pure=False)
    try:
        for future in distributed.as_completed(futures):
            answer: Answer | VoxloomError = future.result()
            if isinstance(answer, VoxloomError):
                raise answer
            yield answer
    except (distributed.KilledWorker, distributed.CancelledError) as error:
        what, cure = gave_up
        raise LoadingError(
            f"Dask gave up {what}: {error}. A worker died over it again and again, maybe out of memory. "
            f"{cure}"
        ) from error
    finally:
        client.cancel(futures)


def _at_home(number: int, function: Callable[[int, Task], Answer], task: Task) -> Answer | VoxloomError:
    """Call a function on a worker; an error goes home as a value, for Dask cannot rebuild ours."""
    try:
        return function(number, task)
    except VoxloomError as error:
        return error


def _write(number: int, task: ShardTask) -> ShardFacts:
    return task.write(number)


def _scheduler_client(distributed: Any, scheduler: str, workers: int = 0) -> Any:
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
            'work on Dask needs the package distributed: pip install "voxloom[dask]"'
        ) from error
    return distributed
