"""How the values of a label volume become bits: one rule a volume, applied to a box of voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.compiling import kernel
from voxloom.volumes.placement import Window

__all__ = ["Rule", "rule_for"]

Rule = Callable[[Array, Window, Array, bool], None]
"""(values, window, bits, is_first): adds the bits of a window of (z, y, x) values, or sets them first."""

_LONGEST = 1 << 16  # a table that takes a value as its index stays in the cache


def rule_for(
    known: int,
    table: Mapping[int, int] | None,
    shifts: Sequence[tuple[int, int]],
    *,
    stored: np.dtype[Any],
    bits: np.dtype[Any],
) -> Rule:
    """Return the rule of a `Mark`.

    Parameters
    ----------
    known, table, shifts
        As in `Mark`.
    stored
        Type of the values.
    bits
        Type of the bits.

    Examples
    --------
    >>> rule = rule_for(1, {5: 2, 7: 3}, (), stored=np.dtype("u1"), bits=np.dtype("u1"))
    >>> bits = np.zeros((1, 1, 3), "u1")
    >>> rule(np.array([[[5, 6, 7]]], "u1"), (slice(0, 1), slice(0, 1), slice(0, 3)), bits, True)
    >>> bits.tolist()
    [[[2, 0, 3]]]
    """
    if shifts:
        if stored.kind in "iu" and stored.itemsize == 1:
            values = np.arange(256, dtype=np.uint8).view(stored).astype(int)
            return rule_for(known, _shifted_table(values, shifts), (), stored=stored, bits=bits)
        return partial(_apply, partial(_shifted, shifts=shifts, dtype=bits))
    if table is None:
        return partial(_apply_above, bits.type(known))
    held = {value: set_bits for value, set_bits in table.items() if _holds(stored, value)}
    if stored.kind == "u" and all(value < _LONGEST for value in held):
        line = np.zeros(max([0, *held]) + 2, bits)
        line[list(held)] = list(held.values())
        return partial(_apply_table, line)
    keys = np.array(sorted(held), stored)
    found = np.array([held[value] for value in sorted(held)], bits)
    return partial(_apply, partial(_looked_up, keys=keys, found=found))


def _holds(dtype: np.dtype[Any], value: int) -> bool:
    return dtype.kind not in "iu" or bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def _shifted_table(values: Array, shifts: Sequence[tuple[int, int]]) -> dict[int, int]:
    table = {
        int(v): int(np.bitwise_or.reduce([0, *(b for k, b in shifts if (int(v) >> k) & 1)])) for v in values
    }
    return {value: bits for value, bits in table.items() if bits}


def _shifted(values: Array, shifts: Sequence[tuple[int, int]], dtype: np.dtype[Any]) -> Array:
    bits = np.zeros(values.shape, dtype)
    for bit, set_bits in shifts:
        bits |= np.where((values >> bit) & 1, dtype.type(set_bits), dtype.type(0))
    return bits


def _looked_up(values: Array, keys: Array, found: Array) -> Array:
    if not len(keys):
        return np.zeros(values.shape, found.dtype)
    at = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[at] == values, found[at], found.dtype.type(0))


def _apply(
    bits_of: Callable[[Array], Array], values: Array, window: Window, bits: Array, is_first: bool
) -> None:
    if is_first:
        bits[window] = bits_of(values[window])
    else:
        bits[window] |= bits_of(values[window])


def _apply_above(known: Any, values: Array, window: Window, bits: Array, is_first: bool) -> None:
    if values.dtype == bool:
        values = values.view(np.uint8)
    if values.dtype.kind in "iu" or values.dtype.itemsize in (4, 8):
        _above(values, _ends(window), known, bits, is_first)
    else:  # half precision, which is not compiled
        _apply(lambda some: np.where(some > 0, known, type(known)(0)), values, window, bits, is_first)


def _apply_table(line: Array, values: Array, window: Window, bits: Array, is_first: bool) -> None:
    _table(values, _ends(window), line, bits, is_first)


def _ends(window: Window) -> Array:
    return np.array([(part.start, part.stop) for part in window])


@kernel
def _above(values: Array, ends: Array, known: Any, bits: Array, is_first: bool) -> None:
    none = type(known)(0)
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            some, line = values[z, y, ends[2, 0] : ends[2, 1]], bits[z, y, ends[2, 0] : ends[2, 1]]
            if is_first:
                for x in range(line.shape[0]):
                    line[x] = known if some[x] > 0 else none
            else:
                for x in range(line.shape[0]):
                    line[x] |= known if some[x] > 0 else none


@kernel
def _table(values: Array, ends: Array, line: Array, bits: Array, is_first: bool) -> None:
    last = line.shape[0] - 1
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            for x in range(ends[2, 0], ends[2, 1]):
                found = line[np.uint64(min(values[z, y, x], last))]
                bits[z, y, x] = found if is_first else bits[z, y, x] | found
