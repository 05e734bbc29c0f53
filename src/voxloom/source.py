"""Anything that can be read sample by sample, and what is made of such sources."""

from __future__ import annotations

import bisect
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import overload

import numpy as np

from voxloom.errors import SchemaError
from voxloom.keys import Keys
from voxloom.sample import Array, Cell, Sample, Schema
from voxloom.stacking import joined, stacked

__all__ = ["Concat", "Map", "Select", "Source", "Subset"]


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
        return self.read(self.place(index))

    def place(self, index: int) -> int:
        """Return where a sample lies, in [0, len); a negative index counts from the end.

        Raises
        ------
        IndexError
            If it lies outside.
        TypeError
            If it is no integer, for instance a key.
        """
        length = len(self)
        try:
            number = operator.index(index)
        except TypeError as error:
            raise TypeError(
                f"sample {index!r} of a source of {length}: expected an index, an integer. For a key, look "
                "its index up with source.keys.index(key); voxloom.loading.by_key(source, keys) takes many."
            ) from error
        if not -length <= number < length:
            raise IndexError(
                f"sample {number} of a source of {length}: expected an index in [-{length}, {length})"
            )
        return number % length

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several samples; sources that can gather in one go do so."""
        return [self[i] for i in indices]

    def at_epoch(self, epoch: int) -> Source:  # noqa: ARG002 - most samples are the same in each epoch
        """Return the source as it is in an epoch; the Loader reads it so.

        Patches drawn at random lie elsewhere in each epoch: such a source returns itself with another
        draw, as a pure function of `epoch`. Length, schema and keys stay.
        """
        return self

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
        return {name: stacked(name, samples, (out or {}).get(name)) for name in self.schema}

    def select(self, *names: str) -> Source:
        """Return the same samples with these fields alone; the others are not decoded where that can be.

        Examples
        --------
        >>> from voxloom.sample import Field
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
    """Several sources of one schema, one after the other.

    Parameters
    ----------
    sources
        At least one. Fields of one name are of one kind, and have the same axes and categories; dtype
        and shape may differ.

    Raises
    ------
    SchemaError
        If there is none, or their fields do not fit together.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise SchemaError("Concat of no sources: expected at least one")
        names = [tuple(source.schema) for source in sources]
        if len(set(names)) != 1:
            raise SchemaError(f"sources to join have different fields: {names}; expected the same in each")
        _check_alike(sources)
        self.sources = tuple(sources)
        self._ends = list(accumulate(len(source) for source in sources))
        self._starts = [0, *self._ends[:-1]]

    def __repr__(self) -> str:
        return " and ".join(map(repr, self.sources))

    @property
    def schema(self) -> Schema:
        """The fields of the first source; dtype and shape may differ in the others."""
        return self.sources[0].schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all sources in turn."""
        return Keys(len(self), self._key, self._each_key)

    def __len__(self) -> int:
        return self._ends[-1]

    def _key(self, index: int) -> str:
        source, inner = self.located(index)
        return source.keys[inner]

    def _each_key(self) -> Iterator[str]:
        return chain.from_iterable(source.keys for source in self.sources)

    def read(self, index: int) -> Sample:
        """Return the sample from the source that holds it."""
        source, inner = self.located(index)
        return source.read(inner)

    def at_epoch(self, epoch: int) -> Source:
        """Join the sources as they are in an epoch."""
        sources = [source.at_epoch(epoch) for source in self.sources]
        same = all(a is b for a, b in zip(sources, self.sources, strict=True))
        return self if same else Concat(sources)

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the sample at rest from the source that holds it."""
        source, inner = self.located(index)
        return source.cells(inner)

    def select(self, *names: str) -> Source:
        """Join the same choice of each source."""
        return Concat([source.select(*names) for source in self.sources])

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return several samples stacked: each source gathers its own, and they are put into place."""
        index, length = np.array(indices, np.int64), len(self)
        if index.size and not (-length <= index.min() and index.max() < length):
            raise IndexError(f"samples {index.min()} to {index.max()} of a source of {length}")
        index[index < 0] += length
        which = np.searchsorted(self._ends, index, side="right")
        numbers = sorted(set(which.tolist()))
        if len(numbers) <= 1:
            number = numbers[0] if numbers else 0
            return self.sources[number].gather((index - self._starts[number]).tolist(), out=out)
        places = [np.flatnonzero(which == number) for number in numbers]
        parts = [
            self.sources[number].gather((index[place] - self._starts[number]).tolist())
            for number, place in zip(numbers, places, strict=True)
        ]
        return {
            name: joined(name, [p[name] for p in parts], places, (out or {}).get(name))
            for name in self.schema
        }

    def located(self, index: int) -> tuple[Source, int]:
        """Return the source that holds sample `index`, and the sample's index there."""
        which = bisect.bisect_right(self._ends, index)
        return self.sources[which], index - self._starts[which]


