"""Columns of text whose cells are all numbers: taken as such where no cell loses what was written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np

from voxloom.sample import Array

__all__ = ["integers", "is_number", "numbers"]

_NOT_FINITE = {"nan", "inf", "+inf", "-inf"}
_EXACT = 2**53  # up to here a float64 holds each integer
_LIMITS = np.iinfo(np.int64)


def integers(column: Sequence[str]) -> Array | None:
    """Return a column as int64, or None where a cell is no integer or too large for one.

    Examples
    --------
    >>> integers(["3", " -4"]), integers(["3", "007"])
    (array([ 3, -4]), None)
    """
    found = []
    for cell in column:
        text = cell.strip()
        if not text.isascii() or str(_integer(text)) != text.removeprefix("+"):
            return None  # 007 is a name, and so is 1_000
        found.append(int(text))
    if found and not _LIMITS.min <= min(found) <= max(found) <= _LIMITS.max:
        return None
    return np.array(found, np.int64)


def numbers(column: Sequence[str]) -> Array | None:
    """Return a column as int64 or float64, or None where it is not all numbers, or would lose digits.

    Text stay identifiers of more than 17 digits, numbers too large for a float, and versions like 1.9 and
    1.10. Decimals filled up with zeros to one length, as programs print them, are numbers; so are nan and
    inf among other numbers.

    Examples
    --------
    >>> numbers(["1", "2.5"]), numbers(["0.50", "1.25"]), numbers(["1.9", "1.10"])
    (array([1. , 2.5]), array([0.5 , 1.25]), None)
    """
    whole = integers(column)
    if whole is not None:
        return whole
    texts = [cell.strip() for cell in column]
    finite = [text for text in texts if text.lower() not in _NOT_FINITE]
    if not finite or not all(is_number(text) and _is_kept(text) for text in finite):
        return None
    padded = any("." in text and repr(float(text)) != text and _mantissa(text)[-1] == "0" for text in finite)
    if padded and len({_decimals(text) for text in finite}) > 1:
        return None
    return np.array([float(text) for text in texts], np.float64)


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number, without leading zeros or underscores.

    Examples
    --------
    >>> is_number("1e3"), is_number("007"), is_number("1_000"), is_number("n/a")
    (True, False, False, False)
    """
    text = cell.strip()
    digits = text.lstrip("+-")
    if not text.isascii() or "_" in text or (digits[:1] == "0" and digits[1:2].isdigit()):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _is_kept(text: str) -> bool:
    """Whether a float, written with as many digits, is what was written."""
    value = float(text)
    if not math.isfinite(value) or (abs(value) > _EXACT and text.lstrip("+-").isdigit()):
        return False
    try:
        written = Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return False
    digits = len(written.as_tuple().digits)
    return Decimal(f"{value:.{digits - 1}e}") == written


def _mantissa(text: str) -> str:
    return text.lower().partition("e")[0]


def _decimals(text: str) -> int:
    return len(_mantissa(text).partition(".")[2])
