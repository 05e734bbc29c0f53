"""Vectors block by block, none of which may hold NaN or an infinity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.points import Points
from voxloom.errors import DataError
from voxloom.sample import Array

__all__ = ["finite_blocks"]


def finite_blocks(
    points: Points, rows: npt.NDArray[np.integer] | None = None
) -> Iterator[tuple[slice, Array]]:
    """Yield what `Points.blocks` yields, all of it finite.

    Raises
    ------
    DataError
        When a vector holds a value that is not finite; it names the first.

    Examples
    --------
    >>> points = Points.of_arrays({"a": np.zeros((3, 2))})
    >>> [block.shape for _, block in finite_blocks(points)]
    [(3, 2)]
    """
    for place, block in points.blocks(rows):
        wrong = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if len(wrong):
            which = place.start + int(wrong[0])
            row = which if rows is None else int(rows[which])
            raise DataError(
                f"the vector of {points.keys[row]} holds a value that is not finite, as {len(wrong)} of "
                f"{len(block)} read with it do: expected numbers. Encode it again, or leave it out."
            )
        yield place, block
