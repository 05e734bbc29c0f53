"""Shards written by several processes of one machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from voxloom.conversion.shards import Advance, ShardTask
from voxloom.errors import ConfigError, LoadingError
from voxloom.formats.manifest import ShardFacts

__all__ = ["end_child", "write_in_processes"]

_REPORTED = 0.1  # seconds between two words on progress
_PATIENCE = 2.0  # seconds that a process has to end when it is told to


def end_child() -> None:
    """End a worker process that runs its parent's script again, since that has no main guard.

    What it would do is begin the same conversion again, with a traceback in each worker; the parent
    says what is wrong.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


def write_in_processes(
    task: ShardTask, numbers: Sequence[int], workers: int, advance: Advance
) -> Iterator[ShardFacts]:
    """Write shards in worker processes, each a shard at a time.

    Fewer shards than workers leave cores free: then each process reads with several threads.

    Raises
    ------
    ConfigError
        When the source cannot be sent to another process.
    LoadingError
        When a process dies.
    """
    count = min(workers, len(numbers))
    try:
        data = pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{task.source!r} cannot be sent to worker processes ({error}). Use workers=0, or make it of "
            "functions and classes that a module names."
        ) from error
    crew = _Crew(data, max(1, workers // count), count)
    try:
        yield from crew.work(deque(numbers), advance)
    finally:
        crew.stop()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    number: int | None = None


class _Crew:
    """Processes that take numbers of shards and give back what they wrote."""

    def __init__(self, data: bytes, threads: int, count: int) -> None:
        # A fork would copy locks that threads of this process hold.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context: Any = multiprocessing.get_context(method)
        self._workers: list[_Worker] = []
        for _ in range(count):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, mine))
        for worker in self._workers:
            with suppress(OSError):  # one that is dead is noticed as it is waited for
                worker.pipe.send_bytes(data)

    def work(self, numbers: deque[int], advance: Advance) -> Iterator[ShardFacts]:
        """Hand out the shards, and yield each as it is finished."""
        for worker in self._workers:
            self._hand_out(worker, numbers)
        while busy := {w.pipe: w for w in self._workers if w.number is not None}:
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]
                kind, value = self._heard(worker)
                if kind == "error":
                    raise value
                if kind == "advance":
                    advance(*value)
                else:
                    yield value
                    self._hand_out(worker, numbers)

    def _hand_out(self, worker: _Worker, numbers: deque[int]) -> None:
        worker.number = numbers.popleft() if numbers else None
        with suppress(OSError):
            worker.pipe.send(worker.number)

    def _heard(self, worker: _Worker) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = worker.pipe.recv()
        except (EOFError, OSError) as error:
            worker.process.join(_PATIENCE)
            code = worker.process.exitcode
            cure = (
                "It ran out of memory, or was killed: use fewer workers."
                if code is not None and code < 0
                else "If this is a script, put its work under `if __name__ == '__main__':`, or use workers=0."
            )
            raise LoadingError(
                f"a worker process ended (exit code {code}) while it wrote shard {worker.number}. {cure} "
                "What is finished is kept: go on with resume (--resume)."
            ) from error
        return message

    def stop(self) -> None:
        """End all processes, now."""
        for worker in self._workers:
            if worker.number is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _serve(pipe: Connection, threads: int) -> None:
    """Write the shards that are asked for, until there are no more; the life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business; it ends us
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's own threads would be one a core in each of us
    with suppress(EOFError, OSError):  # the parent is gone
        task: ShardTask = pickle.loads(pipe.recv_bytes())
        while (number := pipe.recv()) is not None:
            advance = _Reporting(pipe)
            try:
                answer: tuple[str, Any] = ("done", task.write(number, threads=threads, advance=advance))
            except Exception as error:  # noqa: BLE001 - it is raised again by the parent
                answer = ("error", _portable(error))
            advance.flush()
            pipe.send(answer)


class _Reporting:
    """Tells the parent of progress, now and then."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._samples = self._bytes = 0
        self._told = time.monotonic()

    def __call__(self, samples: int, size: int) -> None:
        self._samples += samples
        self._bytes += size
        if time.monotonic() - self._told > _REPORTED:
            self.flush()

    def flush(self) -> None:
        self._pipe.send(("advance", (self._samples, self._bytes)))
        self._samples = self._bytes = 0
        self._told = time.monotonic()


def _portable(error: Exception) -> Exception:
    """Return an error that survives the way to another process."""
    try:
        return pickle.loads(pickle.dumps(error)) and error
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, ImportError):
        return LoadingError(f"{type(error).__name__}: {error}")
