"""Between bytes and arrays: what a file is, what it holds, and how an array is put into bytes.

===============  ============================================  =====================================
kind             decoded by                                    lets other threads run meanwhile
===============  ============================================  =====================================
jpeg             simplejpeg (libjpeg-turbo)                    yes
png, 8 bits      kornia-rs                                     no: worker processes help, threads do not
png, 16 bits     imagecodecs (libpng)                          yes
png, palette     Pillow                                        mostly
tiff             tifffile and imagecodecs                      while strips and tiles are decompressed
npy              numpy                                         no, but it only copies
blosc            imagecodecs (bitshuffle and LZ4)              yes
jp2              Pillow                                        no
others           Pillow                                        mostly
===============  ============================================  =====================================
"""

from __future__ import annotations

import io
from typing import Any, Literal

import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image

from voxloom.errors import DataError, SchemaError
from voxloom.formats import jpeg, packed, pillow, png, tiff
from voxloom.formats.kinds import Header, header, sniff, suffix_of
from voxloom.formats.manifest import Encoding
from voxloom.formats.pixels import Data, arranged, damage_named, placed
from voxloom.sample import Array, Cell, Field, Kind

__all__ = [
    "As",
    "Header",
    "as_pil",
    "as_value",
    "cell_array",
    "cell_bytes",
    "decode",
    "encode",
    "header",
    "sniff",
    "suffix_of",
    "text_array",
]

As = Literal["bytes", "array", "tensor", "pil"]
"""What one field of one sample can be asked for as."""


def decode(
    data: Data,
    axes: str | None = None,
    *,
    name: str = "",
    kind: Kind = "image",
    at_least: tuple[int, int] | None = None,
    out: Array | None = None,
) -> Array:
    """Return the pixels of a file, or the array in it.

    The bits are those that Pillow gives, but for what Pillow would lose: 16 bits of colour stay, and so do
    the types of TIFF. The first stored row is row 0; orientation tags are not applied.

    Parameters
    ----------
    data
        The whole file.
    axes
        What the array is to have: ``yx``, ``yxc``, ``cyx``, ``zyx`` ...; None takes what the file has. Arrays
        in npy or blosc are not touched.
    name
        The file, for messages.
    kind
        ``mask``: a palette image gives its indices; else its colours.
    at_least
        Height and width that suffice. A larger JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size, as
        long as both are kept: several times faster, but not exactly what decoding and resizing gives.
    out
        C-contiguous array of the final shape and type, which is filled and returned. JPEG and blosc decode
        straight into it.

    Raises
    ------
    UnreadableImageError
        If the file is empty, cut, damaged, or of no known kind.
    DataError
        If it does not fit `axes` or `out`: several pages or channels, another shape or type.

    Examples
    --------
    >>> file = encode(np.eye(3, dtype=np.uint8), "png")
    >>> decode(file).shape, decode(file, "yxc").shape
    ((3, 3), (3, 3, 1))
    """
    direct = out is not None and data[:2] == b"\xff\xd8" and axes in (None, "yxc", "yx")
    if out is not None and direct and jpeg.decode_into(data, out, at_least, name=name):
        return out
    what = sniff(data, name=name)
    with damage_named(name):
        if what == "npy":
            return packed.from_npy(data, out, name=name)
        if what == "blosc":
            return packed.from_blosc(data, out, name=name)
        pixels, natural = _image(data, what, kind, at_least, name=name)
    return placed(arranged(pixels, natural, axes, name=name), out, name=name)


def _image(
    data: Data, what: str, kind: Kind, at_least: tuple[int, int] | None, *, name: str
) -> tuple[Array, str]:
    """Return the pixels of an image file and their axes."""
    if what == "tiff":
        pixels, natural = tiff.decode(data, kind, name=name)
        if natural[0] == "z" and pixels.shape[0] == 1:
            return pixels[0], natural[1:]
        return pixels, natural
    found: Array | None = None
    if what == "jpeg":
        found = jpeg.decode(data, at_least, name=name)
    elif what == "png":
        head = png.header(data, name=name)
        found = png.decode(data, head) if head.frames == 1 else None
    if found is None:
        found = pillow.decode(data, what, kind, name=name)
    return found, "yx" if found.ndim == 2 else "yxc"


