"""How many different values an image holds, and whether they came from 8 bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from voxloom.sample import Array

__all__ = ["LEVELS", "Levels", "levels_of"]

LEVELS = 256
_FEWEST = 16  # values: fewer are classes
_ALL = 0.999  # share of the pixels that the commonest 256 hold
_OFTEN = 4  # pixels of a level, on average, without the commonest one
_ALONE = 0.9  # share of the pixels whose value has no neighbour in the next whole numbers


class Levels(NamedTuple):
    """What is told of the values of an image."""

    number: int
    """Different values, 257 for more; those that next to no pixel has do not count."""
    is_stretched: bool
    """Whether a type of more than 8 bits holds 17 to 256 different values, with nothing between."""
    is_whole: bool
    """Whether a float holds 17 to 256 whole numbers: counts, or 8 bits."""


def levels_of(values: Array) -> Levels:
    """Return how many different values there are, and whether they are 8-bit values in a larger type.

    A table of 256 entries leaves gaps, in even steps or not. An image of few, or of sparse pixels has gaps
    too: so each level must occur often.

    Examples
    --------
    >>> table = np.linspace(130, 3977, 256).round().astype("uint16")
    >>> levels_of(table.repeat(8)).is_stretched, levels_of(np.arange(100, dtype="uint16").repeat(8)).number
    (True, 100)
    """
    different, counts = np.unique(values, return_counts=True)
    if LEVELS < different.size <= 2 * LEVELS:
        kept = np.sort(np.argsort(-counts, kind="stable")[:LEVELS])
        if counts[kept].sum() >= _ALL * values.size:
            different, counts = different[kept], counts[kept]
    if different.size > LEVELS:
        return Levels(LEVELS + 1, False, False)
    number = int(different.size)
    is_often = number and values.size - counts.max() >= _OFTEN * number
    if not (number > _FEWEST and is_often) or values.dtype.itemsize == 1:
        return Levels(number, False, False)
    if values.dtype.kind in "iu":
        return Levels(number, _alone(different, counts) >= _ALONE, False)
    is_whole = bool((different % 1 == 0).all()) and _alone(different, counts) < _ALONE
    return Levels(number, not is_whole, is_whole)


def _alone(different: Array, counts: npt.NDArray[np.int64]) -> float:
    """Return the share of the values whose next whole numbers do not occur."""
    steps = np.diff(different.astype(np.float64))
    apart = np.concatenate([[True], steps > 1]) & np.concatenate([steps > 1, [True]])
    return float(counts[apart].sum() / counts.sum())
