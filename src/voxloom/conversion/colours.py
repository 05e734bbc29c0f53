"""Image files in inks and other colours than red, green and blue."""

from __future__ import annotations

import numpy as np

from voxloom.errors import SchemaError, UnreadableImageError
from voxloom.formats.encoding import as_pil, header
from voxloom.formats.pixels import Data, damage_named
from voxloom.sample import Array

__all__ = ["PLAIN", "odd_mode", "rgb"]

PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's modes whose numbers are grey, or red, green and blue, and alpha, as their count tells."""

_GREYS = ("MINISBLACK", "MINISWHITE", "PALETTE")


def odd_mode(data: Data, *, name: str = "") -> str:
    """Return the mode of an image file whose numbers are other colours, such as CMYK or LAB; else "".

    Raises
    ------
    UnreadableImageError
        If its header cannot be read.

    Examples
    --------
    >>> odd_mode(b"P6 1 1 255 abc")
    ''
    """
    head = header(data, name=name)
    if head.kind != "tiff":
        return head.mode if head.mode not in ("", *PLAIN) else ""
    if head.mode in _GREYS or (head.mode == "RGB" and head.shape[-1] == 3):
        return ""
    try:
        mode = as_pil(data, name=name).mode
    except UnreadableImageError:
        mode = head.mode  # Pillow has no pixels of this type, or does not know the colours
    return "" if mode in PLAIN else mode


def rgb(data: Data, mode: str, *, name: str = "") -> Array:
    """Return a file of an `odd_mode` as Pillow gives its colours, with alpha where `mode` has it.

    Returns
    -------
    Array
        uint8, (height, width, 3 or 4).

    Raises
    ------
    SchemaError
        If Pillow does not know its colours, or they have more than 8 bits.
    UnreadableImageError
        If it is damaged.
    """
    head = header(data, name=name)
    if head.dtype == "uint8":
        try:
            with damage_named(name):
                image = as_pil(data, name=name)
                image.load()
            return np.array(image.convert("RGBA" if mode in ("LA", "RGBA") else "RGB"))
        except ValueError as error:
            raise _unknown(head.mode, mode, name) from error
    raise _unknown(f"{head.mode} of {head.dtype}", mode, name)


def _unknown(has: str, mode: str, name: str) -> SchemaError:
    return SchemaError(f"{name}: colours {has} cannot be turned into mode {mode!r}. Leave mode out.")
