"""What flows: fields, schemas, samples, and the sources that yield them."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.registry import did_you_mean

__all__ = [
    "Array",
    "Cell",
    "Concat",
    "Field",
    "Kind",
    "Map",
    "Sample",
    "Schema",
    "Select",
    "Source",
    "Subset",
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


class Source(ABC):
    """Anything that can be read sample by sample.

    ``source[i]`` is a pure function of ``i``: picklable, the same in every process, IndexError
    outside ``[-len, len)``. Files are opened when they are needed.
    """

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The fields of each sample."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """The key of each sample, in order, without reading any."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Return sample `index`, which lies in [0, len)."""

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self)} samples"

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Subset: ...
    def __getitem__(self, index: int | slice) -> Sample | Subset:
        if isinstance(index, slice):
            return Subset(self, range(len(self))[index])
        length = len(self)
        if not -length <= index < length:
            raise IndexError(
                f"sample {index} of a source of {length}: expected an index in [-{length}, {length})"
            )
        return self.read(int(index) % length)

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several samples; sources that can gather in one go do so."""
        return [self[i] for i in indices]

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index` as it lies at rest: a file's own bytes where a file holds the field.

        Conversion copies these without decoding them.
        """
        return self[index]

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return several samples stacked: one array (len(indices), *shape) a field.

        Parameters
        ----------
        indices
            Which samples, in this order.
        out
            Arrays to fill and return, for instance those of an earlier call.

        Raises
        ------
        SchemaError
            If a field differs in shape or type between the samples; it names two of them.
        """
        samples = self.__getitems__(indices)
        return {name: _stacked(name, samples, (out or {}).get(name)) for name in self.schema}

    def select(self, *names: str) -> Source:
        """Return the same samples with these fields alone; the others are not decoded where that can be.

        Examples
        --------
        >>> class Two(Source):
        ...     schema = Schema([Field(name="image"), Field(name="label", kind="class", axes="")])
        ...     keys = ("a",)
        ...     def read(self, index):
        ...         return Sample("a", self.schema, {"image": np.zeros((1, 2, 2)), "label": np.array(3)})
        >>> Two().select("label")[0]
        {'label': array(3)}
        """
        return Select(self, names)


class Concat(Source):
    """Several sources of one schema, one after the other."""

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise SchemaError("Concat of no sources: expected at least one")
        names = [tuple(source.schema) for source in sources]
        if len(set(names)) != 1:
            raise SchemaError(f"sources to join have different fields: {names}; expected the same in each")
        self._sources = tuple(sources)
        self._ends = list(accumulate(len(source) for source in sources))
        self._keys = [key for source in sources for key in source.keys]

    def __repr__(self) -> str:
        return " and ".join(map(repr, self._sources))

    @property
    def schema(self) -> Schema:
        """The fields of the first source; dtype and shape may differ in the others."""
        return self._sources[0].schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all sources in turn."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return the sample from the source that holds it."""
        source, inner = self.located(index)
        return source.read(inner)

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the sample at rest from the source that holds it."""
        source, inner = self.located(index)
        return source.cells(inner)

    def select(self, *names: str) -> Source:
        """Join the same choice of each source."""
        return Concat([source.select(*names) for source in self._sources])

    def located(self, index: int) -> tuple[Source, int]:
        """Return the source that holds sample `index`, and the sample's index there."""
        which = bisect.bisect_right(self._ends, index)
        return self._sources[which], index - (self._ends[which - 1] if which else 0)


class Subset(Source):
    """The samples of a source at `indices`, in that order."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        keys = source.keys
        self._keys = [keys[i] for i in self.indices]

    def __repr__(self) -> str:
        return f"{len(self)} of {self.source!r}"

    @property
    def schema(self) -> Schema:
        """The fields of the source."""
        return self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the chosen samples."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return the chosen sample."""
        return self.source[int(self.indices[index])]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several of the chosen samples, gathered by the source in one go."""
        return self.source.__getitems__(self.indices[list(indices)].tolist())

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the chosen sample at rest."""
        return self.source.cells(int(self.indices[index]))

    def select(self, *names: str) -> Source:
        """Choose the same samples of the source's own choice of fields."""
        return Subset(self.source.select(*names), self.indices.tolist())


class Map(Source):
    """A source with a function of one sample applied as it is read.

    Parameters
    ----------
    source
        What is read.
    function
        Sample -> Sample, deterministic and picklable.
    """

    def __init__(self, source: Source, function: Callable[[Sample], Sample]) -> None:
        self.source = source
        self.function = function

    @property
    def schema(self) -> Schema:
        """The fields of the first sample as the function leaves them: reading it costs one sample."""
        return self[0].schema if len(self.source) else self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    def read(self, index: int) -> Sample:
        """Return the mapped sample."""
        return self.function(self.source[index])

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several mapped samples, gathered by the source in one go."""
        return [self.function(sample) for sample in self.source.__getitems__(indices)]


class Select(Source):
    """Some fields of a source: what `Source.select` returns where the source knows no shorter way."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self.source = source
        self._schema = source.schema.only(*names)

    @property
    def schema(self) -> Schema:
        """The chosen fields."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    def read(self, index: int) -> Sample:
        """Return the chosen fields of sample `index`."""
        sample = self.source[index]
        return Sample(sample.key, self._schema, {name: sample[name] for name in self._schema})

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the chosen fields of sample `index` at rest."""
        cells = self.source.cells(index)
        return {name: cells[name] for name in self._schema}


def _stacked(name: str, samples: Sequence[Sample], out: Array | None) -> Array:
    arrays = [sample[name] for sample in samples]
    kinds = {(array.shape, array.dtype.str): s.key for s, array in zip(samples, arrays, strict=True)}
    text = all(array.dtype.kind == "U" for array in arrays)
    if len(kinds) > 1 and not text:
        told = ", ".join(f"{shape} {dtype} ({key!r})" for (shape, dtype), key in sorted(kinds.items()))
        raise SchemaError(
            f"field {name!r} differs within one batch: {told}; expected one shape and type. "
            "Bring all images to one size with a resize, or read them one by one."
        )
    return np.stack(arrays, out=out)
