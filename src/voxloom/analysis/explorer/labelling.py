"""What points are coloured and filtered by."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.choices import FieldChoice
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.series import natural
from voxloom.errors import UnknownNameError
from voxloom.registry import did_you_mean

__all__ = ["Labelling", "Labels"]

Labels = tuple[tuple[str, ...], npt.NDArray[np.int64]] | npt.NDArray[np.float64]
"""Names in order and the number of each point's name (N,), or the numbers of a numeric field (N,)."""


@dataclass(frozen=True)
class Labelling:
    """The group, what was named by an expression, and the attributes of points.

    Parameters
    ----------
    points
        Whose labels.
    named
        Further fields: name -> what `Points.labels` takes.
    first
        The field that is shown first.

    Raises
    ------
    UnknownNameError
        When there is no field `first`.
    """

    points: Points
    named: Mapping[str, str]
    first: str = "group"

    def __post_init__(self) -> None:
        self.check(self.first)

    @cached_property
    def fields(self) -> tuple[FieldChoice, ...]:
        """All fields, in order."""
        return tuple(self._choice(name) for name in self._names)

    def of(self, field: str) -> Labels:
        """Return the values of a field.

        Raises
        ------
        UnknownNameError
            When there is no such field.
        """
        self.check(field)
        with self._lock:
            if field not in self._found:
                self._found[field] = self._read(field)
            return self._found[field]

    def check(self, field: str) -> None:
        """Raise UnknownNameError where there is no field of that name."""
        if field not in self._names:
            known = ", ".join(self._names)
            raise UnknownNameError(
                f"no attribute {field!r}. Known: {known}, or key:REGEX.{did_you_mean(field, self._names)}"
            )

    def text(self, row: int) -> dict[str, str]:
        """Return the values of a point as texts, the group left out."""
        return {name: _text(self.of(name), row) for name in self._names if name != "group"}

    @property
    def expressed(self) -> dict[str, npt.NDArray[Any]]:
        """What was named by an expression: the label of each point, (N,) a name."""
        return {name: self.points.labels(by) for name, by in self.named.items() if by.startswith("key:")}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        names = ["group", *self.named, *self._attributes]
        return tuple(dict.fromkeys(sorted(names, key=lambda name: name != self.first)))

    @cached_property
    def _attributes(self) -> dict[str, str]:
        """Names of attributes, and what the points call them."""
        return {_listable(name): name for name in self.points.attributes}

    @cached_property
    def _found(self) -> dict[str, Labels]:
        return {}

    @cached_property
    def _lock(self) -> threading.Lock:
        return threading.Lock()

    def _choice(self, name: str) -> FieldChoice:
        found = self.of(name)
        if isinstance(found, tuple):
            return FieldChoice(name, "category", len(found[0]))
        return FieldChoice(name, "number", 0)

    def _read(self, field: str) -> Labels:
        is_attribute = field != "group" and field not in self.named
        own = self._attributes[field] if is_attribute else field
        if is_attribute and self.points.attributes[own].dtype.kind == "f":
            return np.asarray(self.points.attributes[own], np.float64)
        labels = self.points.labels(self.named.get(field, own))
        return _in_order(labels, tuple(self.points.parts) if field == "group" else ())


def _in_order(labels: npt.NDArray[Any], first: Sequence[str]) -> Labels:
    """Return names and each point's: in a given order, or else in natural order, those without one last.

    Pictures of `voxloom analyze` have the same order, and so the same colours.

    Examples
    --------
    >>> _in_order(np.array(["p10", "p2", "(none)"]), ())
    (('p2', 'p10', '(none)'), array([1, 0, 2]))
    """
    found, numbers = np.unique(labels, return_inverse=True)
    places = {name: place for place, name in enumerate(first)}
    texts = [str(name) for name in found]
    order = sorted(range(len(texts)), key=lambda i: places[texts[i]] if places else natural(texts[i]))
    return tuple(_listable(texts[i]) for i in order), np.argsort(order)[numbers]


def _listable(name: str) -> str:
    """Return a name as a list of Dash takes it, which keeps all parts of its entries as members of an object.

    Examples
    --------
    >>> _listable("site"), _listable("a__proto__")
    ('site', 'a__ proto __')
    """
    return name.replace("__proto__", "__ proto __")


def _text(labels: Labels, row: int) -> str:
    if isinstance(labels, tuple):
        return labels[0][int(labels[1][row])]
    value = float(labels[row])
    return "" if math.isnan(value) else f"{value:.6g}"