class Subset(Source):
    """The samples of a source at `indices`, in that order."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        length = len(source)
        if self.indices.size and not (-length <= self.indices.min() and self.indices.max() < length):
            raise IndexError(
                f"indices {self.indices.min()} to {self.indices.max()} of a source of {length} samples"
            )

    def __repr__(self) -> str:
        return f"{len(self)} of {self.source!r}"

    @property
    def schema(self) -> Schema:
        """The fields of the source."""
        return self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the chosen samples."""
        return Keys(len(self.indices), self._key)

    def __len__(self) -> int:
        return len(self.indices)

    def _key(self, index: int) -> str:
        return self.source.keys[int(self.indices[index])]

    def read(self, index: int) -> Sample:
        """Return the chosen sample."""
        return self.source[int(self.indices[index])]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several of the chosen samples, gathered by the source in one go."""
        return self.source.__getitems__(self.indices[list(indices)].tolist())

    def at_epoch(self, epoch: int) -> Source:
        """Choose the same samples of the source as it is in an epoch."""
        source = self.source.at_epoch(epoch)
        return self if source is self.source else Subset(source, self.indices.tolist())

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the chosen sample at rest."""
        return self.source.cells(int(self.indices[index]))

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return several of the chosen samples stacked, gathered by the source."""
        return self.source.gather(self.indices[np.asarray(indices, np.int64)].tolist(), out=out)

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

    def at_epoch(self, epoch: int) -> Source:
        """Map the source as it is in an epoch."""
        source = self.source.at_epoch(epoch)
        return self if source is self.source else Map(source, self.function)

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

    def at_epoch(self, epoch: int) -> Source:
        """Choose the same fields of the source as it is in an epoch."""
        source = self.source.at_epoch(epoch)
        return self if source is self.source else Select(source, tuple(self._schema))

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the chosen fields of sample `index` at rest."""
        cells = self.source.cells(index)
        return {name: cells[name] for name in self._schema}


def _check_alike(sources: Sequence[Source]) -> None:
    """Refuse fields that mean another thing in another source: class 0 must be one class."""
    first = sources[0]
    expected = first.schema
    for other in sources[1:]:
        for name, field in other.schema.items():
            for what in ("kind", "axes", "categories"):
                mine, theirs = getattr(expected[name], what), getattr(field, what)
                if mine != theirs:
                    raise SchemaError(
                        f"field {name!r} of sources to join has different {what}: {_short(mine)} in "
                        f"{first!r} and {_short(theirs)} in {other!r}. {_CURES[what]}"
                    )


_CURES = {
    "kind": "Give fields that hold different things different names.",
    "axes": "Bring them to the same axes first, for instance with Map.",
    "categories": "Labels are numbers of these classes: give each source the same class list in the same "
    "order (for folders, a folder for every class in each, be it empty), or renumber them with Map.",
}


def _short(value: object) -> str:
    """Return a value as a message can hold it: of thousands of classes the first."""
    told = repr(value)
    return told if len(told) <= 200 else f"{told[:200]}..."
