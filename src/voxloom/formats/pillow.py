"""What no other decoder reads, and images as Pillow knows them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from voxloom.formats.pixels import Data, native, refuse_impossible, unreadable
from voxloom.sample import Array, Kind

__all__ = ["MODES", "decode", "opened"]

MODES = {
    "avif": "AVIF",
    "bmp": "BMP",
    "gif": "GIF",
    "jp2": "JPEG2000",
    "jpeg": "JPEG",
    "png": "PNG",
    "ppm": "PPM",
    "tiff": "TIFF",
    "webp": "WEBP",
}
"""Our names of kinds of files, and Pillow's."""

# How many pixels a byte can hold at most; other formats have no bound that helps.
_RATIOS = {"bmp": 256, "gif": 4096, "ppm": 8, "jpeg": 4096}
_ANIMATED = ("gif", "webp", "avif", "png")


def opened(data: Data, kind: str, *, name: str = "") -> Image.Image:
    """Open an image without decoding it; the mode, the palette and the format are the file's.

    ``PIL.Image.open`` warns of images that are large but sound; here one limit holds for all decoders,
    and a warning cannot be held back in one thread alone. So the reader of the format is called itself.
    """
    Image.init()
    if MODES[kind] not in Image.OPEN:
        raise unreadable(name, f"a file of the kind {kind!r}, which this build of Pillow does not read")
    factory, _ = Image.OPEN[MODES[kind]]
    image: Image.Image = factory(io.BytesIO(data), "")
    refuse_impossible((image.height, image.width), 1, len(data), ratio=_RATIOS.get(kind), name=name)
    return image


def decode(data: Data, kind: str, use: Kind = "image", *, name: str = "") -> Array:
    """Return (height, width) or (height, width, channels) in the type of the image's mode.

    A palette gives RGB, or RGB and alpha where it is transparent; to a mask it gives its indices.
    """
    with opened(data, kind, name=name) as image:
        frames = getattr(image, "n_frames", 1) if kind in _ANIMATED else 1
        if frames > 1:
            raise unreadable(name, f"an animation of {frames} frames, where one image is expected")
        if image.mode in ("P", "PA") and use != "mask":
            clear = image.mode == "PA" or "transparency" in image.info
            return np.array(image.convert("RGBA" if clear else "RGB"))
        pixels: Array = np.array(image)
    return native(pixels[..., 0] if image.mode == "PA" else pixels)