def as_pil(data: Data, *, name: str = "") -> Image.Image:
    """Return the image as Pillow opens it: lazily, with the file's mode, palette and format.

    Raises
    ------
    UnreadableImageError
        If it is no image that Pillow reads.

    Examples
    --------
    >>> as_pil(encode(np.zeros((2, 3), np.uint8), "png")).mode
    'L'
    """
    what = sniff(data, name=name)
    with damage_named(name):
        if what in ("npy", "blosc"):
            return _picture(decode(data, name=name), None, name=name)
        return pillow.opened(data, what, name=name)


def as_value(cell: Cell, field: Field, as_: As, *, name: str = "", encoding: Encoding | None = None) -> Any:
    """Return a field of a sample in the form that is asked for.

    Parameters
    ----------
    cell
        What lies at rest: an array or bytes.
    field
        What it is.
    as_
        ``bytes``: as it lies there, a file's own bytes, those of an array, text in UTF-8. ``array``:
        numpy. ``tensor``: torch, of the array's axes. ``pil``: an image that Pillow decodes when it is
        used, with its mode and palette; of an array, with one channel dropped.
    name
        The sample, for messages.
    encoding
        How the bytes were made, where that is known.

    Raises
    ------
    SchemaError
        If the field has no such form: a label is no image, text no tensor.
    UnreadableImageError, DataError
        As `decode` tells.

    Examples
    --------
    >>> pixels = encode(np.zeros((1, 2, 3), np.uint8), "npy")
    >>> as_value(pixels, Field(name="image", axes="cyx"), "pil").size
    (3, 2)
    """
    if as_ == "bytes":
        if not isinstance(cell, np.ndarray):
            return bytes(cell)
        return encode(cell, "text", name=name) if cell.dtype.kind == "U" else cell.tobytes()
    if as_ == "pil":
        return _as_image(cell, field, name)
    if as_ not in ("array", "tensor"):
        raise SchemaError(f"as_={as_!r}: expected 'bytes', 'array', 'tensor' or 'pil'")
    if as_ == "tensor" and field.kind == "text":
        raise SchemaError(f"{name}: field {field.name!r} is text, and a tensor holds numbers; use 'array'.")
    array = cell_array(cell, field, name=name, encoding=encoding)
    if as_ == "array":
        return array
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"]).reshape(array.shape))


def _as_image(cell: Cell, field: Field, name: str) -> Image.Image:
    if not field.is_spatial:
        raise SchemaError(f"{name}: field {field.name!r} is of the kind {field.kind}, no image; use 'array'.")
    if not isinstance(cell, np.ndarray):
        if sniff(cell, name=name) not in ("npy", "blosc"):
            return as_pil(cell, name=name)
        cell = decode(cell, name=name)
    return _picture(cell, field.axes, name=name)


def _picture(pixels: Array, axes: str | None, *, name: str) -> Image.Image:
    """Return an array as an image; None means the axes ``yx`` or ``yxc``."""
    try:
        if str(pixels.dtype) not in _PICTURED:
            raise TypeError(pixels.dtype)
        return Image.fromarray(_channels_last(pixels, axes, name=name))
    except (DataError, TypeError, ValueError) as error:
        raise SchemaError(
            f"{name}: {pixels.dtype} of shape {pixels.shape} is no image that Pillow knows; it has uint8 of "
            "1 to 4 channels, and bool, uint16, int32 and float32 of one. Ask for 'array'."
        ) from error


_PICTURED = ("bool", "uint8", "int8", "uint16", "int16", "int32", "float32")  # Pillow narrows some others


def encode(
    array: Array, encoding: Encoding, *, axes: str | None = None, quality: int = 95, name: str = ""
) -> bytes:
    """Return an array as bytes.

    Parameters
    ----------
    array
        What to encode.
    encoding
        ``npy``, ``blosc``, ``png`` or ``text``, which lose nothing, or ``jpeg``.
    axes
        Axes of an image for png and jpeg; None means ``yx`` or ``yxc``.
    quality
        Of JPEG, 1 to 100.
    name
        The sample, for messages.

    Raises
    ------
    DataError
        If the encoding cannot hold such an array: PNG holds bool, uint8 and uint16 of 1 to 4 channels, JPEG
        uint8 of 1 or 3.

    Examples
    --------
    >>> decode(encode(np.eye(2) > 0, "png"))
    array([[ True, False],
           [False,  True]])
    """
    if encoding == "npy":
        return packed.to_npy(array)
    if encoding == "blosc":
        return packed.to_blosc(array)
    if encoding == "text":
        return _to_text(str(array.item()), name)
    if encoding not in ("png", "jpeg"):
        raise DataError(
            f"{name}: encoding {encoding!r} is no way to encode one array; use npy, blosc or png."
        )
    pixels = _channels_last(array, axes, name=name)
    return _to_png(pixels, name) if encoding == "png" else _to_jpeg(pixels, quality, name)


