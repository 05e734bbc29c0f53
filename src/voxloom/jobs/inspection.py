"""Inspect: what a store or a folder holds, found from headers, labels and some samples, or all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voxloom.amounts import counted, size_of_cell
from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.labels import check_classes, check_masks
from voxloom.analysis.looking.partners import Correspondence
from voxloom.analysis.looking.seen import Seen
from voxloom.analysis.looking.sheet import evenly_spread
from voxloom.analysis.looking.spacing import check_files, check_schemas, tiff_spacing
from voxloom.analysis.looking.values import check_fields, check_sizes, check_values
from voxloom.component import Component
from voxloom.errors import ConfigError, DataError
from voxloom.formats import Manifest
from voxloom.formats.encoding import cell_array, header
from voxloom.formats.store import Store
from voxloom.jobs.inspection_alike import check_alike
from voxloom.jobs.inspection_pairs import correspondences
from voxloom.sample import Array, Cell, Field
from voxloom.source import Source
from voxloom.sources import FieldStatistics

__all__ = ["FieldFacts", "Inspection", "Looked", "StoreFacts", "class_counts", "inspect", "look"]

_CHUNK = 4096  # labels read at once
_VALUES = 4_000_000  # of a field that are remembered for its histogram

Progress = Callable[[int, int], object]


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
    correspondences: tuple[Correspondence, ...] = ()
    """How well the fields of a sample match, against shuffled ones."""
    warnings: tuple[Finding, ...] = ()
    """What will hurt later."""

    @property
    def compression(self) -> float | None:
        """Bytes of all decoded arrays over those of the store, from the samples looked at."""
        looked = self.sampled - len(self.unreadable)
        if self.store is None or not self.store.bytes or looked < 1:
            return None
        return sum(field.decoded_bytes for field in self.fields) / looked * self.samples / self.store.bytes


@dataclass(frozen=True)
class Looked:
    """A source that was looked at.

    Attributes
    ----------
    source
        It.
    found
        What it holds.
    seen
        Of each field of pixels, what is remembered of each array that could be read.
    places
        Index of each sample that was looked at, by key.
    """

    source: Source
    found: Inspection
    seen: Mapping[str, Sequence[Seen]]
    places: Mapping[str, int]


def inspect(source: Source, *, number: int | None = 32) -> Inspection:
    """Look at a source, and say what it holds and what will hurt later; parameters as of `look`.

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
    >>> [each.name for each in found.warnings]
    ['constant', 'sizes']
    """
    return look(source, number=number).found


def look(
    source: Source,
    *,
    number: int | None = 32,
    dropped: Sequence[str] = (),
    progress: Progress | None = None,
) -> Looked:
    """Look at a source: its labels all, its headers and pixels in samples evenly spread over it.

    Parameters
    ----------
    source
        A store, a folder, a table: whatever `open_source` gives.
    number
        Samples to read at most; None reads all.
    dropped
        Files without a partner, which are not in the source.
    progress
        Told (done, total) arrays.

    Raises
    ------
    ConfigError
        If `number` is less than 1.
    DataError
        If the labels cannot be read.
    """
    if number is not None and number < 1:
        raise ConfigError(f"{number} samples to look at: expected at least 1.")
    indices = evenly_spread(len(source), len(source) if number is None else number)
    looks = [_Look(source, name, indices) for name in source.schema]
    fields = tuple(each.facts(_told_from(progress, turn, len(looks))) for turn, each in enumerate(looks))
    pairs = correspondences(source, [i for i in indices if not any(i in each.unread for each in looks)])
    found_ = _inspection(source, looks, fields, len(indices)).model_copy(
        update={"correspondences": pairs.tested}
    )
    seen = {each.name: each.seen for each in looks if source.schema[each.name].is_spatial}
    looked = Looked(source, found_, seen, {source.keys[i]: i for i in indices})
    findings = [
        *_of_files(found_.unreadable, dropped),
        *_of_pixels(looked),
        *(each for look_ in looks for each in check_files(look_.name, look_.spacings)),
        *check_schemas({"": source.schema}),
        *(each for facts in fields for each in _of_numbers(facts)),
        *(each for n, c in found_.classes.items() for each in check_classes(n, c, _known(source, n))),
        *pairs.findings,
        *check_alike({"": looked}),
    ]
    warnings = tuple(sorted(findings, key=lambda finding: finding.severity == "note"))
    return replace(looked, found=found_.model_copy(update={"warnings": warnings}))


def _inspection(
    source: Source, looks: Sequence[_Look], fields: tuple[FieldFacts, ...], sampled: int
) -> Inspection:
    return Inspection(
        source=repr(source),
        samples=len(source),
        sampled=sampled,
        fields=fields,
        classes={f.name: class_counts(source, f.name) for f in source.schema.values() if f.kind == "class"},
        unreadable={key: reason for each in looks for key, reason in each.unreadable.items()},
        store=StoreFacts.of(source.manifest) if isinstance(source, Store) else None,
    )


def _of_pixels(looked: Looked) -> Iterator[Finding]:
    """Tell what is odd about images and masks, one field after the other, and between them."""
    schema = looked.source.schema
    yield from check_sizes(schema, looked.seen)
    for name, seen in looked.seen.items():
        yield from check_values(schema[name], seen)
    yield from check_fields({n: seen for n, seen in looked.seen.items() if schema[n].kind == "image"})
    for name, seen in looked.seen.items():
        yield from check_masks(schema[name], seen)


def _of_files(unreadable: Mapping[str, str], dropped: Sequence[str]) -> Iterator[Finding]:
    if unreadable:
        yield found("unreadable", f"{counted(len(unreadable), 'sample')} not readable", list(unreadable))
    if dropped:
        yield found("no partner", f"{counted(len(dropped), 'file')} without a partner", dropped)


def _of_numbers(facts: FieldFacts) -> Iterator[Finding]:
    """Tell what is odd about numbers that are no pixels."""
    numbers = facts.statistics
    if numbers is not None and numbers.nonfinite and not facts.field.is_spatial:
        what = f"{counted(len(numbers.nonfinite), 'sample')} with NaN or infinite values"
        yield found("nonfinite", what, numbers.nonfinite, field=facts.field.name)


def _known(source: Source, name: str) -> Sequence[str]:
    return source.schema[name].categories


def _told_from(progress: Progress | None, turn: int, turns: int) -> Progress | None:
    """Return what tells of one field's samples as a part of all."""
    return None if progress is None else lambda done, total: progress(turn * total + done, turns * total)


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
        self._kept = min(4096, max(64, _VALUES // max(1, len(indices))))
        self.name = name
        self.seen: list[Seen] = []
        self.spacings: dict[str, tuple[float, float]] = {}
        self.unreadable: dict[str, str] = {}
        self.unread: set[int] = set()

    def facts(self, progress: Progress | None = None) -> FieldFacts:
        """Read the samples, and say what they are."""
        found = FieldStatistics.of(self._field.name, self._arrays(progress))
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

    def _arrays(self, progress: Progress | None) -> Iterator[tuple[str, Array]]:
        name = self._field.name
        for done, index in enumerate(self._indices):
            if progress is not None:
                progress(done + 1, len(self._indices))
            try:
                cell, key = self._source.cells(index)[name], self._source.keys[index]
                array = cell_array(cell, self._field, name=key, encoding=self._encoding)
                self._count(cell, array, key)
            except DataError as error:
                key = self._source.keys[index]
                self.unread.add(index)
                self.unreadable[key] = str(error).removeprefix(f"{key}: ")
                continue
            if array.dtype.kind in "biuf":
                if self._field.is_spatial:
                    self.seen.append(Seen.of(key, array, self._field, kept=self._kept))
                yield key, array

    def _count(self, cell: Cell, array: Array, key: str) -> None:
        if not isinstance(cell, np.ndarray) and self._field.kind != "text":
            head = header(cell, name=self._field.name)
            spacing = tiff_spacing(cell) if head.kind == "tiff" else None
            self.spacings |= {key: spacing} if spacing else {}
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
