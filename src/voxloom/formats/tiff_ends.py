"""Whether a TIFF is there to its end: its directories are walked, nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from voxloom.formats.pixels import Data
from voxloom.sample import Array

__all__ = ["is_whole_tiff"]

# Bytes of an element of each of TIFF's types, and numpy's name where offsets and counts can have it.
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_WIDTH, _HEIGHT, _BITS, _PACKING, _STRIPS, _CHANNELS, _ROWS, _COUNTS = 256, 257, 258, 259, 273, 277, 278, 279
_PLANAR, _TILES, _TILE_COUNTS, _BELOW = 284, 324, 325, 330
_WANTED = {_WIDTH, _HEIGHT, _BITS, _PACKING, _STRIPS, _CHANNELS, _ROWS, _COUNTS} | {
    _PLANAR, _TILES, _TILE_COUNTS, _BELOW
}  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    """How numbers stand in a TIFF: byte order, number of entries, an entry, an offset."""

    order: str
    count: struct.Struct
    entry: struct.Struct
    offset: struct.Struct


_LAYOUTS = {
    magic: _Layout(order, *(struct.Struct(order + each) for each in parts))
    for order, text in (("<", "II"), (">", "MM"))
    for number, parts in ((42, ("H", "HHI4s", "I")), (43, ("Q", "HHQ8s", "Q")))
    for magic in (text.encode() + struct.pack(order + "H", number),)
}


def is_whole_tiff(data: Data) -> bool:
    """Whether all that its directories point at lies within the file.

    Raises
    ------
    ValueError, struct.error
        If a directory does not.

    Examples
    --------
    >>> is_whole_tiff(b"II*\\0" + bytes([8, 0, 0, 0, 0, 0]) + bytes(4))
    True
    """
    layout = _LAYOUTS[bytes(data[:4])]
    todo, seen = [layout.offset.unpack_from(data, 4 if layout.offset.size == 4 else 8)[0]], {0}
    while todo:
        if (place := todo.pop()) in seen:
            continue
        seen.add(place)
        tags, end, following = _directory(data, place, layout)
        todo += [following, *tags.get(_BELOW, ())]
        if max(end, _end_of_pixels(tags, len(data))) > len(data):
            return False
    return True


def _directory(data: Data, place: int, layout: _Layout) -> tuple[dict[int, Array], int, int]:
    """Return the tags that are wanted, the end of what all point at, and the next directory."""
    (count,) = layout.count.unpack_from(data, place)
    start = place + layout.count.size
    stop = start + count * layout.entry.size
    (following,) = layout.offset.unpack_from(data, stop)
    tags, last = {}, 0
    for tag, kind, length, value in layout.entry.iter_unpack(data[start:stop]):
        size = _SIZES.get(kind, 0) * length
        apart = size > len(value)
        offset = layout.offset.unpack(value)[0] if apart else 0
        last = max(last, offset + size if apart else 0)
        if tag in _WANTED and kind in _TYPES:
            tags[tag] = np.frombuffer(data if apart else value, layout.order + _TYPES[kind], length, offset)
    return tags, last, following


def _end_of_pixels(tags: dict[int, Array], size: int) -> int:
    offsets = tags.get(_STRIPS, tags.get(_TILES))
    if offsets is None or not len(offsets):
        return 0
    counts = tags.get(_COUNTS if _STRIPS in tags else _TILE_COUNTS)
    if counts is None:
        return int(offsets[-1]) + (_strip(tags, len(offsets)) or 0)
    if len(offsets) == 1:
        end = int(offsets[0]) + int(counts[0])
    else:
        end = max(map(sum, zip(offsets.tolist(), counts.tolist(), strict=False)), default=0)
    if end > size and (last := _strip(tags, len(offsets))) is not None:
        end = int(offsets[-1]) + last  # the count of the last strip may speak of rows that are not there
        end = max([end, *map(sum, zip(offsets[:-1].tolist(), counts[:-1].tolist(), strict=False))])
    return end


def _strip(tags: dict[int, Array], strips: int) -> int | None:
    """Return the bytes of the last strip of plain pixels, None where they are packed or in tiles."""
    if _value(tags, _PACKING, 1) != 1 or _STRIPS not in tags:
        return None
    height, channels = _value(tags, _HEIGHT, 0), _value(tags, _CHANNELS, 1)
    planes = channels if _value(tags, _PLANAR, 1) == 2 else 1
    rows = height - (strips // planes - 1) * min(_value(tags, _ROWS, height), height)
    bits = _value(tags, _WIDTH, 0) * _value(tags, _BITS, 1) * channels // planes
    return (bits + 7) // 8 * max(rows, 0)


def _value(tags: dict[int, Array], tag: int, default: int) -> int:
    found = tags.get(tag)
    return int(found[0]) if found is not None and len(found) else default