def _to_text(text: str, name: str) -> bytes:
    try:
        return text_array(text, name=name).item().encode()  # type: ignore[no-any-return]
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name}: text that is no Unicode ({text[error.start : error.end]!a} at character "
            f"{error.start}). Write the text again in UTF-8."
        ) from error


def text_array(text: str, *, name: str = "") -> Array:
    """Return text as a Sample holds it: an array of no axes.

    Raises
    ------
    DataError
        If it ends in NUL, which numpy would drop.

    Examples
    --------
    >>> text_array("a scan")
    array('a scan', dtype='<U6')
    """
    if text.endswith("\0"):
        raise DataError(
            f"{name}: text that ends in the character NUL (0), which numpy's arrays of text do not keep. "
            "Take the NULs off its end."
        )
    return np.array(text)


def _channels_last(array: Array, axes: str | None, *, name: str) -> Array:
    """Return (height, width) or (height, width, channels)."""
    natural = axes if axes is not None else "yxc"[: array.ndim]
    if array.ndim != len(natural) or not {"y", "x"} <= set(natural):
        raise DataError(f"{name}: shape {array.shape} with axes {natural!r}; expected the axes of one image.")
    pixels = arranged(array, natural, "yxc" if "c" in natural else "yx", name=name)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    return np.ascontiguousarray(pixels)


def _to_png(pixels: Array, name: str) -> bytes:
    if pixels.dtype == np.bool_ and pixels.ndim == 2:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        return file.getvalue()
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.ndim == 3 and pixels.shape[-1] > 4):
        raise DataError(
            f"{name}: {pixels.dtype} of shape {pixels.shape} does not go into a PNG, which holds uint8 or "
            "uint16 of 1 to 4 channels, or bool of one. Use the encoding npy or blosc."
        )
    return bytes(imagecodecs.png_encode(pixels))


def _to_jpeg(pixels: Array, quality: int, name: str) -> bytes:
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[-1] != 3):
        raise DataError(
            f"{name}: {pixels.dtype} of shape {pixels.shape} does not go into a JPEG, which holds uint8 of "
            "1 or 3 channels. Use the encoding npy, blosc or png."
        )
    if pixels.ndim == 2:
        return bytes(simplejpeg.encode_jpeg(pixels[..., np.newaxis], quality, "GRAY"))
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB"))


def cell_array(cell: Cell, field: Field, *, name: str = "", encoding: Encoding | None = None) -> Array:
    """Return what a Sample holds of a field, from what lies at rest.

    Parameters
    ----------
    cell
        An array, which is returned as it is, or bytes.
    field
        Says the axes, and whether it is text or a mask.
    name
        The sample, for messages.
    encoding
        How the bytes were made, where that is known.

    Raises
    ------
    UnreadableImageError, DataError
        As `decode` tells.

    Examples
    --------
    >>> file = encode(np.zeros((2, 3, 3), np.uint8), "png")
    >>> cell_array(file, Field(name="image", axes="cyx")).shape
    (3, 2, 3)
    >>> cell_array(b"a scan", Field(name="note", kind="text", axes=""))
    array('a scan', dtype='<U6')
    """
    if isinstance(cell, np.ndarray):
        return cell
    if encoding == "text" or (encoding is None and field.kind == "text"):
        with damage_named(name):
            return text_array(bytes(cell).decode(), name=name)
    return decode(cell, field.axes, name=name, kind=field.kind)


def cell_bytes(
    cell: Cell, encoding: Encoding, field: Field, *, quality: int = 95, name: str = ""
) -> bytes | memoryview:
    """Return a cell as the bytes that a store keeps: a file's own bytes as they are, an array encoded.

    Raises
    ------
    DataError
        If the encoding cannot hold it.

    Examples
    --------
    >>> cell_bytes(b"any file", "file", Field(name="image"))
    b'any file'
    """
    if not isinstance(cell, np.ndarray):
        if encoding == "file" or (encoding == "text" and field.kind == "text"):
            return cell
        cell = cell_array(cell, field, name=name)
    elif encoding == "file":
        raise DataError(
            f"{name}: an array is no file. Use the encoding npy, blosc or png for {field.name!r}."
        )
    return encode(cell, encoding, axes=field.axes, quality=quality, name=name)
