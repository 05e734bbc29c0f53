"""Stopping between two steps: the first Ctrl-C asks, the second insists."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "stop_on_signals"]

logger = logging.getLogger(__name__)


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def ask(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """Note the wish; a second Ctrl-C is not held back any more."""
        self.requested = True
        logger.warning("stopping after this step and saving; once more to stop at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM (SLURM's end of time) into a request within the block.

    Outside the main thread, where Python takes no handlers, nothing is requested.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, request.ask)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
