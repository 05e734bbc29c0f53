"""From a TIFF or PNG file to one plane of pixels, as the policy allows."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import tifffile

from voxloom.component import Component
from voxloom.errors import DataError, MissingDataError, UnreadableImageError
from voxloom.formats.pixels import DAMAGE, MOST_PIXELS
from voxloom.sample import Array

__all__ = ["Color", "ReadPolicy", "decode", "grey"]

Color = Literal["error", "luma"]
"""What is done with several channels."""

# Both byte orders of TIFF and BigTIFF: the content decides how a file is read, not its ending.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG\r\n\x1a\n"
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R BT.601


class ReadPolicy(Component):
    """What to do with a file that is not one page of one finite channel.

    Examples
    --------
    >>> ReadPolicy(color="luma", pages="middle").model_dump()
    {'color': 'luma', 'pages': 'middle', 'nonfinite': 'error', 'blank': 'keep'}
    """

    color: Color = "error"
    """Several channels: refuse, or take the luma 0.299 R + 0.587 G + 0.114 B and drop any alpha."""
    pages: Literal["error", "first", "middle"] = "error"
    """Several pages: refuse, or take the first or the one at index ``pages // 2``."""
    nonfinite: Literal["error", "zero"] = "error"
    """NaN or infinite pixels: refuse, or read them as 0."""
    blank: Literal["keep", "error"] = "keep"
    """An image of zeros only: take it as it is, or refuse."""


def decode(data: Path | bytes | memoryview, policy: ReadPolicy, name: str = "") -> Array:
    """Return the pixels of an image file.

    Parameters
    ----------
    data
        A TIFF or PNG file, or its content; the content tells which.
    policy
        What to do with colour and with several pages.
    name
        What messages call the file; empty means its path.

    Returns
    -------
    Array
        Axes yx, of the file's own type.

    Raises
    ------
    MissingDataError, UnreadableImageError, DataError
        As `voxloom.sources.read_image` tells.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "flags.tif"
    >>> tifffile.imwrite(path, np.eye(3) > 0)
    >>> decode(path, ReadPolicy()).dtype
    dtype('bool')
    """
    name = name or (str(data) if isinstance(data, Path) else "image")
    kind = _kind(_head(data), name)
    try:
        if kind == "tiff":
            return _read_tiff(data, policy, name)
        return _read_png(data.read_bytes() if isinstance(data, Path) else bytes(data), policy, name)
    except DataError:
        raise
    except DAMAGE as error:
        raise UnreadableImageError(
            f"{name}: truncated or damaged ({type(error).__name__}: {error}). "
            "Write the file again from its origin, or take it out of the folder."
        ) from error


def _head(data: Path | bytes | memoryview) -> bytes:
    if not isinstance(data, Path):
        return bytes(data[: len(_PNG)])
    path = data
    try:
        with path.open("rb") as file:
            return file.read(len(_PNG))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: no such file.") from error
    except OSError as error:
        raise UnreadableImageError(f"{path}: could not be opened ({error.strerror or error}).") from error


def _kind(head: bytes, name: str) -> Literal["tiff", "png"]:
    if head[:4] in _TIFF:
        return "tiff"
    if head == _PNG:
        return "png"
    what = f"neither TIFF nor PNG (it begins with {head!r})" if head else "an empty file (0 bytes)"
    raise UnreadableImageError(
        f"{name}: {what}. Write it again from its origin, or take it out of the folder."
    )


def _read_tiff(data: Path | bytes | memoryview, policy: ReadPolicy, name: str) -> Array:
    with tifffile.TiffFile(data if isinstance(data, Path) else io.BytesIO(data)) as tif:
        page = _chosen_page(tif, name, policy)
        _refuse_impossible(page, tif.filehandle.size)
        return grey(_pixels(page, name), policy, name)


def _pixels(page: tifffile.TiffPage, name: str) -> Array:
    """Return a page with axes yx, or yxs if it has colours."""
    color, bits = page.photometric.name, page.bitspersample
    pixels: Array = page.asarray()
    if color == "PALETTE":
        return _one_of_equal(np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1).astype(np.uint8))
    if page.axes not in ("YX", "YXS", "SYX") or (pixels.ndim == 3 and color not in ("RGB", "YCBCR")):
        raise DataError(
            f"{name}: a page with axes {page.axes} and shape {page.shape}, stored as {color}. "
            "Expected one channel: export each channel as a file of its own."
        )
    if color == "MINISWHITE" and pixels.dtype.kind in "bu":
        pixels = ~pixels if pixels.dtype == np.bool_ else (1 << bits) - 1 - pixels
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


def _refuse_impossible(page: tifffile.TiffPage, file_size: int) -> None:
    if int(np.prod(page.shape)) > MOST_PIXELS:
        raise ValueError(f"it claims to hold {page.shape} pixels")
    if page.compression != 1 and len(page.dataoffsets) < np.prod(page.chunked):
        raise ValueError(f"{len(page.dataoffsets)} of its {np.prod(page.chunked)} strips or tiles are there")
    # JPEG decoders fill up what is missing; for uncompressed data the count of the last strip may lie
    end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
    if page.compression != 1 and end > file_size:
        raise ValueError(f"its data should end at byte {end}, the file ends at {file_size}")


def _chosen_page(tif: tifffile.TiffFile, name: str, policy: ReadPolicy) -> tifffile.TiffPage:
    pages = [tif.pages[0]] if len(tif.pages) == 1 else [p for p in tif.pages if not p.is_reduced]
    if not pages:
        raise ValueError("no page in it")
    # ImageJ stores a stack of more than 4 GB behind the header of its first page alone
    count = max(len(pages), (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1)
    if count > 1 and policy.pages == "error":
        raise DataError(
            f"{name}: {count} pages, expected one. Write the stack as a volume (see the page on "
            "volumes), split it into files, or set the policy pages='first' or 'middle'."
        )
    index = count // 2 if policy.pages == "middle" else 0
    if index >= len(pages):
        raise DataError(f"{name}: {count} pages behind one header. Split the stack into files.")
    return pages[index]


def _read_png(data: bytes, policy: ReadPolicy, name: str) -> Array:
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    if width * height > MOST_PIXELS:
        raise ValueError(f"it claims to hold {height} x {width} pixels")
    pixels: Array = imagecodecs.png_decode(data)
    if color == 0 and depth == 1:  # the decoder spreads 1 bit over 0 to 255
        pixels = pixels > 0
    if color == 3:  # a palette, spread by the decoder
        pixels = _one_of_equal(pixels)
    return grey(pixels, policy, name)


def _one_of_equal(pixels: Array) -> Array:
    """Return one channel if red, green and blue are equal everywhere and nothing is transparent."""
    if pixels.shape[-1] == 3 and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def grey(pixels: Array, policy: ReadPolicy, name: str) -> Array:
    """Return one channel (y, x) of pixels (y, x) or (y, x, channels), or refuse them, as the policy says."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[-1]
    if policy.color == "error":
        names = {2: "grey and alpha", 3: "RGB", 4: "RGB and alpha"}.get(channels, "colour")
        raise DataError(
            f"{name}: {channels} channels ({names}), expected one. "
            "Convert the file to greyscale, or set the policy color='luma'."
        )
    if channels == 2:
        return pixels[..., 0]
    with np.errstate(invalid="ignore", over="ignore"):
        luma: Array = pixels[..., :3] @ np.asarray(_LUMA)
        return (luma if pixels.dtype.kind == "f" else np.rint(luma)).astype(pixels.dtype)
