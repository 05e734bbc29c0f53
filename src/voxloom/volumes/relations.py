"""What one class tells about the others, voxel by voxel, on bits."""

from __future__ import annotations

from numba import njit

from voxloom.sample import Array
from voxloom.volumes.classes import Classes

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
    if classes.related:
        flat, flat_known = positive.reshape(-1), known.reshape(-1)
        _relate(flat, flat_known, *classes.tables())
        # A copy where the memory is not in one piece.
        if not _is_view(flat, positive):
            positive[...] = flat.reshape(positive.shape)
        if not _is_view(flat_known, known):
            known[...] = flat_known.reshape(known.shape)


def _is_view(flat: Array, array: Array) -> bool:
    return flat.base is not None and (flat.base is array or flat.base is array.base)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _relate(  # pragma: no cover - compiled
    positive: Array, known: Array, implied: Array, excluded: Array, implying: Array
) -> None:
    # Neighbours mostly belong to the same classes: what was found for the last voxel is kept.
    last_positive, last_known, now_positive, now_known = 0, 0, 0, 0
    for place in range(positive.size):
        p, k = positive[place], known[place]
        if p != last_positive or k != last_known:
            last_positive, last_known = p, k
            yes, no = 0, 0
            for bit in range(implied.size):
                one = 1 << bit
                if p & one:
                    yes |= implied[bit]
                    no |= excluded[bit]
                elif k & one:
                    no |= implying[bit]
            now_positive = p | (yes & ~no & ~k)
            now_known = k | ((yes ^ no) & ~k)
        positive[place], known[place] = now_positive, now_known
