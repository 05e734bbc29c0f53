"""Arrays of two axes: sections across each axis of a volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from voxloom.compat.cellmap_data.utils.misc import is_array_2D, permute_singleton_dimension

__all__ = ["asks_for_sections", "sections"]

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
