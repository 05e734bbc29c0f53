"""One reader for all image files, and the list of those in a folder.

The orientation in the file is the orientation in the array: the first stored row is row 0, the first
pixel of it column 0. Orientation tags are not applied.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from voxloom.errors import DataError, MissingDataError, UnreadableImageError
from voxloom.formats.encoding import decode as decode_any
from voxloom.formats.kinds import sniff
from voxloom.sample import Array, Cell
from voxloom.sources.decode import ReadPolicy, decode, grey

__all__ = ["SUFFIXES", "ReadPolicy", "list_images", "read_cell", "read_image", "stem_of"]

SUFFIXES = (".png", ".tif", ".tiff")
"""Endings of image files, in lower case; upper case counts too."""

StrPath = str | os.PathLike[str]

_KEPT = (np.uint8, np.uint16, np.float32)
_DEFAULT = ReadPolicy()


def read_image(path: StrPath, policy: ReadPolicy = _DEFAULT) -> Array:
    """Read a single-channel image.

    uint8, uint16 and float32 pixels stay as they are. 1-bit pixels become uint8 of 0 and 1; all
    other integers and floats become float32 (integers above 2**24 are rounded by that, what lies
    beyond float32 counts as infinite). Where a TIFF stores white as 0 its unsigned values are turned
    round, so that black is 0. A palette of greys is one channel.

    Parameters
    ----------
    path
        A TIFF or PNG file; its content tells which.
    policy
        What to do with colour, several pages, NaN and blank images.

    Returns
    -------
    Array
        Axes cyx, shape (1, height, width), uint8, uint16 or float32, writable.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableImageError
        If the file is empty, truncated or damaged, or neither TIFF nor PNG.
    DataError
        If the policy refuses the image. Each message names the file.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import write_image
    >>> path = Path(mkdtemp()) / "slice.tif"
    >>> write_image(path, np.eye(3))
    >>> read_image(path).shape, read_image(path).dtype
    ((1, 3, 3), dtype('float32'))
    """
    path = Path(path)
    return _finished(decode(path, policy), policy, str(path))


def read_cell(cell: Cell, policy: ReadPolicy = _DEFAULT, *, name: str = "", axes: str = "cyx") -> Array:
    """Read a single-channel image from what a source holds at rest, as `read_image` reads a file.

    Parameters
    ----------
    cell
        The bytes of a file, or an array.
    policy
        As for `read_image`. It holds for arrays too: their pages lie along ``z``, their colours along ``c``.
    name
        The sample, for messages.
    axes
        Axes of an array, also of one in npy or blosc bytes, for instance those of its
        `voxloom.sample.Field`. Other files know their own.

    Returns
    -------
    Array
        Axes cyx, shape (1, height, width), uint8, uint16 or float32, writable.

    Raises
    ------
    UnreadableImageError, DataError
        As `read_image`, also for JPEG and the other kinds of files that stores hold.

    Examples
    --------
    >>> read_cell(np.ones((2, 3, 3), np.uint8), ReadPolicy(color="luma"), axes="yxc").shape
    (1, 2, 3)
    """
    if isinstance(cell, np.ndarray):
        return _finished(_plane(cell, axes, policy, name=name), policy, name)
    if not cell or (kind := sniff(cell, name=name)) in ("tiff", "png"):
        return _finished(decode(cell, policy, name), policy, name)
    pixels = decode_any(cell, name=name)
    if kind in ("npy", "blosc"):
        return _finished(_plane(pixels, axes, policy, name=name), policy, name)
    return _finished(grey(pixels, policy, name), policy, name)


def _plane(array: Array, axes: str, policy: ReadPolicy, *, name: str) -> Array:
    """Return one plane (y, x) of an array, as the policy says."""
    if array.ndim != len(axes) or not set("yx") <= set(axes) <= set("zyxc"):
        raise DataError(f"{name}: shape {array.shape} with axes {axes!r}; expected those of an image.")
    order = [axes.index(axis) for axis in "zyxc" if axis in axes]
    pixels = array.transpose(order)
    if "z" in axes:
        if len(pixels) > 1 and policy.pages == "error":
            raise DataError(
                f"{name}: {len(pixels)} pages, expected one. Write the stack as a volume (see the page on "
                "volumes), split it, or set the policy pages='first' or 'middle'."
            )
        pixels = pixels[len(pixels) // 2 if policy.pages == "middle" else 0]
    return pixels[..., 0] if "c" in axes and pixels.shape[-1] == 1 else grey(pixels, policy, name)


def _finished(pixels: Array, policy: ReadPolicy, name: str) -> Array:
    return _checked(_converted(pixels, name), name, policy)[np.newaxis]


def list_images(folder: StrPath) -> list[Path]:
    """Return the TIFF and PNG files in a folder, in the order of their stems.

    Hidden files, subfolders and other files are left out.

    Raises
    ------
    MissingDataError
        If there is no such folder or no image in it; the message says what there is.
    DataError
        If two images have one stem: it could not be told which one is meant.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import write_image
    >>> folder = Path(mkdtemp())
    >>> for name in ("b.tif", "a.TIFF"):
    ...     write_image(folder / name, np.eye(3))
    >>> [path.name for path in list_images(folder)]
    ['a.TIFF', 'b.tif']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingDataError(f"{folder}: {_instead_of(folder)}. Expected a folder of images.")
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir()) for entry in entries]
    images = [folder / name for name, is_dir in listed if not is_dir and _is_image(name)]
    if not images:
        raise MissingDataError(
            f"{folder}: no image in this folder. Expected files that end in {', '.join(SUFFIXES)}; "
            f"found {_summary(listed)}."
        )
    images.sort(key=stem_of)
    _refuse_equal_stems(images)
    return images


