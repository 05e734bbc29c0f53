"""Fields that are one value for each sample, as columns: classes and texts by name, numbers as numbers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from voxloom.sample import Array, Field
from voxloom.source import Source

__all__ = ["MISSING", "Labels", "column", "number_labels", "tells"]

MISSING = "(none)"
"""Label of a point that has none."""

_CHUNK = 4096  # rows that are read at once
_WHOLE = 2.0**63  # numbers from here on are told by their leading digits

Labels = npt.NDArray[np.str_]


def tells(field: Field) -> bool:
    """Whether a field is one value that points can be told apart by."""
    return field.kind in ("class", "text") or (field.kind == "attribute" and not field.axes)


def column(source: Source, name: str, field: Field) -> Array:
    """Return a field of all samples, (n,).

    Parameters
    ----------
    source
        What is read. Where it has no such field the column is `MISSING` or NaN.
    name
        Of the field.
    field
        What it is in the first group that has it.

    Returns
    -------
    ndarray
        Names of classes and texts as strings, numbers as float64.
    """
    is_text = field.kind == "text" or field.categories != ()
    if name not in source.schema:
        return np.full(len(source), MISSING if is_text else np.nan)
    if field.kind == "text":
        chosen = source.select(name)
        read = (chosen.__getitems__(chunk) for chunk in _chunks(source))
        return np.array([str(sample[name]) for samples in read for sample in samples], dtype=np.str_)
    values = _values(source, name)
    if not field.categories:
        return values.astype(np.float64)
    known = source.schema[name].categories
    return np.array([known[v] if 0 <= v < len(known) else str(v) for v in values.tolist()], dtype=np.str_)


def number_labels(source: Source, name: str) -> Labels:
    """Return a label for each sample's number, (n,), different for numbers that are different.

    Whole numbers have all of their digits, since many of them are names: patients 10012345 and
    10012346 are two. Other numbers have as many as tell them from every other of their type.
    """
    if name not in source.schema:
        return np.full(len(source), MISSING)
    return np.array([_text(value) for value in _values(source, name)], dtype=np.str_)


def _text(value: np.generic) -> str:
    number = value.item()
    if number != number:
        return MISSING
    if isinstance(number, float) and (not math.isfinite(number) or abs(number) >= _WHOLE or number % 1):
        return str(value)  # of the type's own precision: 0.1 and not 0.10000000149
    return str(int(number))


def _values(source: Source, name: str) -> Array:
    chosen = source.select(name)
    found = [chosen.gather(chunk)[name].reshape(len(chunk)) for chunk in _chunks(source)]
    return np.concatenate(found) if found else np.zeros(0)


def _chunks(source: Source) -> list[range]:
    return [range(i, min(i + _CHUNK, len(source))) for i in range(0, len(source), _CHUNK)]
