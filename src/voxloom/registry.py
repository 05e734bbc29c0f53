"""A registry is a table of names; what a name stands for is imported when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from voxloom.errors import UnknownNameError

__all__ = ["Registry", "did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of the known names, or an empty string.

    Examples
    --------
    >>> did_you_mean("eular", ["ddim", "euler"])
    " Did you mean 'euler'?"
    >>> did_you_mean("zzz", ["ddim", "euler"])
    ''
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


class Registry(Mapping[str, Any]):
    """A table of ``name -> "module:attribute"``; other packages add to it through entry points.

    Parameters
    ----------
    kind
        What the names stand for, in the singular: it heads the error messages, and its plural is
        the entry-point group, for instance ``voxloom.solvers``.
    table
        The names that voxloom ships.

    Raises
    ------
    UnknownNameError
        On a name that is in neither; it lists the known ones and the nearest.

    Examples
    --------
    >>> codecs = Registry("codec", {"json": "json:dumps"})
    >>> codecs["json"]([1])
    '[1]'
    >>> codecs["jsno"]
    Traceback (most recent call last):
    voxloom.errors.UnknownNameError: unknown codec 'jsno'. Known: json. Did you mean 'json'?
    """

    def __init__(self, kind: str, table: Mapping[str, str]) -> None:
        self.kind = kind
        self._own = dict(table)

    @cached_property
    def _table(self) -> dict[str, str]:
        plugged = {
            e.name: e.value
            for e in entry_points(group=f"voxloom.{self.kind}{'es' if self.kind.endswith('s') else 's'}")
        }
        return {**plugged, **self._own}

    def __getitem__(self, name: str) -> Any:
        target = self._table.get(name)
        if target is None:
            known = ", ".join(sorted(self._table))
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}. Known: {known}.{did_you_mean(name, self._table)}"
            )
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._table  # the inherited one would import it

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._table))

    def __len__(self) -> int:
        return len(self._table)
