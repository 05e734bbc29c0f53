"""What flows: fields, schemas and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy.typing as npt

from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.registry import did_you_mean

__all__ = [
    "Array",
    "Cell",
    "Field",
    "Kind",
    "Sample",
    "Schema",
]

Array = npt.NDArray[Any]
Cell = Array | bytes | memoryview
"""One field of one sample at rest: an array, or the bytes of a file that hold it."""
Kind = Literal["image", "mask", "class", "attribute", "latent", "text"]


class Field(Component):
    """One named array of a sample."""

    name: str
    """The key in the sample, for instance ``image`` or ``target``."""
    kind: Kind = "image"
    """What it holds: spatial transforms interpolate an image and take the nearest of a mask."""
    axes: str = "cyx"
    """One letter an axis, in the order of the array; spatial order is z, y, x."""
    dtype: str = "float32"
    """numpy's name of the element type."""
    shape: tuple[int, ...] | None = None
    """Extent of each axis, or None where it differs from sample to sample."""
    spacing: tuple[float, ...] | None = None
    """Distance between the centres of neighbouring pixels along each spatial axis, in `unit`."""
    unit: str | None = None
    """Unit of `spacing`, for instance ``nanometer`` or ``millimeter``."""
    categories: tuple[str, ...] = ()
    """Names of the classes, for kinds ``class`` and ``mask``."""

    @property
    def is_spatial(self) -> bool:
        """Whether a change of geometry has to move this field."""
        return self.kind in ("image", "mask", "latent")


class Schema(Mapping[str, Field]):
    """An ordered set of fields: the promise that each sample of a source keeps.

    Examples
    --------
    >>> schema = Schema([Field(name="image"), Field(name="mask", kind="mask", dtype="uint8")])
    >>> list(schema)
    ['image', 'mask']
    >>> schema["msak"]
    Traceback (most recent call last):
    voxloom.errors.SchemaError: no field 'msak'. Fields: image, mask. Did you mean 'mask'?
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        listed = list(fields)
        self._fields = {field.name: field for field in listed}
        if len(self._fields) != len(listed):
            raise SchemaError(f"a field name stands twice in {[f.name for f in listed]}; names must differ")

    def __getitem__(self, name: str) -> Field:
        if name not in self._fields:
            known = ", ".join(self._fields)
            raise SchemaError(f"no field {name!r}. Fields: {known}.{did_you_mean(name, self._fields)}")
        return self._fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Schema({list(self._fields.values())!r})"

    def only(self, *names: str) -> Schema:
        """Return a schema with these fields alone, in this order."""
        return Schema(self[name] for name in names)

    def replace(self, *fields: Field) -> Schema:
        """Return a schema with these fields put in the place of those of the same name, or added."""
        return Schema({**self._fields, **{field.name: field for field in fields}}.values())

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain values, as a manifest or a checkpoint stores them."""
        return [field.model_dump(mode="json", exclude_defaults=True) for field in self.values()]

    @classmethod
    def from_list(cls, fields: Iterable[Mapping[str, Any]]) -> Schema:
        """Build a schema from what `to_list` returned."""
        return cls(Field.model_validate(field) for field in fields)


class Sample(dict[str, Array]):
    """A dict of arrays that matches `schema`, with its `key`.

    Parameters
    ----------
    key
        The sample's name in its source: a path without suffix, unique in the source.
    schema
        Tells transforms what each array is.
    arrays
        One array a field.

    Examples
    --------
    >>> import numpy as np
    >>> sample = Sample("a/001", Schema([Field(name="image")]), {"image": np.zeros((1, 4, 4))})
    >>> sample.key, sample["image"].shape
    ('a/001', (1, 4, 4))
    """

    def __init__(self, key: str, schema: Schema, arrays: Mapping[str, Array]) -> None:
        super().__init__(arrays)
        self.key = key
        self.schema = schema

    def __reduce__(self) -> tuple[Any, ...]:
        return Sample, (self.key, self.schema, dict(self))

    def with_arrays(self, arrays: Mapping[str, Array], schema: Schema | None = None) -> Sample:
        """Return a sample of the same key with some arrays replaced or added; self is not changed."""
        return Sample(self.key, schema or self.schema, {**self, **arrays})
