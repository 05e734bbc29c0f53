"""What all decoders share: limits, refusals, and the axes of what they give."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
from PIL.Image import DecompressionBombError

from voxloom.errors import DataError, UnreadableImageError
from voxloom.sample import Array

__all__ = [
    "DAMAGE",
    "MOST_PIXELS",
    "Data",
    "arranged",
    "damage_named",
    "native",
    "placed",
    "refuse_impossible",
    "unreadable",
]

Data = bytes | memoryview
"""The content of a file."""

MOST_PIXELS = 2**30
"""Of one image: a damaged header may claim anything, and memory is taken before the data is seen."""

DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
    SyntaxError,
    EOFError,
    struct.error,
    DecompressionBombError,
)
"""What decoders raise on damaged files, as found by cutting and changing files byte by byte.

SyntaxError and EOFError are Pillow's words for them; its own limit is lower than ours for WebP alone.
"""

_CURE = "Write the file again from its origin, or take it out of the data."


def unreadable(name: str, what: object) -> UnreadableImageError:
    """Return the error that says what is wrong with the file called `name`."""
    return UnreadableImageError(f"{name or 'image'}: {what}. {_CURE}")


@contextmanager
def damage_named(name: str) -> Iterator[None]:
    """Turn what decoders raise on a damaged file into an UnreadableImageError that names the file."""
    try:
        yield
    except DataError:
        raise
    except DAMAGE as error:
        raise unreadable(name, f"truncated or damaged ({type(error).__name__}: {error})") from error


def refuse_impossible(shape: tuple[int, ...], item: int, size: int, *, ratio: int | None, name: str) -> None:
    """Refuse what a header claims before memory is taken for it.

    Parameters
    ----------
    shape, item
        Extents in the header, and bytes of one element.
    size
        Bytes of the file.
    ratio
        How much smaller than the pixels the file can be at most, None where there is no bound.
    name
        The file, for the message.

    Raises
    ------
    UnreadableImageError
        If it claims more than 2**30 pixels, or more than its bytes could hold.

    Examples
    --------
    >>> refuse_impossible((100, 100), 1, 50, ratio=1, name="a.bin")
    Traceback (most recent call last):
    voxloom.errors.UnreadableImageError: a.bin: it claims to hold 100 x 100 pixels, more than its 50 bytes
    can. Write the file again from its origin, or take it out of the data.
    """
    count, text = prod(shape), " x ".join(map(str, shape))
    if count > MOST_PIXELS:
        raise unreadable(name, f"it claims to hold {text} pixels; at most {MOST_PIXELS} are read")
    if ratio is not None and count * item > ratio * size:
        raise unreadable(name, f"it claims to hold {text} pixels, more than its {size} bytes can")


def native(pixels: Array) -> Array:
    """Return the pixels in the byte order of this machine."""
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))


def arranged(pixels: Array, natural: str, axes: str | None, *, name: str) -> Array:
    """Return decoded pixels with the axes that a field has.

    Axes of extent 1 are added or dropped as needed, and all are put in order; none is merged or cut.

    Parameters
    ----------
    pixels
        What a decoder gave.
    natural
        Its axes: ``yx`` or ``yxc``, with a leading ``z`` for several pages.
    axes
        What is wanted, or None for `natural`.
    name
        The file, for the message.

    Raises
    ------
    DataError
        If an axis that is not wanted has several elements.

    Examples
    --------
    >>> arranged(np.zeros((4, 5)), "yx", "cyx", name="a.png").shape
    (1, 4, 5)
    >>> arranged(np.zeros((4, 5, 3)), "yxc", "cyx", name="a.png").shape
    (3, 4, 5)
    >>> arranged(np.zeros((4, 5, 3)), "yxc", "yx", name="a.png")
    Traceback (most recent call last):
    voxloom.errors.DataError: a.png: 3 channels, where the field has axes 'yx'. Convert the file to one
    channel, or give the field an axis 'c'.
    """
    if axes is None or axes == natural:
        return pixels
    for axis in set(natural) - set(axes):
        _refuse_several(axis, pixels.shape[natural.index(axis)], axes, name=name)
        pixels, natural = pixels.squeeze(natural.index(axis)), natural.replace(axis, "")
    if extra := "".join(axis for axis in axes if axis not in natural):
        pixels, natural = pixels.reshape((1,) * len(extra) + pixels.shape), extra + natural
    return np.ascontiguousarray(pixels.transpose([natural.index(axis) for axis in axes]))


def _refuse_several(axis: str, count: int, axes: str, *, name: str) -> None:
    if count == 1:
        return
    what, cure = {
        "c": ("channels", "Convert the file to one channel, or give the field an axis 'c'"),
        "z": ("pages", "Split the stack into files, or give the field an axis 'z'"),
    }.get(axis, (f"elements along {axis!r}", f"Give the field an axis {axis!r}"))
    raise DataError(f"{name or 'image'}: {count} {what}, where the field has axes {axes!r}. {cure}.")


def placed(pixels: Array, out: Array | None, *, name: str) -> Array:
    """Return `pixels` in `out`, or themselves where there is none.

    Raises
    ------
    DataError
        If `out` has another shape or type.
    """
    if out is None:
        return pixels
    if pixels.shape != out.shape or pixels.dtype != out.dtype:
        raise DataError(
            f"{name or 'image'}: {pixels.dtype} of shape {pixels.shape}, where the batch takes {out.dtype} "
            f"of shape {out.shape}. Convert the data to one size and type (--size, --mode), or crop them."
        )
    np.copyto(out, pixels)
    return out
