"""What one class tells about the others, voxel by voxel, on bits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from voxloom.sample import Array
from voxloom.volumes.classes import Classes
from voxloom.volumes.compiling import kernel

__all__ = ["relate"]


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
    masks = classes.implied, classes.excluded, classes.implying
    flat, flat_known = (np.ascontiguousarray(array).reshape(-1) for array in (positive, known))
    if positive.itemsize == known.itemsize == 1:
        _look_up(flat, flat_known, _all_answers(*masks))
    else:
        _relate(flat, flat_known, *_by_bytes(*masks))
    for array, changed in ((positive, flat), (known, flat_known)):
        if not np.may_share_memory(array, changed):  # the memory was not in one piece
            array[...] = changed.reshape(array.shape)


@lru_cache(maxsize=8)
def _all_answers(*masks: tuple[int, ...]) -> Array:
    """Return what becomes of each pair of bytes, at ``known << 8 | positive``, in the same form."""
    pairs = np.arange(1 << 16)
    positive, known = pairs & 255, pairs >> 8
    _relate(positive, known, *_by_bytes(*masks))
    return (known << 8 | positive).astype(np.uint16)


@lru_cache(maxsize=8)
def _by_bytes(*masks: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the first bit of each byte in which a class tells something, and what each of its values tells.

    The second is (bytes, 256, 3): the union of each of the masks over the bits that are set.
    """
    number = len(masks[0])
    places = [p for p in range(0, number, 8) if any(any(mask[p : p + 8]) for mask in masks)]
    told, values = np.zeros((len(places), 256, len(masks)), np.int64), np.arange(256)
    for row, place in zip(told, places, strict=True):
        for kind, mask in enumerate(masks):
            for bit, others in enumerate(mask[place : place + 8]):
                row[values >> bit & 1 == 1, kind] |= others
    return np.array(places, np.int64), told


@kernel
def _look_up(positive: Array, known: Array, answers: Array) -> None:
    for place in range(positive.size):
        answer = answers[known[place] << 8 | positive[place]]
        positive[place] = answer & 255
        known[place] = answer >> 8


@kernel
def _relate(positive: Array, known: Array, places: Array, told: Array) -> None:
    for voxel in range(positive.size):
        p, k = np.int64(positive[voxel]), np.int64(known[voxel])
        absent, yes, no = k & ~p, 0, 0
        for n in range(places.size):
            present = told[n, (p >> places[n]) & 255]
            yes |= present[0]
            no |= present[1] | told[n, (absent >> places[n]) & 255, 2]
        positive[voxel], known[voxel] = p | (yes & ~no & ~k), k | ((yes ^ no) & ~k)
