"""How a sample of a source becomes a row of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxloom.conversion.colours import odd_mode, rgb
from voxloom.conversion.pixels import in_mode, resized
from voxloom.conversion.settings import Conversion
from voxloom.errors import DataError, SchemaError
from voxloom.formats.encoding import cell_array, cell_bytes, decode, encode, sniff
from voxloom.formats.ends import refuse_cut
from voxloom.formats.format import KEY, Row
from voxloom.formats.manifest import Encoding
from voxloom.formats.pixels import arranged
from voxloom.sample import Array, Cell, Field

__all__ = ["FieldRecipe", "Recipe", "is_resized", "row_size"]

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
        self._refuse_odd_colours(cell, name)
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
        if odd_mode(cell, name=name):
            return rgb(cell, self.settings.mode, name=name), "yxc"
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
        if self.encoding == "text" and self.source.kind == "text":
            _ = cell_array(cell, self.source, name=name)  # refuses what numpy would not give back
            return cell
        if self.encoding != "file" and not (
            self.encoding in _COPIED and sniff(cell, name=name) == self.encoding
        ):
            return None
        refuse_cut(cell, name=name)
        if self.settings.check == "decode":
            decode(cell, name=name, kind=self.source.kind)
        return cell

    def _refuse_odd_colours(self, cell: Cell, name: str) -> None:
        """Refuse what PNG and JPEG would take for red, green and blue."""
        if self.encoding not in ("png", "jpeg") or self.settings.mode is not None:
            return
        if isinstance(cell, np.ndarray) or self.source.kind != "image":
            return
        if mode := odd_mode(cell, name=name):
            raise SchemaError(
                f"{name}: colours in mode {mode} do not go into a {self.encoding.upper()}, which would "
                "show them wrong. Give mode='RGB', or choose encoding file, npy or blosc."
            )

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
