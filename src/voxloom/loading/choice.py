"""Some samples of a source, by class or by key, without reading images."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import MissingDataError, SchemaError, UnknownNameError
from voxloom.registry import did_you_mean
from voxloom.source import Source, Subset

__all__ = ["by_class", "by_key", "labels_of"]

Labels = npt.NDArray[np.int64]


def labels_of(source: Source, field: str = "label") -> Labels:
    """Return the class of each sample; nothing but `field` is read.

    Parameters
    ----------
    source
        Whose samples.
    field
        The name of a field of kind ``class``.

    Returns
    -------
    array
        (N,), int64.

    Raises
    ------
    SchemaError
        If there is no such field, or it is not of kind ``class``.
    """
    kind = source.schema[field].kind
    if kind != "class":
        raise SchemaError(f"field {field!r} is of kind {kind!r}; expected 'class'")
    if isinstance(source, Subset):
        return labels_of(source.source, field)[source.indices]
    column = getattr(source, "column", None)
    if column is not None:  # a store has them side by side
        return np.array(column(field), dtype=np.int64)
    chosen = source.select(field)
    return np.array([int(chosen[i][field]) for i in range(len(chosen))], dtype=np.int64)


def by_class(source: Source, classes: Iterable[str | int] | str | int, *, field: str = "label") -> Subset:
    """Return the samples of some classes, in the order of the source.

    Parameters
    ----------
    source
        What is chosen from.
    classes
        One or several, by name or by number.
    field
        The name of a field of kind ``class``; its categories are the names. The numbers stay what
        they are.

    Raises
    ------
    UnknownNameError
        If a class has no such name; it names those that there are.
    SchemaError
        If there is no such field.

    Examples
    --------
    >>> from voxloom.sample import Field, Sample, Schema
    >>> class Animals(Source):
    ...     schema = Schema([Field(name="label", kind="class", axes="", categories=("cat", "dog"))])
    ...     keys = ("a", "b", "c")
    ...     def read(self, index):
    ...         return Sample(self.keys[index], self.schema, {"label": np.array(index % 2)})
    >>> list(by_class(Animals(), "cat").keys), list(by_class(Animals(), [0, "dog"]).keys)
    (['a', 'c'], ['a', 'b', 'c'])
    """
    names = source.schema[field].categories
    given = [classes] if isinstance(classes, str | int) else list(classes)
    numbers = [_number(each, names, field) for each in given]
    return Subset(source, np.flatnonzero(np.isin(labels_of(source, field), numbers)).tolist())


def by_key(source: Source, keys: Iterable[str] | str) -> Subset:
    """Return the samples of some keys.

    Parameters
    ----------
    source
        What is chosen from.
    keys
        A pattern with ``*``, ``?`` or ``[...]``, for all keys that match it, in the order of the source;
        or the keys themselves, in the order in which they are wanted.

    Raises
    ------
    MissingDataError
        If nothing matches, or a key is not there; it names the nearest.

    Examples
    --------
    >>> from voxloom.sample import Field, Sample, Schema
    >>> class Letters(Source):
    ...     schema = Schema([Field(name="image")])
    ...     keys = ("a/1", "a/2", "b/1")
    ...     def read(self, index):
    ...         return Sample(self.keys[index], self.schema, {"image": np.zeros((1, 2, 2))})
    >>> list(by_key(Letters(), "a/*").keys), list(by_key(Letters(), ["b/1", "a/2"]).keys)
    (['a/1', 'a/2'], ['b/1', 'a/2'])
    """
    if isinstance(keys, str):
        chosen = [i for i, key in enumerate(source.keys) if fnmatchcase(key, keys)]
        if not chosen:
            raise MissingDataError(f"no key of {source!r} matches {keys!r}: expected at least one")
        return Subset(source, chosen)
    places = {key: i for i, key in enumerate(source.keys)}
    wanted = list(keys)
    missing = [key for key in wanted if key not in places]
    if missing:
        raise MissingDataError(
            f"{len(missing)} of {len(wanted)} keys are not in {source!r}, first {missing[0]!r}."
            f"{did_you_mean(missing[0], places)}"
        )
    return Subset(source, [places[key] for key in wanted])


def _number(given: str | int, names: tuple[str, ...], field: str) -> int:
    if isinstance(given, str):
        if given not in names:
            known = ", ".join(names) or "none has a name"
            raise UnknownNameError(
                f"no class {given!r} in field {field!r}. Classes: {known}.{did_you_mean(given, names)}"
            )
        return names.index(given)
    return _checked(given, len(names), field)


def _checked(number: Any, count: int, field: str) -> int:
    if count and not 0 <= number < count:
        raise UnknownNameError(
            f"no class {number} in field {field!r}: expected a number in [0, {count}), or a name"
        )
    return int(number)
