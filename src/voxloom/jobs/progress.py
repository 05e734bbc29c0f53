"""Bars for the terminal, behind the ``(done, total)`` calls of the library."""

from __future__ import annotations

from tqdm import tqdm

__all__ = ["Bar"]


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
