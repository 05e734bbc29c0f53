"""One process in the background that computes, tells how far it is, and can be stopped at any moment."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, Protocol

from tqdm import tqdm

from voxloom.errors import VoxloomError

__all__ = ["EXPECTED", "Failed", "Progress", "Stopped", "Task", "Wish", "Worker"]

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], object]
"""Takes a share from 0 to 1 and what is being done."""

Wish = Literal["go", "stop", "kill"]

_GRACE = 1.0  # seconds that a computation has to end by itself before its process is ended
_TICK = 0.05  # seconds between two looks at whether it is overdue
EXPECTED = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, VoxloomError,
)  # fmt: skip
"""What a library raises where it fails; each is told in words, and the log has the rest."""


class Task(Protocol):
    """What the process computes; picklable."""

    def __call__(self, request: Any, progress: Progress, /) -> Any:
        """Answer a request; `progress` raises where nobody wants the answer any more."""


class Stopped(Exception):  # noqa: N818 - not a fault
    """Nobody wants the answer any more."""


class Failed(Exception):  # noqa: N818 - of the computation, not of this
    """The computation failed; the message says why in words."""


class Worker:
    """A process that answers one request after the other with a task.

    It is started with the first request and kept, so that what it compiles is compiled once. It ends with
    the process that started it, however that ends.

    Parameters
    ----------
    task
        What it computes, handed over once.
    grace
        Seconds that a computation has to end by itself before its process is ended.
    """

    def __init__(self, task: Task, *, grace: float = _GRACE) -> None:
        self._task, self._grace = task, grace
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._number = 0
        self._is_closed = False
        self._lock = threading.Lock()  # of the process: it is ended by another thread than runs it

    @property
    def pid(self) -> int | None:
        """The number of the process, None where there is none."""
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def run(self, request: Any, progress: Progress, wish: Callable[[], Wish]) -> Any:
        """Return the task's answer; called by one thread at a time.

        Parameters
        ----------
        request
            What the task takes.
        progress
            Told how far it is.
        wish
            Asked again and again: ``go``; ``stop`` for an end where the task next tells its progress;
            ``kill`` for an end in any case, once it had time to end by itself.

        Raises
        ------
        Stopped
            When it was not to go on.
        Failed
            When the computation failed, or its process died.
        """
        pipe = self._started()
        self._number += 1
        with suppress(OSError):  # it died: told by what is received
            pipe.send(("run", self._number, request))
        overdue_at, is_told = math.inf, False
        while time.monotonic() < overdue_at:
            if (wanted := wish()) != "go" and not is_told:
                is_told = True
                with suppress(OSError):
                    pipe.send(("stop", self._number, None))
            if wanted == "kill" and overdue_at == math.inf:
                overdue_at = time.monotonic() + self._grace
            if (message := self._received(pipe)) is None:
                continue
            if message[0] == "done":
                return message[1]
            _take(message, progress)
        self._end()
        raise Stopped

    def close(self) -> None:
        """End the process at once, and start no other."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _started(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise Stopped
            if self._pipe is not None and self._process is not None and self._process.is_alive():
                return self._pipe
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._task), daemon=True)
            process.start()
            theirs.close()  # or its end would not be noticed
            self._pipe, self._process = ours, process
            return ours

    def _end(self) -> int | None:
        """End the process and return its exit code."""
        with self._lock:
            process, pipe = self._process, self._pipe
            self._process = self._pipe = None
            if process is None or pipe is None:
                return None
            process.join(_GRACE)
            process.kill()
            process.join()
            pipe.close()
            return process.exitcode

    def _received(self, pipe: Connection) -> tuple[str, Any] | None:
        """Return what the process says, None where it says nothing yet."""
        try:
            return pipe.recv() if pipe.poll(_TICK) else None
        except (EOFError, OSError):
            code = self._end()
        if self._is_closed:
            raise Stopped
        raise Failed(_death(code))


def _take(message: tuple[str, Any], progress: Progress) -> None:
    kind, value = message
    if kind == "stopped":
        raise Stopped
    if kind == "failed":
        words, details = value
        logger.error("a projection failed: %s", details or words)
        raise Failed(words)
    progress(*value)


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "the system ended the computation, most likely for want of memory. "
            "Close other programs, or explore fewer points."
        )
    return f"the process that computes ended by itself (exit code {code}); the terminal says more."


def _serve(pipe: Connection, task: Task) -> None:
    """Answer requests until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server is told, and ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The lock that tqdm makes by itself is one of all processes, and would outlive the end of this one.
    tqdm.set_lock(threading.RLock())
    with suppress(EOFError, OSError):
        while True:
            kind, number, request = pipe.recv()
            if kind == "run":  # a stop that came too late is passed over
                pipe.send(_answer(task, request, _Teller(pipe, number)))


def _answer(task: Task, request: Any, tell: Progress) -> tuple[str, Any]:
    try:
        return "done", task(request, tell)
    except Stopped:
        return "stopped", None
    except VoxloomError as error:
        return "failed", (str(error), "")
    except EXPECTED as error:
        return "failed", (f"{type(error).__name__}: {error}", traceback.format_exc())


class _Teller:
    """Sends progress, and raises where the request was taken back."""

    def __init__(self, pipe: Connection, number: int) -> None:
        self._pipe, self._number = pipe, number

    def __call__(self, share: float, text: str) -> None:
        while self._pipe.poll():
            kind, number, _ = self._pipe.recv()
            if kind == "stop" and number == self._number:
                raise Stopped
        self._pipe.send(("progress", (float(share), str(text))))


def _end_with_parent() -> None:
    """Leave as soon as the process that started this one is gone, though it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
