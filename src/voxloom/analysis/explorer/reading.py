"""Vectors read where they lie, without the files' pages piling up in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxloom.analysis.latents.points import Points, Vectors
from voxloom.formats.store import Store
from voxloom.source import Source, Subset

__all__ = ["Reading"]

_LIMIT = 1 << 29  # bytes of mapped pages, libraries among them, beyond which files are let go of
_STATM = Path("/proc/self/statm")  # where there is none, the system gives pages back by itself


class Reading:
    """Points whose stores are its own, read by one thread at a time.

    The pages of a mapped file count as memory of the process that has read them, until the file is let
    go of: a projection of 100,000 latents reads 6.5 GB, and would seem to need them.

    Parameters
    ----------
    points
        What is read.
    limit
        Bytes of mapped pages beyond which files are let go of.

    Examples
    --------
    >>> import numpy as np
    >>> with Reading(Points.of_arrays({"a": np.eye(2)})).points() as points:
    ...     points.vectors([1]).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, points: Points, limit: int = _LIMIT) -> None:
        again: dict[int, Source] = {}
        for part in points.parts.values():
            again.setdefault(id(part.source), _again(part.source))
        self._points = Points({n: Vectors(again[id(p.source)], p.field) for n, p in points.parts.items()})
        self._stores = [store for source in again.values() if (store := _store(source)) is not None]
        self._limit = limit
        self._lock = threading.Lock()

    @contextmanager
    def points(self) -> Iterator[Points]:
        """Give the points to read, to one thread at a time."""
        with self._lock:
            yield self._points
            self.let_go()

    def let_go(self) -> None:
        """Let go of the files where this process holds too many of their pages."""
        if _mapped() > self._limit:
            for store in self._stores:
                store.close()


def _store(source: Source) -> Store | None:
    whole = source.source if isinstance(source, Subset) else source
    return whole if isinstance(whole, Store) else None


def _again(source: Source) -> Source:
    """Return a source with a store that no other has."""
    store = _store(source)
    if store is None:
        return source
    opened = Store(store.path)
    return Subset(opened, source.indices.tolist()) if isinstance(source, Subset) else opened


def _mapped() -> int:
    """Return the bytes of files that are in this process's memory; 0 where that is not known."""
    try:
        return int(_STATM.read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
