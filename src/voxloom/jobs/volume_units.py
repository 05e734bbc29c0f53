"""Volumes opened to be looked at, with or without a unit, and their lengths in a unit that suits them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from voxloom.errors import VolumeMetadataError
from voxloom.geometry import Point
from voxloom.volumes import Volume

__all__ = ["IN_NM", "NO_UNIT", "lengths_text", "opened", "unit_for"]

NO_UNIT = "no unit"
IN_NM = {"nm": 1.0, "µm": 1e3, "mm": 1e6, NO_UNIT: 1.0}
"""Nanometres of each unit that lengths are shown in."""
_TURN = 0.1  # of a unit, from where a spacing is shown in it


def opened(
    path: str | os.PathLike[str], *, unit: str | None = None, spacing: Point | None = None
) -> tuple[Volume, bool]:
    """Open a volume, and say whether it has units; without them the numbers of the file count as nm.

    Where the metadata say no scale either, voxels are 1 along each axis.

    Parameters
    ----------
    path
        A folder or a URL.
    unit, spacing
        As `Volume.open` takes them; where one is given, nothing is assumed.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError
        If it cannot be opened.
    """
    try:
        return Volume.open(path, unit=unit, spacing=spacing), True
    except VolumeMetadataError:
        if unit is not None or spacing is not None:
            raise
        for assumed in ({"unit": "nanometer"}, {"spacing": (1.0, 1.0, 1.0)}):
            try:
                return Volume.open(path, **assumed), False
            except VolumeMetadataError:
                continue
        raise


def unit_for(spacing: Sequence[float]) -> str:
    """Return the unit that a spacing in nm is told in.

    Examples
    --------
    >>> unit_for((40, 8, 8)), unit_for((1000, 650, 650)), unit_for((1e6, 1e6, 1e6))
    ('nm', 'µm', 'mm')
    """
    return next((name for name in ("mm", "µm") if max(spacing) >= _TURN * IN_NM[name]), "nm")


def lengths_text(lengths: Sequence[float], unit: str) -> str:
    """Return lengths in nm as numbers in a unit.

    Examples
    --------
    >>> lengths_text((1e6, 5e5, 1.915e8), "mm")
    '1 x 0.5 x 191.5'
    """
    return " x ".join(f"{length / IN_NM[unit]:.6g}" for length in lengths)
