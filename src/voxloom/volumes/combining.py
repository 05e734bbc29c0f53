"""How the values of a label volume become bits: one rule a volume, applied to a box of voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
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
    items = None if table is None else tuple(table.items())
    return _rule(known, items, tuple(shifts), stored=stored, bits=bits)


@lru_cache(maxsize=64)  # made once, not for every patch
def _rule(
    known: int,
    table: tuple[tuple[int, int], ...] | None,
    shifts: tuple[tuple[int, int], ...],
    *,
    stored: np.dtype[Any],
    bits: np.dtype[Any],
) -> Rule:
    if shifts:
        return _rule_of_bits(shifts, stored.itemsize, bits)
    if table is None:
        return partial(_apply_above, bits.type(known))
    held = {value: set_bits for value, set_bits in table if set_bits and _holds(stored, value)}
    if stored.kind in "biu":
        return _rule_of_values(held, stored.itemsize, bits)
    keys = np.array(sorted(held), stored)
    found = np.array([held[value] for value in sorted(held)], bits)
    return partial(_apply, partial(_looked_up, keys=keys, found=found))


def _holds(dtype: np.dtype[Any], value: int) -> bool:
    if dtype.kind == "b":
        return value in (0, 1)
    return dtype.kind not in "iu" or bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def _rule_of_bits(shifts: Sequence[tuple[int, int]], width: int, bits: np.dtype[Any]) -> Rule:
    """Return the rule of a bitmask of some bytes: bits that stay where they are, one look-up, or several."""
    shifts = [(bit, set_bits) for bit, set_bits in shifts if bit < 8 * width]
    if all(set_bits == 1 << bit for bit, set_bits in shifts):
        return partial(_apply_kernel, _masked, (np.uint64(sum(set_bits for _, set_bits in shifts)),))
    if width <= 2:
        return partial(_apply_kernel, _table, (_line_of_bits(shifts, 8 * width, bits),))
    places = sorted({bit // 8 * 8 for bit, _ in shifts})
    lines = [
        _line_of_bits([(bit - place, b) for bit, b in shifts if bit // 8 * 8 == place], 8, bits)
        for place in places
    ]
    return partial(_apply_kernel, _tables, (np.array(places, np.uint64), np.stack(lines)))


def _line_of_bits(shifts: Sequence[tuple[int, int]], width: int, bits: np.dtype[Any]) -> Array:
    """Return what each value of so many bits becomes."""
    line, values = np.zeros(1 << width, bits), np.arange(1 << width)
    for bit, set_bits in shifts:
        line[values >> bit & 1 == 1] |= bits.type(set_bits)
    return line


def _rule_of_values(held: Mapping[int, int], width: int, bits: np.dtype[Any]) -> Rule:
    """Return the rule of values of integers of some bytes: small ones look up, others in a hash table."""
    around = (1 << 8 * width) - 1  # negative values as they lie in memory
    keys = np.array([value & around for value in held], np.uint64)
    found = np.array(list(held.values()), bits)
    largest = int(keys.max()) if len(keys) else 0
    if largest < _LONGEST:
        line = np.zeros(largest + 2, bits)
        line[keys.astype(np.int64)] = found
        return partial(_apply_kernel, _table, (line,))
    size = 1 << (2 * len(keys)).bit_length()
    slots, answers = np.zeros(size, np.uint64), np.zeros(size, bits)
    _fill(keys, found, slots, answers)
    return partial(_apply_kernel, _hashed, (slots, answers))


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


def _apply_kernel(
    run: Callable[..., None],
    tables: tuple[Any, ...],
    values: Array,
    window: Window,
    bits: Array,
    is_first: bool,
) -> None:
    run(values.view(f"u{values.itemsize}"), _ends(window), *tables, bits, is_first)


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
def _masked(values: Array, ends: Array, mask: Any, bits: Array, is_first: bool) -> None:
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            some, line = values[z, y, ends[2, 0] : ends[2, 1]], bits[z, y, ends[2, 0] : ends[2, 1]]
            if is_first:
                for x in range(line.shape[0]):
                    line[x] = np.uint64(some[x]) & mask
            else:
                for x in range(line.shape[0]):
                    line[x] |= np.int64(np.uint64(some[x]) & mask)


@kernel
def _table(values: Array, ends: Array, line: Array, bits: Array, is_first: bool) -> None:
    last = np.uint64(line.shape[0] - 1)
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            for x in range(ends[2, 0], ends[2, 1]):
                found = line[min(np.uint64(values[z, y, x]), last)]
                bits[z, y, x] = found if is_first else bits[z, y, x] | found


@kernel
def _tables(values: Array, ends: Array, places: Array, lines: Array, bits: Array, is_first: bool) -> None:
    low = np.uint64(255)
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            for x in range(ends[2, 0], ends[2, 1]):
                value = np.uint64(values[z, y, x])
                found = lines[0, (value >> places[0]) & low]
                for n in range(1, places.shape[0]):
                    found |= lines[n, (value >> places[n]) & low]
                bits[z, y, x] = found if is_first else bits[z, y, x] | found


@kernel
def _hashed(values: Array, ends: Array, slots: Array, answers: Array, bits: Array, is_first: bool) -> None:
    before = np.uint64(0)  # neighbours mostly are of one value
    found = answers[_slot(before, slots, answers)]
    for z in range(ends[0, 0], ends[0, 1]):
        for y in range(ends[1, 0], ends[1, 1]):
            for x in range(ends[2, 0], ends[2, 1]):
                value = np.uint64(values[z, y, x])
                if value != before:
                    before, found = value, answers[_slot(value, slots, answers)]
                bits[z, y, x] = found if is_first else bits[z, y, x] | found


@kernel
def _slot(value: Any, slots: Array, answers: Array) -> Any:
    """Return where a value stands in a hash table, or the empty slot where it would: its answer is 0."""
    last = np.uint64(slots.shape[0] - 1)
    slot = ((value * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & last
    while answers[slot] != 0 and slots[slot] != value:
        slot = (slot + np.uint64(1)) & last
    return slot


@kernel
def _fill(keys: Array, found: Array, slots: Array, answers: Array) -> None:
    for n in range(keys.shape[0]):
        slot = _slot(keys[n], slots, answers)
        slots[slot], answers[slot] = keys[n], found[n]
