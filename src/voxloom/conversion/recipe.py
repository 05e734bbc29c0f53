"""How a sample of a source becomes a row of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxloom.conversion.pixels import in_mode, resized
from voxloom.conversion.settings import Conversion
from voxloom.errors import DataError, SchemaError, UnreadableImageError
from voxloom.formats.encoding import cell_array, cell_bytes, decode, encode, sniff
from voxloom.formats.format import KEY, Row
from voxloom.formats.manifest import Encoding
from voxloom.formats.pixels import arranged
from voxloom.sample import Array, Cell, Field

__all__ = ["FieldRecipe", "Recipe", "is_resized", "refuse_cut", "row_size"]

_COPIED = ("npy", "blosc", "png")  # what loses nothing is not encoded twice


def is_resized(field: Field, settings: Conversion) -> bool:
    """Whether the settings change the size of a field: images and masks have one, and nothing else."""
    return settings.size is not None and field.kind in ("image", "mask")


@dataclass(frozen=True)
class FieldRecipe:
    """How one field is made.

    Attributes
    ----------
    source
        The field as the source has it.
    field
        The field as the store has it.
    encoding
        How it lies in its column.
    settings
        The settings of the conversion.
    """

    source: Field
    field: Field
    encoding: Encoding
    settings: Conversion

    @property
    def changes(self) -> bool:
        """Whether size or mode change what it holds."""
        has_mode = self.settings.mode is not None and self.source.kind == "image"
        return has_mode or is_resized(self.source, self.settings)

    def cell(self, cell: Cell, name: str) -> Cell:
        """Return what the store keeps.

        Raises
        ------
        DataError
            If the cell cannot be read.
        SchemaError
            If it has another shape or type than the column.
        """
        if self.encoding == "fixed":
            return self._fixed(self.array(cell, name), name)
        if not self.changes and (copied := self._copied(cell, name)) is not None:
            return copied
        quality = self.settings.quality
        if self.encoding in ("text", "file"):
            return cell_bytes(cell, "npy" if self.encoding == "file" else "text", self.field, name=name)
        array = self.array(cell, name)
        axes = self.field.axes if self.encoding in ("png", "jpeg") else None
        return encode(array, self.encoding, axes=axes, quality=quality, name=name)

    def array(self, cell: Cell, name: str) -> Array:
        """Return the field as an array with the axes of the field."""
        if not self.changes:
            return cell_array(cell, self.source, name=name)
        is_mask, mode, size = self.source.kind == "mask", self.settings.mode, self.settings.size
        interpolation = "nearest" if is_mask else self.settings.interpolation
        pixels, axes = self._pixels(cell, name, scaled=interpolation != "nearest")
        if mode is not None and not is_mask:
            pixels = in_mode(arranged(pixels, axes, "yxc", name=name), mode, name=name)
            axes = "yxc"[: pixels.ndim]
        if size is not None:
            pixels = resized(pixels, axes, size, interpolation)
        return arranged(pixels, axes, self.field.axes, name=name)

    def _pixels(self, cell: Cell, name: str, *, scaled: bool) -> tuple[Array, str]:
        if isinstance(cell, np.ndarray):
            return cell, self.source.axes
        if sniff(cell, name=name) in ("npy", "blosc"):
            return decode(cell, name=name), self.source.axes
        if self.settings.mode is None or self.source.kind == "mask":
            axes = self.source.axes
            at_least = self._at_least if scaled else None
            return decode(cell, axes, name=name, kind=self.source.kind, at_least=at_least), axes
        pixels = decode(cell, name=name, at_least=self._at_least if scaled else None)
        return pixels, "zyxc"[4 - pixels.ndim :] if pixels.ndim == 4 else "yxc"[: pixels.ndim]

    @property
    def _at_least(self) -> tuple[int, int] | None:
        """Twice the size that is wanted: from there on resizing hides how a JPEG was shrunk before."""
        size = self.settings.size
        return None if size is None else (2 * size[0], 2 * size[1])

    def _copied(self, cell: Cell, name: str) -> bytes | memoryview | None:
        """Return bytes that can stay as they are, or None."""
        if isinstance(cell, np.ndarray):
            return None
        if self.encoding == "file":
            refuse_cut(cell, name)
            return cell
        if self.encoding == "text" and self.source.kind == "text":
            return cell
        return cell if self.encoding in _COPIED and sniff(cell, name=name) == self.encoding else None

    def _fixed(self, array: Array, name: str) -> Array:
        shape, dtype = self.field.shape, self.field.dtype
        if array.shape != shape or array.dtype != dtype:
            raise SchemaError(
                f"sample {name!r}: field {self.field.name!r} has shape {array.shape} of {array.dtype}, and "
                f"the samples before it {shape} of {dtype}. {CURE}"
            )
        return np.ascontiguousarray(array).reshape(shape)  # ascontiguousarray makes a scalar 1-d


CURE = (
    "A field of one size needs one shape and type: give size, and mode where colour and grey are mixed, "
    "or choose an encoding for one image at a time: file, npy, blosc, png or jpeg."
)


@dataclass(frozen=True)
class Recipe:
    """How a sample is made: one `FieldRecipe` a field."""

    fields: tuple[FieldRecipe, ...]

    def row(self, cells: Mapping[str, Cell], key: str) -> Row:
        """Return the columns of a sample.

        Raises
        ------
        DataError
            If the sample cannot be read.
        SchemaError
            If a field does not fit its column.
        """
        made: dict[str, Cell] = {}
        for recipe in self.fields:
            made[recipe.field.name] = recipe.cell(cells[recipe.field.name], key)
        try:
            made[KEY] = key.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"sample {key!r}: its name is no Unicode text; rename the file.") from error
        return made


def row_size(row: Mapping[str, Cell]) -> int:
    """Return the bytes of all cells."""
    return sum(cell.nbytes if isinstance(cell, np.ndarray) else len(cell) for cell in row.values())


def refuse_cut(data: bytes | memoryview, name: str) -> None:
    """Refuse a file that is empty, of an unknown kind, or lacks its end; nothing is decoded.

    Examples
    --------
    >>> refuse_cut(b"\\xff\\xd8\\xff\\xe0" + bytes(100), "a.jpg")
    Traceback (most recent call last):
    voxloom.errors.UnreadableImageError: a.jpg: cut off: the end of a JPEG is missing. Write the file again
    from its origin, or leave it out with on_error='skip'.
    """
    kind = sniff(data, name=name)
    mark = _ENDS.get(kind)
    if mark is not None and bytes(data[-len(mark) :]) != mark and bytes(data).rfind(mark) < 0:
        raise UnreadableImageError(
            f"{name}: cut off: the end of a {kind.upper()} is missing. Write the file again from its "
            "origin, or leave it out with on_error='skip'."
        )


_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}
