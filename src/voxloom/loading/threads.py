"""Reading ahead in threads of this process, in order, and at peace with fork."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["Threads"]

In = TypeVar("In")
Out = TypeVar("Out")

_LONGEST = 10.0  # seconds for which a fork waits for reads; one may hang on a disk for ever


class Threads:
    """Some threads that call a function ahead of who takes its results.

    They end with `close`, and with the process.

    Parameters
    ----------
    number
        How many.
    ahead
        Results that are kept ready, all threads together.
    device
        The CUDA device whose memory they page-lock; None without one.

    Examples
    --------
    >>> threads = Threads(2, ahead=4)
    >>> list(threads.map(abs, [-3, 2, -1]))
    [3, 2, 1]
    >>> threads.close()
    """

    def __init__(self, number: int, *, ahead: int, device: int | None = None) -> None:
        self._ahead = ahead
        self._pid = os.getpid()
        self._pool = ThreadPoolExecutor(number, "voxloom-loading", _use_device, (device,))

    @property
    def are_of_this_process(self) -> bool:
        """Whether they run here: in a forked process they are gone."""
        return self._pid == os.getpid()

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Yield the results in the order of the items; what a call raises is raised in its place."""
        waiting: deque[tuple[Future[Out], In]] = deque()
        try:
            for item in items:
                waiting.append((self._pool.submit(_gated, function, item), item))
                if len(waiting) > self._ahead:
                    yield _result(function, *waiting.popleft())
            while waiting:
                yield _result(function, *waiting.popleft())
        finally:  # the caller stopped, or a call failed
            for future, _ in waiting:
                future.cancel()

    def close(self) -> None:
        """End the threads; a call that runs is waited for by nobody."""
        if self.are_of_this_process:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _Gate:
    """Open to any number of reads, and to a fork when none of them is under way.

    A forked process has the memory of its parent and none of its threads: a lock that one of them
    held, in a library that reads files for instance, would stay locked there for ever.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Be open, with no read under way."""
        self._condition = threading.Condition()
        self._reading = self._forking = 0

    def __enter__(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._forking)
            self._reading += 1

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._reading -= 1
            self._condition.notify_all()

    def stop(self) -> None:
        """Wait for the reads, and let none begin."""
        self._condition.acquire()
        self._forking += 1
        self._condition.wait_for(lambda: not self._reading, _LONGEST)

    def go_on(self) -> None:
        """Let reads begin again."""
        self._forking -= 1
        self._condition.notify_all()
        self._condition.release()


_gate = _Gate()
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_gate.stop, after_in_parent=_gate.go_on, after_in_child=_gate.begin)


def _result(function: Callable[[In], Out], future: Future[Out], item: In) -> Out:
    if future.cancel():  # no thread has begun with it: doing it here is quicker than waiting for one
        return _gated(function, item)
    return future.result()


def _gated(function: Callable[[In], Out], item: In) -> Out:
    with _gate:
        return function(item)


def _use_device(device: int | None) -> None:
    if device is not None:  # else each rank's threads would open the first one
        torch.cuda.set_device(device)
