"""Arrays of two axes: sections across each axis of a volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from voxloom.compat.cellmap_data.utils.misc import is_array_2D, permute_singleton_dimension

__all__ = ["across_same_axis", "asks_for_sections", "sections"]

_ARRAYS = ("input_arrays", "target_arrays")


def asks_for_sections(arguments: Mapping[str, Any]) -> bool:
    """Return whether a dataset's arguments hold an array of two axes."""
    return any(is_array_2D(arguments.get(name), summary=any) for name in _ARRAYS)


def sections(make: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Any]:
    """Return a dataset of the sections across z, y and x each."""
    made = []
    for axis in range(3):
        arrays = {name: deepcopy(dict(arguments[name])) for name in _ARRAYS if arguments.get(name)}
        for each in arrays.values():
            permute_singleton_dimension(each, axis)
        made.append(make(**{**arguments, **arrays}))
    return made


def across_same_axis(arrays: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays, those of two axes as sections across the axis that others are across.

    Examples
    --------
    >>> others = {"raw": {"shape": (16, 1, 16), "scale": (8, 8, 8)}}
    >>> across_same_axis({"labels": {"shape": (8, 8), "scale": (8, 8)}}, others)["labels"]["shape"]
    [8, 1, 8]
    """
    laid = deepcopy(dict(arrays))
    if is_array_2D(laid, summary=any):
        shapes = [info["shape"] for info in others.values()]
        across = [k for k in range(3) if all(len(s) == 3 and s[k] == 1 for s in shapes)]
        permute_singleton_dimension(laid, across[0] if across else 0)
    return laid
