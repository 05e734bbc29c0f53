"""Amounts as a person reads them; MB counts 10**6 bytes, as disks and networks do."""

from __future__ import annotations

import numpy as np

from voxloom.sample import Cell

__all__ = ["counted", "size_of_cell", "size_text", "time_text"]


def size_of_cell(cell: Cell) -> int:
    """Return the bytes of a field of one sample at rest.

    Examples
    --------
    >>> size_of_cell(b"abc"), size_of_cell(np.zeros((2, 2), np.uint16))
    (3, 8)
    """
    return int(cell.nbytes) if isinstance(cell, np.ndarray) else len(cell)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular for 1.

    Examples
    --------
    >>> counted(1, "sample"), counted(2, "sample"), counted(0, "class", "classes")
    ('1 sample', '2 samples', '0 classes')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def size_text(size: float) -> str:
    """Return a number of bytes in the unit that suits it: a kB is 1000 bytes.

    Examples
    --------
    >>> size_text(1), size_text(512), size_text(1536), size_text(3 * 10**9)
    ('1 byte', '512 bytes', '1.5 kB', '3.0 GB')
    """
    if round(size) < 1000:
        return counted(round(size), "byte")
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


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
