"""The images of any source as a network of one channel takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voxloom.errors import MissingDataError, SchemaError
from voxloom.formats.encoding import cell_array
from voxloom.sample import Array, Cell, Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import ReadPolicy
from voxloom.sources.images import read_cell

__all__ = ["GreyImages", "KeyedImages"]


class GreyImages(Source):
    """The image fields of a source with one channel, as `voxloom.sources.read_image` reads files.

    Parameters
    ----------
    source
        What has them: files, arrays of a store, slices of a volume.
    policy
        What to do with colour, several pages, NaN and blank images.

    Raises
    ------
    SchemaError
        If the source has no field of images.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> from voxloom.sources.files import flat_folder
    >>> folder = mkdtemp()
    >>> Image.new("L", (5, 4)).save(f"{folder}/a.png")
    >>> GreyImages(flat_folder(folder))[0]["image"].shape
    (1, 4, 5)
    """

    def __init__(self, source: Source, policy: ReadPolicy | None = None) -> None:
        self.policy = policy or ReadPolicy()
        self._given = [field for field in source.schema.values() if field.kind == "image"]
        if not self._given:
            told = ", ".join(f"{field.name} ({field.kind})" for field in source.schema.values())
            raise SchemaError(f"{source!r} has no field of images, but {told}. Expected images to encode.")
        self.source = source.select(*(field.name for field in self._given))
        self._schema = Schema(Field(name=field.name) for field in self._given)

    def __repr__(self) -> str:
        return f"images of {self.source!r}"

    @property
    def schema(self) -> Schema:
        """The image fields: float32, axes cyx with one channel, of any size."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    def read(self, index: int) -> Sample:
        """Return the images of one sample in the units of their files.

        Raises
        ------
        DataError
            If one cannot be read, or the policy refuses it.
        """
        key, cells = self.source.keys[index], self.source.cells(index)
        arrays = {field.name: self._image(cells[field.name], field, key) for field in self._given}
        return Sample(key, self._schema, arrays)

    def _image(self, cell: Cell, field: Field, key: str) -> Array:
        if isinstance(cell, np.ndarray):  # a plane of a volume has an axis for each of y, x and z, or c
            cell = cell_array(cell, field, name=key)
        return read_cell(cell, self.policy, name=key, axes=field.axes).astype(np.float32, copy=False)


class KeyedImages(Source):
    """Images in the order of some keys, those of latents for instance; some may be gone."""

    def __init__(self, source: GreyImages, keys: Sequence[str]) -> None:
        self.source, self._keys = source, keys
        self._rows = {key: row for row, key in enumerate(source.keys)}

    def __repr__(self) -> str:
        return repr(self.source)

    @property
    def schema(self) -> Schema:
        """The fields of images."""
        return self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The given keys."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return the images of a sample.

        Raises
        ------
        MissingDataError
            When they are gone.
        """
        return self.source.read(self._row(index))

    def stored(self, index: int) -> Mapping[str, Cell]:
        """Return the images of a sample as they lie on disk; raises as `read` does."""
        return self.source.source.cells(self._row(index))

    def _row(self, index: int) -> int:
        if (row := self._rows.get(self._keys[index])) is None:
            raise MissingDataError(f"{self._keys[index]}: no such image any more in {self.source!r}.")
        return row

    def select(self, *names: str) -> Source:
        """Return some of the images of each sample."""
        return KeyedImages(GreyImages(self.source.source.select(*names), self.source.policy), self._keys)
