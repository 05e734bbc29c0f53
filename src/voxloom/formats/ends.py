"""Whether a file is there to its end, told by the lengths that stand in it; no pixel is decoded.

=================  ==================================================================================
kind               what has to be there
=================  ==================================================================================
jpeg               each segment up to the scan, and behind it the mark of the end
png                each chunk up to IEND
tiff               each directory with what its tags point at, each strip and each tile
gif                each block; the last byte, the trailer, may be missing
webp               as many bytes as the header says
bmp                the rows, or as many bytes as the header says where they are packed
ppm                the pixels of the binary kinds; **the kinds in plain text are not checked**
avif               each box, pixels among them
jp2                each box, each tile, and the mark of the end
npy, blosc         all elements
=================  ==================================================================================

What is damaged inside and has its length still is found by decoding alone.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from math import prod

from voxloom.errors import UnreadableImageError
from voxloom.formats import packed
from voxloom.formats.kinds import sniff
from voxloom.formats.pixels import Data
from voxloom.formats.tiff_ends import is_whole_tiff

__all__ = ["refuse_cut"]


def refuse_cut(data: Data, *, name: str = "") -> None:
    """Refuse a file that is empty, of an unknown kind, or lacks its end; nothing is decoded.

    Raises
    ------
    UnreadableImageError
        If it is so.

    Examples
    --------
    >>> refuse_cut(b"\\xff\\xd8\\xff\\xe0" + bytes(100), name="a.jpg")
    Traceback (most recent call last):
    voxloom.errors.UnreadableImageError: a.jpg: cut off: the end of a JPEG is missing. Write the file again
    from its origin, or leave it out with on_error='skip'.
    """
    kind = sniff(data, name=name)
    try:
        whole = _CHECKS[kind](data)
    except (IndexError, ValueError, TypeError, ArithmeticError, struct.error, LookupError, SyntaxError):
        whole = False  # what a length points at is not there
    if not whole:
        raise UnreadableImageError(
            f"{name}: cut off: the end of a {kind.upper()} is missing. Write the file again from its "
            "origin, or leave it out with on_error='skip'."
        )


def _jpeg(data: Data) -> bool:
    size, place = len(data), 2
    while True:
        while data[place] != 0xFF:  # decoders pass over what stands between two segments
            place += 1
        mark = data[place + 1]
        if mark == 0xFF:
            place += 1
        elif mark <= 1 or 0xD0 <= mark <= 0xD8:  # marks without a length
            place += 2
        else:
            place += 2 + (data[place + 2] << 8 | data[place + 3])
            if mark == 0xDA:  # the scan; a mark of the end before it is that of a thumbnail
                return place < size and (data[-2:] == b"\xff\xd9" or bytes(data).find(b"\xff\xd9", place) > 0)


def _png(data: Data) -> bool:
    place, size = 8, len(data)
    while place + 12 <= size:
        length, tag = _CHUNK.unpack_from(data, place)
        place += 12 + int(length)
        if tag == b"IEND":
            return place <= size
    return False


_CHUNK = struct.Struct(">I4s")


def _gif(data: Data) -> bool:
    place, images = 13 + _table(data[10]), 0
    while place < len(data):
        block = data[place]
        if block == 0x3B:
            return True
        if block == 0x2C:
            place, images = _blocks(data, place + 11 + _table(data[place + 9])), images + 1
        else:
            place = _blocks(data, place + 2) if block == 0x21 else place + 1
    return images > 0 and place == len(data)


def _table(flags: int) -> int:
    return 6 << (flags & 7) if flags & 0x80 else 0


def _blocks(data: Data, place: int) -> int:
    while length := data[place]:
        place += 1 + length
    return place + 1


def _webp(data: Data) -> bool:
    return 8 + int(struct.unpack_from("<I", data, 4)[0]) <= len(data)


def _bmp(data: Data) -> bool:
    start, length = map(int, struct.unpack_from("<II", data, 10))
    if length == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = size = 0
    else:
        width, height, _, bits, packing, size = struct.unpack_from("<iiHHII", data, 18)
    if packing in (0, 3, 6):  # plain pixels; else the header says how many bytes there are
        size = (width * bits + 31) // 32 * 4 * abs(height)
    return start + int(size) <= len(data)


def _ppm(data: Data) -> bool:
    match = _PPM.match(bytes(data[:4096]))
    if match is None:
        return data[1] in b"123"
    kind, width, height = match[1], int(match[2]), int(match[3])
    if kind == b"4":
        return match.end(3) + 1 + (width + 7) // 8 * height <= len(data)
    item = 4 if kind == b"f" else 2 if float(match[4]) > 255 else 1
    return match.end(4) + 1 + width * height * item * (3 if kind == b"6" else 1) <= len(data)


_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PPM = re.compile(rb"P([456f])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)(?:" + _GAP + rb"(-?[\d.]+))?")


def _boxes(data: Data) -> dict[bytes, int]:
    """Return where the content of each kind of box begins."""
    found, place, size = {}, 0, len(data)
    while place < size:
        length, tag = _CHUNK.unpack_from(data, place)
        start = place + 8
        if length == 1:
            (length,), start = struct.unpack_from(">Q", data, start), start + 8
        found[tag] = start
        if length == 0:  # to the end of the file
            break
        if length < start - place:
            raise ValueError(f"a box of {length} bytes")
        place += length
    if place > size:
        raise ValueError(f"a box should end at byte {place}")
    return found


def _avif(data: Data) -> bool:
    return {b"meta", b"mdat"} <= set(_boxes(data))


def _jp2(data: Data) -> bool:
    place = 0 if data[:4] == b"\xff\x4f\xff\x51" else _boxes(data)[b"jp2c"]
    place += 2
    while (mark := data[place] << 8 | data[place + 1]) != 0xFFD9:
        if mark == 0xFF90:  # a tile; one of unknown length is the last
            length = int(struct.unpack_from(">I", data, place + 6)[0])
            if length == 0:
                return bytes(data[place:]).rfind(b"\xff\xd9") > 0
            place += max(length, 12)
        else:
            place += 2 + (data[place + 2] << 8 | data[place + 3])
    return True


def _npy(data: Data) -> bool:
    (shape, _, dtype), start = packed.array_header(data)
    return start + prod(shape) * dtype.itemsize <= len(data)


_CHECKS: dict[str, Callable[[Data], bool]] = {
    "jpeg": _jpeg,
    "png": _png,
    "tiff": is_whole_tiff,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "ppm": _ppm,
    "avif": _avif,
    "jp2": _jp2,
    "npy": _npy,
    "blosc": packed.is_whole_blosc,
}
