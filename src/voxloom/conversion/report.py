"""What a conversion has done."""

from __future__ import annotations

from pathlib import Path

from voxloom.amounts import counted, size_text
from voxloom.component import Component
from voxloom.formats.store import Store

__all__ = ["Report"]

_SHOWN = 10


class Report(Component):
    """What a call of `convert` leaves: the whole store, or its part of one that others still write.

    Examples
    --------
    >>> report = Report(path="digits", samples=9, converted=9, bytes=10**6, seconds=2, finished=True)
    >>> print(report)
    digits: 9 samples, 1.0 MB in 2.0 s (4 samples/s, 500.0 kB/s)
    """

    path: Path
    """The folder of the store."""
    samples: int
    """Samples of the whole store if it is finished; else those that this rank answers for."""
    converted: int = 0
    """Samples that were converted by this call; the others by earlier ones, or by other ranks."""
    found: int = 0
    """Samples of this process's share that were there already."""
    bytes: int
    """Size of the shards of all `samples`."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Key and reason of each sample that was left out, of the same shards."""
    seconds: float
    """How long it took."""
    finished: bool
    """Whether the store is whole; False while other ranks still work on their shards."""

    def store(self) -> Store:
        """Open the store.

        Raises
        ------
        UnfinishedStoreError
            While other ranks work on it.
        """
        return Store(self.path)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._skipped()])

    def _headline(self) -> str:
        size = f"{counted(self.samples, 'sample')}, {size_text(self.bytes)}"
        if self.finished and not self.converted:
            return f"{self.path}: nothing to do; the store is whole: {size}"
        share = self.bytes * self.converted / max(1, self.samples)
        seconds = max(self.seconds, 1e-3)
        pace = f"{self.converted / seconds:.{1 if self.converted < seconds else 0}f} samples/s"
        text = f"{self.path}: {size} in {self.seconds:.1f} s ({pace}, {size_text(share / seconds)}/s)"
        if self.found:
            text += f"; {self.found} of them were there already"
        if others := self.samples - self.converted - self.found:
            text += f"; {others} of them come from other ranks"
        if not self.finished:
            text += "\nThis part is done. The store is not finished yet: other ranks have to write theirs."
        return text

    def _skipped(self) -> list[str]:
        if not self.skipped:
            return []
        shown = [f"  {key}: {reason}" for key, reason in self.skipped[:_SHOWN]]
        more = len(self.skipped) - len(shown)
        return [
            f"{counted(len(self.skipped), 'sample')} skipped:",
            *shown,
            *([f"  and {more} more"] if more else []),
        ]
