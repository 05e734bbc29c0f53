"""The last blocks that were read, for calls that ask for some crops of each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from voxloom.sources.patch_reads import Fill, PatchTask

__all__ = ["Begun", "KeptBlocks"]

Begun = tuple[PatchTask, Fill]
"""A patch, and what fills its arrays."""


class KeptBlocks:
    """The blocks that were asked for last, shared by the threads of a process; a copy begins empty.

    Parameters
    ----------
    most
        How many are kept.

    Examples
    --------
    >>> kept = KeptBlocks(1)
    >>> kept.get("a", lambda: ["read"]), kept.get("a", lambda: ["read again"])
    (['read'], ['read'])
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Hashable, list[Begun]] = OrderedDict()

    def get(self, key: Hashable, begin: Callable[[], list[Begun]]) -> list[Begun]:
        """Return a block, begun by this call or an earlier one."""
        with self._lock:
            found = self._blocks.pop(key, None) or begin()
            self._blocks[key] = found
            if len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptBlocks, (self._most,)
