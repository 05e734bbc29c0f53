"""Inspect: what a store or a folder holds, found from headers, labels and a few samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from voxloom.amounts import size_of_cell
from voxloom.analysis.looking.sheet import evenly_spread
from voxloom.component import Component
from voxloom.errors import ConfigError, DataError
from voxloom.formats import Manifest
from voxloom.formats.encoding import cell_array, header
from voxloom.formats.store import Store
from voxloom.sample import Array, Cell, Field
from voxloom.source import Source
from voxloom.sources import FieldStatistics

__all__ = ["FieldFacts", "Inspection", "StoreFacts", "class_counts", "inspect"]

_CHUNK = 4096  # labels read at once


class StoreFacts(Component):
    """What the manifest of a store says."""

    format: str
    """Format of its shards."""
    producer: str
    """Program and version that wrote it."""
    shards: int
    """Number of shards."""
    bytes: int
    """Size of all shards."""
    skipped: tuple[tuple[str, str], ...]
    """Key and reason of the samples that were left out."""
    facts: dict[str, Any]
    """What the producer adds, for instance the settings of the conversion."""

    @classmethod
    def of(cls, manifest: Manifest) -> StoreFacts:
        """Sum a manifest up."""
        return cls(
            format=manifest.format,
            producer=manifest.producer,
            shards=len(manifest.shards),
            bytes=sum(shard.bytes for shard in manifest.shards),
            skipped=tuple(each for shard in manifest.shards for each in shard.skipped),
            facts=manifest.facts,
        )


class FieldFacts(Component):
    """One field, over the samples that were looked at."""

    field: Field
    """The field as the schema has it; its categories are counted in `Inspection.classes`."""
    encoding: str | None
    """How it lies in a store; None for other sources."""
    statistics: FieldStatistics | None
    """Shapes, types and values; None for text and where nothing could be read."""
    heights: tuple[int, int] | None
    """Smallest and largest height in pixels."""
    widths: tuple[int, int] | None
    """Smallest and largest width in pixels."""
    files: dict[str, int]
    """Number of files of each kind: jpeg, png, tiff ..."""
    modes: dict[str, int]
    """Number of files of each mode, as Pillow names it (L, RGB, P ...) or the file itself (MINISBLACK)."""
    stored_bytes: int
    """Bytes at rest, before a format's own compression."""
    decoded_bytes: int
    """Bytes of the arrays."""


class Inspection(Component):
    """What `inspect` has found."""

    source: str
    """What the data set is."""
    samples: int
    """Number of samples."""
    sampled: int
    """Number of samples that were looked at, evenly spread."""
    fields: tuple[FieldFacts, ...]
    """Each field."""
    classes: dict[str, dict[str, int]]
    """Samples of each class, over all samples, by field."""
    unreadable: dict[str, str]
    """Key and reason of the samples looked at that could not be read."""
    store: StoreFacts | None = None
    """What the manifest says, for a store."""

    @property
    def compression(self) -> float | None:
        """Bytes of all decoded arrays over those of the store, from the samples looked at."""
        looked = self.sampled - len(self.unreadable)
        if self.store is None or not self.store.bytes or looked < 1:
            return None
        return sum(field.decoded_bytes for field in self.fields) / looked * self.samples / self.store.bytes


def inspect(source: Source, *, number: int = 32) -> Inspection:
    """Look at a source: its labels all, its headers and pixels in samples evenly spread over it.

    Parameters
    ----------
    source
        A store, a folder, a table: whatever `open_source` gives.
    number
        Samples to read at most.

    Raises
    ------
    ConfigError
        If `number` is less than 1.
    DataError
        If the labels cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import ImageFolder, write_image
    >>> folder = mkdtemp()
    >>> for i in range(4):
    ...     write_image(f"{folder}/{i}.tif", np.full((2, 3 + i), i))
    >>> found = inspect(ImageFolder(folder))
    >>> found.samples, found.fields[0].heights, found.fields[0].widths
    (4, (2, 2), (3, 6))
    """
    if number < 1:
        raise ConfigError(f"{number} samples to look at: expected at least 1.")
    store = source if isinstance(source, Store) else None
    indices = evenly_spread(len(source), number)
    looks = [_Look(source, name, indices) for name in source.schema]
    fields = tuple(look.facts() for look in looks)
    return Inspection(
        source=repr(source),
        samples=len(source),
        sampled=len(indices),
        fields=fields,
        classes={f.name: class_counts(source, f.name) for f in source.schema.values() if f.kind == "class"},
        unreadable={key: reason for look in looks for key, reason in look.unreadable.items()},
        store=StoreFacts.of(store.manifest) if store else None,
    )


def class_counts(source: Source, name: str) -> dict[str, int]:
    """Count the samples of each class; no other field is read.

    A class without samples counts 0, and a number without a name counts under its digits.
    """
    chosen, categories = source.select(name), source.schema[name].categories
    numbers: Counter[int] = Counter()
    for start in range(0, len(source), _CHUNK):
        labels = chosen.gather(range(start, min(start + _CHUNK, len(source))))[name]
        values, counts = np.unique(labels, return_counts=True)
        numbers.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    named = {category: numbers.pop(i, 0) for i, category in enumerate(categories)}
    return named | {str(value): numbers[value] for value in sorted(numbers)}


class _Look:
    """One field of the samples that are looked at, read one by one."""

    def __init__(self, source: Source, name: str, indices: Sequence[int]) -> None:
        self._field = source.schema[name]
        self._encoding = source.manifest.encodings[name] if isinstance(source, Store) else None
        self._source, self._indices = source.select(name), indices
        self._files: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._sides: dict[str, list[int]] = {"y": [], "x": []}
        self._stored = self._decoded = 0
        self.unreadable: dict[str, str] = {}

    def facts(self) -> FieldFacts:
        """Read the samples, and say what they are."""
        found = FieldStatistics.of(self._field.name, self._arrays())
        return FieldFacts(
            field=self._field,
            encoding=self._encoding,
            statistics=found if found.shapes else None,
            heights=_ends(self._sides["y"]),
            widths=_ends(self._sides["x"]),
            files=dict(self._files.most_common()),
            modes=dict(self._modes.most_common()),
            stored_bytes=self._stored,
            decoded_bytes=self._decoded,
        )

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        name = self._field.name
        for index in self._indices:
            try:
                cell, key = self._source.cells(index)[name], self._source.keys[index]
                array = cell_array(cell, self._field, name=key, encoding=self._encoding)
                self._count(cell, array)
            except DataError as error:
                key = self._source.keys[index]
                self.unreadable[key] = str(error).removeprefix(f"{key}: ")
                continue
            if array.dtype.kind in "biuf":
                yield key, array

    def _count(self, cell: Cell, array: Array) -> None:
        if not isinstance(cell, np.ndarray) and self._field.kind != "text":
            head = header(cell, name=self._field.name)
            self._files[head.kind] += 1
            self._modes.update([head.mode] if head.mode else [])
        self._stored += size_of_cell(cell)
        self._decoded += len(str(array).encode()) if self._field.kind == "text" else array.nbytes
        axes = self._field.axes
        for letter, sides in self._sides.items():
            if letter in axes and len(axes) == array.ndim:
                sides.append(array.shape[axes.index(letter)])


def _ends(values: Sequence[int]) -> tuple[int, int] | None:
    return (min(values), max(values)) if values else None
