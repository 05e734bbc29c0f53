"""Names and headers of the members of tar shards, as WebDataset expects them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

import numpy as np

from voxloom.errors import DataError, SchemaError
from voxloom.formats.format import KEY, Column
from voxloom.formats.kinds import suffix_of
from voxloom.formats.mapped import quoted

__all__ = ["BLOCK", "Suffix", "base_name", "header", "suffixes"]

BLOCK = 512
"""Bytes that all in a tar file is a multiple of."""

_NUMBERS = ("label", "class", "cls")
_TEXTS = ("text", "caption", "txt")


@dataclass(frozen=True)
class Suffix:
    """What stands behind the first dot of the names of one column's members."""

    field: str
    """The column's name and a dot, or nothing where the type says enough."""
    type: str | Callable[[memoryview], str]
    """``cls``, ``npy``, ``txt``, or a function that tells it by the content."""
    is_number: bool = False
    """Whether the member is a number as text."""

    def of(self, cell: memoryview) -> str:
        """Return the suffix of a member."""
        return self.field + (self.type if isinstance(self.type, str) else self.type(cell))


def suffixes(columns: Sequence[Column]) -> dict[str, Suffix]:
    """Return how the members of each column end.

    1. A whole number a sample is ``cls``: bare for the first of label, class, cls, else behind its name.
    2. Any other array is ``<field>.npy``.
    3. The first column of bytes called text, caption or txt is ``txt``.
    4. ``image``, or the only column of bytes, is named for its content alone: ``jpg``, ``png``.
    5. Any other column of bytes is ``<field>.jpg`` and so on; ``txt`` for text, ``bin`` for the unknown.

    Examples
    --------
    >>> columns = [Column("image"), Column("mask"), Column("label", "int64"), Column("age", "int64")]
    >>> {name: suffix.of(memoryview(b"\\xff\\xd8\\xff")) for name, suffix in suffixes(columns).items()}
    {'image': 'jpg', 'mask': 'mask.jpg', 'label': 'cls', 'age': 'age.cls'}
    """
    columns = [column for column in columns if column.name != KEY]
    blobs = [column.name for column in columns if not column.is_fixed]
    numbers = [column.name for column in columns if _is_number(column)]
    bare_number = next((name for name in numbers if name in _NUMBERS), None)
    bare_text = next((name for name in blobs if name in _TEXTS), None)
    found = {}
    for column in columns:
        name, field = column.name, f"{quoted(column.name)}."
        if name in numbers:
            found[name] = Suffix("" if name == bare_number else field, "cls", is_number=True)
        elif column.is_fixed:
            found[name] = Suffix(field, "npy")
        elif name == bare_text:
            found[name] = Suffix("", "txt")
        elif blobs == [name]:
            found[name] = Suffix("", _type_of)
        else:
            found[name] = Suffix("", _image_type_of) if name == "image" else Suffix(field, _type_of)
    return found


def _is_number(column: Column) -> bool:
    return column.is_fixed and not column.shape and np.dtype(column.dtype).kind in "iub"


def _image_type_of(cell: memoryview) -> str:
    """Return what the bytes are; never ``txt``, which is the caption's."""
    try:
        return suffix_of(cell)
    except DataError:
        return "bin"


def _type_of(cell: memoryview) -> str:
    """Ask for text first: the files that we know are none, but "BM" begins a BMP and many sentences."""
    try:
        if "\0" not in str(cell, "utf-8"):
            return "txt"
    except UnicodeDecodeError:
        pass
    return _image_type_of(cell)


def base_name(key: bytes) -> str:
    """Return what the names of a sample's members begin with: its key with its dots escaped.

    WebDataset ends it at the first dot of the last folder, and passes over ``__name__``.

    Examples
    --------
    >>> base_name(b"cat/1.jpg"), base_name(b"100%"), base_name(b"../x"), base_name(b"__a__/b")
    ('cat/1%2Ejpg', '100%25', '%2E%2E/x', '%5F_a__/b')
    """
    try:
        text = str(key, "utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(f"key {key!r} is not UTF-8 ({error})") from error
    if not all(text.split("/")):  # empty, or with slashes where a folder's name should be
        return quote(text, safe="").replace(".", "%2E") or "%"
    escaped = "".join(_escaped(letter) for letter in text)
    return f"%5F{escaped[1:]}" if escaped.startswith("__") else escaped


@cache
def _escaped(letter: str) -> str:
    """Escape what ends a name, what escapes, and what a file system or a terminal does not show."""
    return (
        quote(letter, safe="").replace(".", "%2E") if letter in ".%\\" or not letter.isprintable() else letter
    )


def _fixed_header() -> bytes:
    return tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)


_TEMPLATE = _fixed_header()
_NAME, _SIZE, _SUM = slice(0, 100), slice(124, 135), slice(148, 156)


def header(name: str, size: int) -> bytes:
    """Return the header of a member: mode 0644, and neither owner nor time.

    Examples
    --------
    >>> tarfile.TarInfo.frombuf(header("a.jpg", 3), "utf-8", "strict")
    <TarInfo 'a.jpg' at ...>
    """
    if not (name.isascii() and len(name) <= 100 and size < 8**11):
        info = tarfile.TarInfo(name)
        info.size = size
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8")
    block = bytearray(_TEMPLATE)  # as tarfile would, several times faster
    block[: len(name)] = name.encode()
    block[_SIZE] = b"%011o" % size
    block[_SUM] = b" " * 8
    block[_SUM] = b"%06o\0 " % sum(block)
    return bytes(block)
