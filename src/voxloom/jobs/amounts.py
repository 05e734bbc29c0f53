"""Amounts as a person reads them."""

from __future__ import annotations

import numpy as np

from voxloom.sample import Cell

__all__ = ["size_of_cell", "size_text", "time_text"]


def size_of_cell(cell: Cell) -> int:
    """Return the bytes of a field of one sample at rest.

    Examples
    --------
    >>> size_of_cell(b"abc"), size_of_cell(np.zeros((2, 2), np.uint16))
    (3, 8)
    """
    return int(cell.nbytes) if isinstance(cell, np.ndarray) else len(cell)


def size_text(size: float) -> str:
    """Return a number of bytes in the unit that suits it.

    Examples
    --------
    >>> size_text(512), size_text(1536), size_text(3 * 2**30)
    ('512 bytes', '1.5 KiB', '3.0 GiB')
    """
    if size < 1024:
        return f"{size:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def time_text(seconds: float) -> str:
    """Return a duration in two units at most.

    Examples
    --------
    >>> time_text(0.25), time_text(59.4), time_text(61), time_text(7320), time_text(200000)
    ('0.2 s', '59 s', '1 min 1 s', '2 h 2 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {smaller}"
    return f"{whole} s"
