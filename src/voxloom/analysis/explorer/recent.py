"""What was made last, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

_T = TypeVar("_T")


class Recent(Generic[_T]):
    """Keeps what was used last; several threads may use it.

    Parameters
    ----------
    limit
        Bytes that are kept; the last value always is.
    size
        Returns the bytes of a value.

    Examples
    --------
    >>> recent = Recent(3, len)
    >>> recent.get("a", lambda: "aa"), recent.get("a", lambda: "not made again")
    ('aa', 'aa')
    >>> recent.put("b", "bb")
    >>> recent.find("a") is None, recent.find("b")
    (True, 'bb')
    """

    def __init__(self, limit: int, size: Callable[[_T], int]) -> None:
        self._limit, self._size, self._total = limit, size, 0
        self._kept: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: Hashable) -> _T | None:
        """Return a value, None where it is not kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: Hashable, value: _T) -> None:
        """Keep a value, and let go of those not used for longest."""
        with self._lock:
            if name in self._kept:
                self._total -= self._size(self._kept.pop(name))
            self._kept[name] = value
            self._total += self._size(value)
            while self._total > self._limit and len(self._kept) > 1:
                self._total -= self._size(self._kept.popitem(last=False)[1])

    def get(self, name: Hashable, make: Callable[[], _T]) -> _T:
        """Return a value, made now where it is not kept; what fails is not kept."""
        found = self.find(name)
        if found is None:
            found = make()
            self.put(name, found)
        return found
