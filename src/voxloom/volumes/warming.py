"""Kernels compiled before they are needed."""

from __future__ import annotations

import numpy as np

from voxloom.geometry import Grid, PatchSpec, Pose
from voxloom.volumes.combining import rule_for
from voxloom.volumes.placement import Placement
from voxloom.volumes.sampling import Interpolation, find_inside, sample

__all__ = ["warm"]

_KINDS: tuple[Interpolation, ...] = ("linear", "nearest")


def warm(*dtypes: str) -> None:
    """Compile what reads of some types need, or load it where it was compiled before.

    Without this the first read of each type does it, which takes some seconds once on a machine, and a
    fraction of a second in each process after that.

    Parameters
    ----------
    dtypes
        numpy's names of types of volumes; none stands for uint8.

    Examples
    --------
    >>> warm("uint8")
    """
    spec = PatchSpec(shape=(2, 2, 2), spacing=(1, 1, 1))
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    placement = Placement.of(spec, (1.5, 1.5, 1.5), Pose(rotation=(20, 0, 0)), grid)
    whole, bits = (slice(0, 4),) * 3, np.zeros((4, 4, 4), np.uint8)
    list(placement.slabs(grid.shape, (0, 1), thick=2))
    for dtype in map(np.dtype, dtypes or ("uint8",)):
        box = np.zeros((1, 4, 4, 4), dtype)
        for kind in _KINDS:
            sample(box, placement, np.zeros((1, 2, 2, 2), dtype), interpolation=kind)
        for table, shifts in ((None, ()), ({1: 1}, ()), (None, ((0, 1),))):
            if dtype.kind in "biu" or not shifts:
                rule_for(1, table, shifts, stored=dtype, bits=bits.dtype)(box[0], whole, bits, True)
    sample(bits[None], placement, np.zeros((1, 2, 2, 2), np.uint8), interpolation="nearest")
    find_inside(placement, grid.shape, np.zeros((2, 2, 2), bool))
    find_inside(placement, grid.shape, np.zeros((2, 2, 2), np.uint8))
