"""What points are coloured and filtered by."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.choices import FieldChoice
from voxloom.analysis.latents.points import Points
from voxloom.errors import UnknownNameError

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
            raise UnknownNameError(f"no field {field!r}: expected one of {', '.join(self._names)}.")

    def text(self, row: int) -> dict[str, str]:
        """Return the values of a point as texts, the group left out."""
        return {name: _text(self.of(name), row) for name in self._names if name != "group"}

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
        names, numbers = np.unique(self.points.labels(self.named.get(field, own)), return_inverse=True)
        return tuple(_listable(str(name)) for name in names), numbers.astype(np.int64)


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
