"""How much each tile counts where tiles overlap.

Tiles lie on a lattice, so the weight of a tile at a voxel is a product of three numbers, one an axis,
and the sum over all tiles is a product too. Each axis is normalised by itself, once and for all, and
no volume of weights is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.errors import SchemaError

__all__ = ["FIXED", "Blend", "axis_weights", "fixed_weights", "window"]

Blend = Literal["hann", "gaussian", "flat"]
Weights = npt.NDArray[np.float64]

FIXED = 32
"""Sum of the whole-number weights of an axis: those of three axes take 15 bits."""

_SIGMA = 0.125  # of a tile, as in MONAI's sliding window
_FAINTEST = 1e-3  # of the middle: a Gaussian's tail alone must still be divided by


def window(length: int, kind: Blend) -> Weights:
    """Return the weight of each voxel of a tile along an axis; none is zero.

    Parameters
    ----------
    length
        Voxels of the tile.
    kind
        ``hann`` is a raised cosine, ``gaussian`` has a deviation of an eighth of the tile, and ``flat``
        weights all alike.

    Raises
    ------
    SchemaError
        If the kind is none of them.

    Examples
    --------
    >>> window(4, "hann").round(3).tolist()
    [0.146, 0.854, 0.854, 0.146]
    """
    place = (np.arange(length) + 0.5) / length
    if kind == "hann":
        return np.asarray(np.sin(np.pi * place) ** 2)
    if kind == "gaussian":
        return np.asarray(np.maximum(np.exp(-0.5 * ((place - 0.5) / _SIGMA) ** 2), _FAINTEST))
    if kind == "flat":
        return np.ones(length)
    raise SchemaError(f"blend {kind!r}: expected hann, gaussian or flat.")


def axis_weights(starts: Sequence[int], tile: int, kind: Blend) -> Weights:
    """Return the share of each tile in each of its voxels along an axis; at every voxel they sum to 1.

    Parameters
    ----------
    starts
        First voxel of each tile, in order.
    tile
        Voxels of a tile.
    kind
        See `window`.

    Returns
    -------
    numpy.ndarray
        (tiles, tile) float64.

    Examples
    --------
    >>> axis_weights([0, 2], 4, "flat").tolist()
    [[1.0, 1.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]
    """
    shape = window(tile, kind)
    total = np.zeros(starts[-1] + tile)
    for start in starts:
        total[start : start + tile] += shape
    return np.stack([shape / total[start : start + tile] for start in starts])


def fixed_weights(starts: Sequence[int], tile: int, kind: Blend) -> npt.NDArray[np.int32]:
    """Return the shares of `axis_weights` as whole numbers that sum to exactly `FIXED` at every voxel.

    Sums of whole numbers do not depend on their order, so neither the split of the work nor a resume
    changes a blended value, and what all tiles agree on comes out as it is.

    Returns
    -------
    numpy.ndarray
        (tiles, tile) int32.

    Examples
    --------
    >>> fixed_weights([0, 2], 4, "flat").tolist()
    [[32, 32, 16, 16], [16, 16, 32, 32]]
    """
    shares = axis_weights(starts, tile, kind)
    reached: npt.NDArray[Any] = np.zeros(starts[-1] + tile)
    whole = np.empty(shares.shape, np.int32)
    for row, start in enumerate(starts):
        part = slice(start, start + tile)
        before = np.rint(reached[part] * FIXED)
        reached[part] += shares[row]
        # What is rounded is the running sum: it ends at FIXED whatever was lost on the way.
        whole[row] = np.rint(reached[part] * FIXED) - before
    return whole
