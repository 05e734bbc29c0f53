"""TIFF through tifffile and imagecodecs: any type of pixel, strips, tiles, palettes and stacks."""

from __future__ import annotations

import io
from math import prod

import numpy as np
import tifffile

from voxloom.formats.pixels import Data, native, refuse_impossible
from voxloom.sample import Array, Kind

__all__ = ["decode", "header"]

# How much smaller than its pixels a page can be; other codecs have no bound that helps.
_RATIOS = {1: 1, 5: 4096, 8: 1100, 32773: 128, 32946: 1100, 50000: 2**16}


def header(data: Data, kind: Kind = "image") -> tuple[str, tuple[int, ...], np.dtype[np.generic], str]:
    """Return axes, shape, type and colour (``MINISBLACK``, ``RGB`` ...) without decoding pixels."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        pages = _pages(tif)
        axes, shape = _natural(pages[0].axes, pages[0].shape)
        if kind != "mask" and _has_palette(pages[0]):
            axes, shape = axes + "c", (*shape, 3)
        if len(pages) > 1:
            axes, shape = "z" + axes, (len(pages), *shape)
        bits = pages[0].bitspersample
        dtype = np.dtype(bool) if bits == 1 else pages[0].dtype.newbyteorder("=")
        return axes, shape, dtype, pages[0].photometric.name


def decode(data: Data, kind: Kind = "image", *, name: str = "") -> tuple[Array, str]:
    """Return the pixels and their axes: ``yx`` or ``yxc``, and ``z`` first where there are several pages.

    A palette gives its colours, uint8, and where white is stored as 0 the values are turned round, so that
    black is 0. A mask gets what is stored, indices or flags: tifffile, for one, says of each array of
    bool that white is 0. Thumbnails and other reduced pages are left out.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        pages = _pages(tif)
        for page in pages:
            _refuse_lies(page, len(data), name=name)
        refuse_impossible((len(pages), *pages[0].shape), 1, len(data), ratio=None, name=name)
        read = [_pixels(page, kind) for page in pages]
        axes, _ = _natural(pages[0].axes, pages[0].shape)
        axes = "yxc" if axes == "yx" and read[0].ndim == 3 else axes  # colours of a palette
    if len(read) == 1:
        return read[0], axes
    if len({(page.shape, page.dtype) for page in read}) > 1:
        raise ValueError(f"{len(read)} pages of different shapes or types")
    return np.stack(read), "z" + axes


def _pages(tif: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    pages = [tif.pages[0]] if len(tif.pages) == 1 else [p.aspage() for p in tif.pages if not p.is_reduced]
    if not pages:
        raise ValueError("no page in it")
    # ImageJ stores a stack of more than 4 GB behind the header of its first page alone
    count = (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1
    if count > len(pages):
        raise ValueError(f"{count} pages behind the headers of {len(pages)}; split the stack into files")
    return pages


def _natural(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return tifffile's axes of a page in our words, and its shape in that order."""
    words = axes.lower().replace("s", "c")
    order = [words.index(axis) for axis in ("zyxc" if "z" in words else "yxc") if axis in words]
    if len(order) != len(words):
        raise ValueError(f"a page with axes {axes} and shape {shape}")
    return "".join(words[place] for place in order), tuple(shape[place] for place in order)


def _has_palette(page: tifffile.TiffPage) -> bool:
    return page.photometric.name == "PALETTE" and page.axes == "YX" and page.colormap is not None


def _pixels(page: tifffile.TiffPage, kind: Kind) -> Array:
    color, bits = page.photometric.name, page.bitspersample
    pixels: Array = native(page.asarray())
    if kind != "mask" and _has_palette(page):
        return np.ascontiguousarray(np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1).astype(np.uint8))
    if color == "MINISWHITE" and kind != "mask" and pixels.dtype.kind in "bu":
        pixels = ~pixels if pixels.dtype == np.bool_ else ((1 << bits) - 1 - pixels).astype(pixels.dtype)
    words = page.axes.lower().replace("s", "c")
    axes, _ = _natural(page.axes, page.shape)
    return np.require(pixels.transpose([words.index(axis) for axis in axes]), requirements=["C", "W"])


def _refuse_lies(page: tifffile.TiffPage, size: int, *, name: str) -> None:
    shape = tuple(page.shape)
    refuse_impossible(shape, 1, size, ratio=None, name=name)
    ratio = _RATIOS.get(int(page.compression))
    if ratio is not None and prod(shape) * page.bitspersample // 8 > ratio * size:
        raise ValueError(f"{shape} pixels are more than its {size} bytes can hold")
    if page.compression != 1 and len(page.dataoffsets) < prod(page.chunked):
        raise ValueError(f"{len(page.dataoffsets)} of its {prod(page.chunked)} strips or tiles are there")
    # JPEG decoders fill up what is missing; for uncompressed data the count of the last strip may lie
    end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
    if page.compression != 1 and end > size:
        raise ValueError(f"its data should end at byte {end}, the file ends at {size}")
