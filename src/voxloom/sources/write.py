"""Writers of the images that the reader reads back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import tifffile

from voxloom.atomic import replacing
from voxloom.errors import ConfigError, SchemaError
from voxloom.sample import Array

__all__ = ["write_image", "write_png"]

StrPath = str | os.PathLike[str]


def write_image(path: StrPath, array: Array, *, compression: Literal["none", "zlib"] = "none") -> None:
    """Write an image as float32 TIFF of one page, whole or not at all.

    Parameters
    ----------
    path
        Ends in .tif or .tiff; missing folders are made.
    array
        Axes yx, or cyx with one channel; any real type, turned to float32.
    compression
        "zlib" takes less space and more time; both are lossless.

    Raises
    ------
    ConfigError, SchemaError
        If the ending or the shape is another.
    SaveError
        If the file could not be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import read_image
    >>> path = Path(mkdtemp()) / "prediction.tif"
    >>> write_image(path, np.full((1, 2, 3), 0.5), compression="zlib")
    >>> read_image(path).tolist()
    [[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]]
    """
    pixels = _writable_plane(path, array, (".tif", ".tiff")).astype(np.float32, copy=False)
    with replacing(path) as file:
        tifffile.imwrite(
            file,
            pixels,
            photometric="minisblack",
            compression=None if compression == "none" else compression,
            metadata=None,
            software="voxloom",
        )


def write_png(path: StrPath, array: Array) -> None:
    """Write a grey or RGB image as PNG, whole or not at all.

    Parameters
    ----------
    path
        Ends in .png; missing folders are made.
    array
        Axes yx, or cyx with one channel or three (red, green, blue); uint8 or uint16.

    Raises
    ------
    ConfigError, SchemaError
        If the ending, the shape or the type is another.
    SaveError
        If the file could not be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import read_image
    >>> path = Path(mkdtemp()) / "preview.png"
    >>> write_png(path, np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> read_image(path).tolist()
    [[[0, 1, 2], [3, 4, 5]]]
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise SchemaError(
            f"{path}: PNG holds uint8 or uint16, not {array.dtype}. Scale and convert it first."
        )
    pixels = _writable_plane(path, array, (".png",), channels=(1, 3))
    with replacing(path) as file:
        file.write(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _writable_plane(
    path: StrPath, array: Array, suffixes: tuple[str, ...], channels: tuple[int, ...] = (1,)
) -> Array:
    """Return the array with axes yx, or yxs if it has several channels."""
    if Path(path).suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: expected a name that ends in {' or '.join(suffixes)}.")
    if array.ndim == 3 and array.shape[0] in channels:
        array = array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, -1)
    elif array.ndim != 2:
        raise SchemaError(
            f"{path}: an array of shape {array.shape} to write; "
            f"expected (height, width) or (channels, height, width) with channels in {channels}."
        )
    if array.size == 0 or array.dtype.kind not in "buif":
        raise SchemaError(f"{path}: nothing to write in an array of shape {array.shape}, type {array.dtype}.")
    return array
