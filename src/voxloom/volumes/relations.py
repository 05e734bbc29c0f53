"""What one class tells about the others, voxel by voxel, on bits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.classes import Classes
from voxloom.volumes.compiling import kernel

__all__ = ["relate"]

_SLOTS = 1024


def relate(positive: Array, known: Array, classes: Classes) -> None:
    """Make known what the relations of the classes tell, in place.

    A class that is not known in a voxel becomes positive where one that implies it is positive, and
    negative where one that excludes it is positive, or one that it implies is known and negative. Where
    the annotations contradict each other about it, it stays unknown.

    Parameters
    ----------
    positive, known
        Integers of one shape, any shape: bit k belongs to class k of ``classes.all_names``. No bit is
        positive that is not known.
    classes
        The relations.

    Examples
    --------
    >>> import numpy as np
    >>> classes = Classes(names=("mito", "er"), excludes={"mito": ("er",)})
    >>> positive, known = np.array([0, 1], np.uint8), np.array([1, 1], np.uint8)  # er: not annotated
    >>> relate(positive, known, classes)
    >>> positive.tolist(), known.tolist()
    ([0, 1], [1, 3])
    """
    if not classes.related:
        return
    flat, flat_known = (np.ascontiguousarray(array).reshape(-1) for array in (positive, known))
    if positive.itemsize == known.itemsize == 1:
        _look_up(flat, flat_known, _all_answers(classes.implied, classes.excluded, classes.implying))
    else:
        _relate(flat, flat_known, *classes.tables())
    for array, changed in ((positive, flat), (known, flat_known)):
        if not np.may_share_memory(array, changed):  # the memory was not in one piece
            array[...] = changed.reshape(array.shape)


@lru_cache(maxsize=8)
def _all_answers(*masks: tuple[int, ...]) -> Array:
    """Return what becomes of each pair of bytes, at ``known << 8 | positive``, in the same form."""
    pairs = np.arange(1 << 16)
    positive, known = pairs & 255, pairs >> 8
    _relate(positive, known, *(np.array(mask, np.int64) for mask in masks))
    return (known << 8 | positive).astype(np.uint16)


@kernel
def _look_up(positive: Array, known: Array, answers: Array) -> None:
    for place in range(positive.size):
        answer = answers[known[place] << 8 | positive[place]]
        positive[place] = answer & 255
        known[place] = answer >> 8


@kernel
def _relate(positive: Array, known: Array, implied: Array, excluded: Array, implying: Array) -> None:
    # Few pairs are different, and neighbours mostly are not: the last answer for each slot is kept.
    kept = np.zeros((_SLOTS, 4), np.int64)
    for place in range(positive.size):
        p, k = np.int64(positive[place]), np.int64(known[place])
        slot = (p * 0x9E3779B1 ^ k * 0x85EBCA77) >> 7 & (_SLOTS - 1)
        if kept[slot, 0] != p or kept[slot, 1] != k:
            yes, no = 0, 0
            for bit in range(implied.size):
                one = 1 << bit
                if p & one:
                    yes |= implied[bit]
                    no |= excluded[bit]
                elif k & one:
                    no |= implying[bit]
            kept[slot] = (p, k, p | (yes & ~no & ~k), k | ((yes ^ no) & ~k))
        positive[place], known[place] = kept[slot, 2], kept[slot, 3]
