"""What a file is by its first bytes, and what it says of its pixels before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from voxloom.formats import jpeg, packed, pillow, png, tiff
from voxloom.formats.pixels import Data, damage_named, refuse_impossible, unreadable
from voxloom.sample import Kind

__all__ = ["Header", "header", "sniff", "suffix_of"]

_MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    packed.NPY: "npy",
    packed.BLOSC: "blosc",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"\0\0\0\x0cjP  ": "jp2",
    b"\xff\x4f\xff\x51": "jp2",
    **{b"P" + each: "ppm" for each in (b"1", b"2", b"3", b"4", b"5", b"6", b"f")},
}
_SUFFIXES = {"jpeg": "jpg", "tiff": "tif"}


@dataclass(frozen=True)
class Header:
    """What a file says of its pixels.

    Attributes
    ----------
    kind
        As `sniff` calls it.
    axes, shape, dtype
        Of what `decode` gives of it. Axes are "" for npy and blosc, which do not know theirs.
    mode
        Pillow's name of the kind of pixel where there is one, for instance ``RGB``, ``P``, ``I;16``, else "".
    """

    kind: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    mode: str


def sniff(data: Data, *, name: str = "") -> str:
    """Return the kind of a file by its first bytes.

    Returns
    -------
    str
        ``jpeg``, ``png``, ``tiff``, ``npy``, ``blosc``, ``gif``, ``bmp``, ``webp``, ``jp2``,
        ``ppm`` or ``avif``.

    Raises
    ------
    UnreadableImageError
        If it is empty or none of these.

    Examples
    --------
    >>> sniff(b"GIF89a ...")
    'gif'
    """
    head = bytes(data[:12])
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "webp"
    if head[4:] in (b"ftypavif", b"ftypavis"):
        return "avif"
    known = "JPEG, PNG, TIFF, npy, blosc, GIF, BMP, WebP, JPEG 2000, PPM or AVIF"
    raise unreadable(
        name, f"none of {known} (it begins with {head!r})" if head else "an empty file (0 bytes)"
    )


def suffix_of(data: Data, *, name: str = "") -> str:
    """Return the usual ending of such a file, without the dot.

    Examples
    --------
    >>> suffix_of(b"\\xff\\xd8\\xff\\xe0"), suffix_of(b"II*\\0")
    ('jpg', 'tif')
    """
    kind = sniff(data, name=name)
    return _SUFFIXES.get(kind, kind)


def header(data: Data, *, name: str = "", kind: Kind = "image") -> Header:
    """Return what a file says of its pixels, without decoding them.

    Parameters
    ----------
    data
        The file.
    name
        What messages call it.
    kind
        What `voxloom.formats.encoding.decode` will be told: of a palette image, a mask gets the indices.

    Raises
    ------
    UnreadableImageError
        If the file is empty, cut before its pixels, or of no known kind.

    Examples
    --------
    >>> header(b"P6 3 2 255 " + bytes(18))
    Header(kind='ppm', axes='yxc', shape=(2, 3, 3), dtype='uint8', mode='RGB')
    """
    what = sniff(data, name=name)
    with damage_named(name):
        if what in ("npy", "blosc"):
            (shape, _, dtype), _ = packed.array_header(data, len(packed.BLOSC) if what == "blosc" else 0)
            return Header(what, "", shape, dtype.newbyteorder("=").name, "")
        if what == "tiff":
            axes, shape, dtype, color = tiff.header(data, kind)
            return Header(what, axes, shape, dtype.name, color)
        if what == "png":
            found = _png_header(data, name=name)
        elif what == "jpeg":
            found = _jpeg_header(data, name=name)
        else:
            found = _pillow_header(data, what, name=name)
    if kind == "mask" and found.mode == "P":
        return replace(found, axes="yx", shape=found.shape[:2])
    return found


def _jpeg_header(data: Data, *, name: str) -> Header:
    height, width, space = jpeg.size_of(data, None)
    refuse_impossible((height, width), 1, len(data), ratio=None, name=name)
    mode = jpeg.MODES.get(space)
    return _header_of("jpeg", (height, width), mode) if mode else _pillow_header(data, "jpeg", name=name)


def _png_header(data: Data, *, name: str) -> Header:
    head = png.header(data, name=name)
    mode = {1: "1", 16: "I;16"}.get(head.depth, "L") if head.color == 0 else _PNG_MODES[head.color]
    found = _header_of("png", (head.height, head.width), mode, clear=head.keyed)
    return replace(found, dtype="uint16") if head.depth == 16 else found


_PNG_MODES = {2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
# Pillow's modes: numpy's type, and channels; 0 for none.
_MODE_FACTS = {
    "1": ("bool", 0),
    "L": ("uint8", 0),
    "I;16": ("uint16", 0),
    "I;16B": ("uint16", 0),
    "I": ("int32", 0),
    "F": ("float32", 0),
    "P": ("uint8", 3),
    "LA": ("uint8", 2),
    "RGB": ("uint8", 3),
    "YCbCr": ("uint8", 3),
    "LAB": ("uint8", 3),
    "HSV": ("uint8", 3),
}


def _pillow_header(data: Data, what: str, *, name: str) -> Header:
    with pillow.opened(data, what, name=name) as image:
        clear = "transparency" in image.info
        return _header_of(what, (image.height, image.width), image.mode, clear=clear)


def _header_of(what: str, size: tuple[int, int], mode: str, *, clear: bool = False) -> Header:
    """Return the header of an image of one of Pillow's modes; `clear` says that a colour is transparent."""
    dtype, channels = _MODE_FACTS.get(mode, ("uint8", 4))
    channels = 4 if mode == "P" and clear else channels
    return Header(what, "yxc" if channels else "yx", (*size, channels) if channels else size, dtype, mode)