def stem_of(path: StrPath) -> str:
    """Return a file's name without its suffix, composed (NFC) as most systems write it.

    macOS hands out decomposed names; without this ``é`` from there would not match ``é`` from here.

    Examples
    --------
    >>> stem_of("data/jaw 001.ome.tif")
    'jaw 001.ome'
    """
    return unicodedata.normalize("NFC", Path(path).stem)


def _converted(pixels: Array, name: str) -> Array:
    if pixels.dtype.kind not in "buif":
        raise DataError(f"{name}: pixels of type {pixels.dtype}, expected integers or real numbers.")
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    native = pixels.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):
        return np.require(pixels, native if native in _KEPT else np.float32, ["C", "W"])


def _checked(pixels: Array, name: str, policy: ReadPolicy) -> Array:
    if pixels.size == 0:
        raise UnreadableImageError(f"{name}: an image of {pixels.shape[0]} x {pixels.shape[1]} pixels.")
    if pixels.dtype.kind == "f" and not (finite := np.isfinite(pixels)).all():
        if policy.nonfinite == "error":
            row, column = np.argwhere(~finite)[0]
            raise DataError(
                f"{name}: {np.count_nonzero(~finite)} of {pixels.size} pixels are NaN or infinite, the first "
                f"in row {row}, column {column}. Mend the file, or set the policy nonfinite='zero'."
            )
        pixels = np.where(finite, pixels, np.float32(0))
    if policy.blank == "error" and not pixels.any():
        raise DataError(f"{name}: all pixels are 0. Take the file out, or set the policy blank='keep'.")
    return pixels


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _refuse_equal_stems(images: list[Path]) -> None:
    for first, second in pairwise(images):
        if stem_of(first) == stem_of(second):
            raise DataError(
                f"{first.parent}: {first.name!r} and {second.name!r} differ only in what follows the name. "
                "Images are told apart by their stem: rename one or take it out."
            )


def _instead_of(folder: Path) -> str:
    if folder.exists():
        return "not a folder"
    if not folder.parent.is_dir():
        return f"no such folder, and no {folder.parent} either"
    siblings = sorted(p.name for p in folder.parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    return f"no such folder. Folders beside it: {', '.join(siblings[:10]) or 'none'}"


def _summary(listed: list[tuple[str, bool]]) -> str:
    kinds = Counter(
        "subfolder" if is_dir else "hidden file" if name.startswith(".") else Path(name).suffix or "no suffix"
        for name, is_dir in listed
    )
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6)) or "nothing"
