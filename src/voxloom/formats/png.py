"""PNG: 8 bits through kornia-rs, 16 bits through libpng, palettes and what is rare through Pillow."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import imagecodecs
import kornia_rs.io
import numpy as np

from voxloom.formats.pixels import Data, refuse_impossible
from voxloom.sample import Array

__all__ = ["PngHeader", "decode", "header"]

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MODES = {1: "mono", 3: "rgb", 4: "rgba"}
_RATIO = 1100  # deflate makes nothing smaller than by 1032


@dataclass(frozen=True)
class PngHeader:
    """What stands before the pixels.

    Attributes
    ----------
    height, width
        In pixels.
    depth
        Bits of a channel.
    color
        0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
    keyed
        Whether a colour or the palette has transparency.
    frames
        More than 1 for an animation.
    """

    height: int
    width: int
    depth: int
    color: int
    keyed: bool
    frames: int

    @property
    def channels(self) -> int:
        """Channels as stored; 1 for a palette."""
        return _CHANNELS[self.color]


def header(data: Data, *, name: str = "") -> PngHeader:
    """Read what stands before the pixels.

    Raises
    ------
    UnreadableImageError
        If it claims more than is read, or than the file could hold.
    struct.error, ValueError
        If it is cut or wrong.
    """
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    if color not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or not width or not height:
        raise ValueError(f"{height} x {width} pixels of {depth} bits, colour type {color}")
    ratio = _RATIO * 8 // (depth * _CHANNELS[color])
    refuse_impossible((height, width), 1, len(data), ratio=ratio, name=name)
    chunks = _chunks(data)
    frames = struct.unpack(">I", chunks["acTL"])[0] if "acTL" in chunks else 1
    return PngHeader(height, width, depth, color, "tRNS" in chunks, frames)


def _chunks(data: Data) -> dict[str, bytes]:
    """Return the first four bytes of each chunk before the pixels."""
    found: dict[str, bytes] = {}
    place = 33
    while place + 12 <= len(data):
        length, tag = struct.unpack(">I4s", data[place : place + 8])
        if tag == b"IDAT":
            break
        found[tag.decode("latin-1")] = bytes(data[place + 8 : place + 12])
        place += 12 + length
    return found


def decode(data: Data, head: PngHeader) -> Array | None:
    """Return (height, width) or (height, width, channels); None where Pillow has to.

    1 bit of grey becomes bool, as in Pillow; 16 bits stay 16 bits, also those of colours.
    """
    if head.color == 3 or head.depth in (2, 4) or (head.keyed and head.depth < 16):
        return None
    data = bytes(data)
    if head.depth == 8 and head.channels in _MODES:
        pixels = _by_kornia(data, head)
        if pixels is not None:
            return pixels[..., 0] if head.channels == 1 else pixels
    pixels = imagecodecs.png_decode(data)
    if head.keyed:  # libpng makes alpha of it
        return np.ascontiguousarray(pixels[..., 0] if head.channels == 1 else pixels[..., : head.channels])
    return pixels > 0 if head.depth == 1 else pixels


def _by_kornia(data: bytes, head: PngHeader) -> Array | None:
    try:
        pixels: Array = kornia_rs.io.decode_image_png_u8(
            data, (head.height, head.width), _MODES[head.channels]
        )
    except Exception as error:  # kornia-rs has no class of its own for what it refuses
        if type(error) is not Exception:
            raise
        return None  # libpng decides, and says what is wrong
    return np.require(pixels, requirements=["C", "W"])
