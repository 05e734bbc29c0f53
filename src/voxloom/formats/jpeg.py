"""JPEG through libjpeg-turbo, straight into the caller's memory; the bits are Pillow's.

libjpeg-turbo's accurate integer DCT and its smooth upsampling of colour are what Pillow uses too.
"""

from __future__ import annotations

import numpy as np
import simplejpeg

from voxloom.errors import UnreadableImageError
from voxloom.formats.pixels import Data, refuse_impossible, unreadable
from voxloom.sample import Array

__all__ = ["MODES", "decode", "decode_into", "size_of"]

MODES = {"YCbCr": "RGB", "RGB": "RGB", "Gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}
"""What libjpeg-turbo calls the colours of a file, and Pillow's mode."""

# What simplejpeg calls the colour space in the file: what it decodes to, how many channels that has.
_TARGETS = {
    "YCbCr": ("RGB", 3),
    "RGB": ("RGB", 3),
    "Gray": ("GRAY", 1),
    "CMYK": ("CMYK", 4),
    "YCCK": ("CMYK", 4),
}
# libjpeg's warnings that say that pixels are lost; what else it warns of, Pillow reads without a word.
_LOST = ("remature end", "bad Huffman", "bad arithmetic", "instead of RST", "Inconsistent progression")
_UINT8 = np.dtype(np.uint8)
_RATIO = 4096  # 64 pixels take a bit at least, which makes 512 a byte; arithmetic coding is rare


def size_of(data: Data, at_least: tuple[int, int] | None) -> tuple[int, int, str]:
    """Return height, width and colour space; scaled as `decode` would with the same `at_least`.

    Raises
    ------
    ValueError
        If libjpeg-turbo does not know what it is.
    """
    height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    if at_least is not None:
        factor = _factor(height, width, at_least)
        height, width = -(-height // factor), -(-width // factor)
    return height, width, space


def _factor(height: int, width: int, at_least: tuple[int, int]) -> int:
    for factor in (8, 4, 2):
        if -(-height // factor) >= at_least[0] and -(-width // factor) >= at_least[1]:
            return factor
    return 1


def decode_into(data: Data, out: Array, at_least: tuple[int, int] | None = None, *, name: str = "") -> bool:
    """Fill `out`, (height, width, channels) or (height, width), and say whether that could be done.

    False where `out` has not the size or the channels of the image, and where Pillow has to read it.

    Raises
    ------
    UnreadableImageError
        If pixels are missing.
    """
    try:
        height, width, space = size_of(data, at_least)
        target, channels = _TARGETS.get(space, ("", 0))
        if out.shape != (height, width, channels) and (channels != 1 or out.shape != (height, width)):
            return False
        if out.dtype != _UINT8 or not out.flags.c_contiguous:
            return False
        simplejpeg.decode_jpeg(data, target, False, False, height, width, 1, out)
        if channels == 4:
            np.subtract(255, out, out=out)  # Adobe stores inks turned round, and Pillow takes it for granted
    except ValueError as error:
        _refuse_loss(error, name)
        return False
    return True


def decode(data: Data, at_least: tuple[int, int] | None = None, *, name: str = "") -> Array | None:
    """Return uint8 (height, width, channels), or (height, width) if grey; None where Pillow has to read it.

    Raises
    ------
    UnreadableImageError
        If pixels are missing, or the header claims more of them than are read.
    """
    try:
        height, width, space = size_of(data, at_least)
        refuse_impossible((height, width), 1, len(data), ratio=_RATIO, name=name)
        if space not in _TARGETS:
            return None
        target, channels = _TARGETS[space]
        pixels: Array = simplejpeg.decode_jpeg(data, target, False, False, height, width)
    except UnreadableImageError:
        raise
    except ValueError as error:
        _refuse_loss(error, name)
        return None
    if channels == 4:
        np.subtract(255, pixels, out=pixels)
    return pixels[..., 0] if channels == 1 else pixels


def _refuse_loss(error: ValueError, name: str) -> None:
    if any(words in str(error) for words in _LOST):
        raise unreadable(name, f"a truncated or damaged JPEG ({error})") from error
