"""Requests of several pages in one line: the same one is computed once, an outdated one not at all."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from voxloom.analysis.explorer.worker import EXPECTED, Failed, Progress, Stopped, Wish

__all__ = ["Job", "Queue", "State"]

logger = logging.getLogger(__name__)

State = Literal["ready", "waiting", "running", "cancelled", "failed"]
Run = Callable[[Any, Progress, Callable[[], Wish]], Any]

_REMEMBERED = 200  # jobs that are over, whose end can still be asked for


@dataclass(frozen=True)
class Job:
    """How far something is that was asked for.

    Attributes
    ----------
    id
        As `Session.job` and `Session.cancel` take it.
    state
        ``ready`` when the result can be asked for with `key`.
    progress
        Share that is done, 0 to 1.
    message
        What is being done, or why it failed.
    key
        Of the result; it depends on what was asked for alone, so a page may keep it.
    """

    id: str
    state: State
    progress: float = 0.0
    message: str = ""

    @property
    def key(self) -> str:
        """Of the result: the same as `id`."""
        return self.id

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.state in ("ready", "cancelled", "failed")


@dataclass
class _Entry:
    job: Job
    request: Any
    pages: set[str | None] = field(default_factory=set)
    wish: Wish = "go"


class Queue:
    """A line of requests, computed one at a time by a thread of its own.

    Parameters
    ----------
    run
        Computes a request, as `Worker.run` does.
    keep
        Takes the key and the result of what was computed.

    Examples
    --------
    >>> results = {}
    >>> queue = Queue(lambda request, progress, wish: request + 1, results.__setitem__)
    >>> queue.request("a", 1, page="one").state
    'waiting'
    >>> queue.wait("a", 10).state, results
    ('ready', {'a': 2})
    """

    def __init__(self, run: Run, keep: Callable[[str, Any], object]) -> None:
        self._run, self._keep = run, keep
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def request(self, key: str, request: Any, *, page: str | None) -> Job:
        """Put a request into the line, or find it there; what else the page waits for is given up.

        Without a page it is computed for whoever asks for it later.
        """
        with self._changed:
            if page is not None:
                self._give_up(page, but=key)
            entry = self._entries.get(key)
            if entry is None or entry.job.is_over or entry.wish != "go":
                entry = _Entry(Job(key, "waiting", message="waiting for its turn"), request)
                self._entries[key] = entry
            self._entries.move_to_end(key)
            entry.pages |= {page} - {None}
            self._start()
            self._changed.notify_all()
            return entry.job

    def job(self, key: str) -> Job | None:
        """Return how far a request is, None where there is none of that key."""
        with self._changed:
            entry = self._entries.get(key)
            return None if entry is None else entry.job

    def cancel(self, key: str, *, page: str | None = None) -> Job | None:
        """Give up a request of a page, or of all pages; it ends where no other page waits for it."""
        with self._changed:
            entry = self._entries.get(key)
            if entry is None or entry.job.is_over:
                return None if entry is None else entry.job
            entry.pages -= entry.pages if page is None else {page}
            if not entry.pages:
                entry.wish = "kill"
                entry.job = replace(entry.job, state="cancelled", message="cancelled")
                self._changed.notify_all()
            return entry.job

    def wait(self, key: str, seconds: float) -> Job:
        """Return a job once it is over, or as it is after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries[key].job.is_over, seconds)
            return self._entries[key].job

    def close(self) -> None:
        """Give up everything; `ended` tells whether it came to its end."""
        with self._changed:
            self._is_closed = True
            for key in list(self._entries):
                self.cancel(key)
            self._changed.notify_all()

    def ended(self, seconds: float) -> bool:
        """Return whether nothing is computed any more, after at most some seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _start(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._work, name="voxloom-explorer", daemon=True)
            self._thread.start()

    def _give_up(self, page: str, *, but: str) -> None:
        """Take a page from what it asked for before; what is running then may end, but need not."""
        for key, entry in self._entries.items():
            if key == but or page not in entry.pages or entry.job.is_over:
                continue
            entry.pages.discard(page)
            if not entry.pages:
                entry.wish = "stop"
                if entry.job.state == "waiting":
                    entry.job = replace(entry.job, state="cancelled", message="another value was asked for")

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            job = entry.job
            try:
                result = self._run(entry.request, self._progress(entry), lambda e=entry: e.wish)  # type: ignore[misc]
            except Stopped:
                self._over(entry, replace(job, state="cancelled", message="cancelled"))
            except Failed as error:
                self._over(entry, replace(job, state="failed", message=str(error)))
            except EXPECTED as error:  # or all that come after it would wait for ever
                logger.exception("a computation failed")
                self._over(entry, replace(job, state="failed", message=f"{type(error).__name__}: {error}"))
            else:
                self._keep(job.id, result)
                self._over(entry, replace(job, state="ready", progress=1.0, message=""))

    def _next(self) -> _Entry | None:
        """Return the request whose turn it is, None at the end of all."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._waiting() is not None)
            entry = self._waiting()
            if self._is_closed or entry is None:
                return None
            entry.job = replace(entry.job, state="running", message="starting")
            return entry

    def _waiting(self) -> _Entry | None:
        return next((entry for entry in self._entries.values() if entry.job.state == "waiting"), None)

    def _progress(self, entry: _Entry) -> Progress:
        def told(share: float, text: str) -> None:
            with self._changed:
                if entry.job.state == "running":
                    entry.job = replace(entry.job, progress=min(max(share, 0.0), 1.0), message=text)

        return told

    def _over(self, entry: _Entry, job: Job) -> None:
        with self._changed:
            entry.job = job
            over = [key for key, each in self._entries.items() if each.job.is_over]
            for key in over[:-_REMEMBERED]:
                del self._entries[key]
            self._changed.notify_all()
