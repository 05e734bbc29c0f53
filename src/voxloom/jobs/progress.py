"""Bars for the terminal and lines for the log, behind the progress calls of the library."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from voxloom.amounts import time_text

__all__ = ["Bar", "TransferBar", "TransferLog", "transfer"]

logger = logging.getLogger(__name__)

_EVERY = 30.0  # seconds between two lines in a log


class Bar:
    """A bar that appears with the first call and ends with the last."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: tqdm[object] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self._what, dynamic_ncols=True, leave=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._bar = None


class TransferBar:
    """A bar of samples, with their bytes a second, that appears with the first call."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._bar: tqdm[object] | None = None
        self._began, self._first_bytes = 0.0, 0

    def __call__(self, done: int, total: int, size: int) -> None:
        """Show that `done` of `total` samples and `size` bytes are done."""
        if self._bar is None or done < self._bar.n:  # the first pass, or the next one
            self.close()
            self._began, self._first_bytes = self._clock(), size
            self._bar = tqdm(
                total=total, initial=done, desc=self._what, unit=" samples", dynamic_ncols=True, leave=False
            )
        rate = (size - self._first_bytes) / max(self._clock() - self._began, 1e-9)
        self._bar.set_postfix_str(f"{rate / 1e6:.3g} MB/s", refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class TransferLog:
    """A line in the log now and then, for where nobody watches a terminal."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._first: tuple[float, int, int] | None = None
        self._told = 0.0

    def __call__(self, done: int, total: int, size: int) -> None:
        """Say that `done` of `total` samples and `size` bytes are done, if it is time to."""
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first, self._told = (now, done, size), now
        if now - self._told < _EVERY:
            return
        self._told = now
        began, first_done, first_size = self._first
        rate = (done - first_done) / (now - began)
        left = f", {time_text((total - done) / rate)} left" if rate > 0 else ""
        speed = (size - first_size) / (now - began) / 1e6
        logger.info(
            "%s: %d of %d samples, %.0f samples/s, %.0f MB/s%s", self._what, done, total, rate, speed, left
        )

    def close(self) -> None:
        """Do nothing: there is no bar to take away."""


def transfer(what: str) -> TransferBar | TransferLog:
    """Return a bar where somebody watches the terminal, else lines for the log."""
    return TransferBar(what) if sys.stderr.isatty() else TransferLog(what)
