"""A store: shards of samples with a manifest, read as a source."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.buffers import aligned_empty
from voxloom.errors import DamagedStoreError, DataError, SchemaError, UnknownNameError
from voxloom.formats.encoding import As, as_value, cell_array, decode
from voxloom.formats.format import KEY, Column, Shard, Spread
from voxloom.formats.manifest import Manifest
from voxloom.formats.names import FORMATS
from voxloom.formats.opened import OpenShards
from voxloom.keys import Keys
from voxloom.sample import Array, Cell, Field, Sample, Schema
from voxloom.source import Source

__all__ = ["Store"]

Indices = npt.NDArray[np.int64]


class Store(Source):
    """Samples in the shards of a folder. Opening one reads its manifest alone.

    Files are opened when a sample is asked for, by each process for itself, no more than 1024 shards
    at once; a store may be pickled, forked, and used by several threads.

    Parameters
    ----------
    path
        The folder that holds ``manifest.json``.
    verify
        Whether a shard's digest is checked when it is first touched.

    Attributes
    ----------
    path, manifest
        The folder, and what it says of itself.

    Raises
    ------
    MissingDataError, UnfinishedStoreError, DamagedStoreError
        As `Manifest.read` tells; the last also by a read, where a shard is not what was written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.conversion import convert
    >>> from voxloom.sources import ImageFolder, write_image
    >>> base = Path(mkdtemp())
    >>> for name in ("a", "b", "c"):
    ...     write_image(base / "ct" / f"{name}.tif", np.full((4, 6), ord(name)))
    >>> _ = convert(ImageFolder(base / "ct"), base / "store", format="memmap")
    >>> store = Store(base / "store")
    >>> len(store), list(store.keys), store[-1]["image"].shape
    (3, ['ct/a', 'ct/b', 'ct/c'], (1, 4, 6))
    >>> store.gather([2, 0])["image"][:, 0, 0, 0]
    array([99., 97.], dtype=float32)
    """

    def __init__(self, path: str | os.PathLike[str], *, verify: bool = False) -> None:
        self.path = Path(path)
        self.manifest = Manifest.read(self.path)
        if self.manifest.format not in FORMATS:
            known = ", ".join(FORMATS)
            raise UnknownNameError(
                f"{self.path} is in the format {self.manifest.format!r}; expected one of {known}. "
                "Install the package that brings it."
            )
        self._schema = Schema(self.manifest.fields)
        self._columns = {column.name: column for column in self.manifest.columns}
        self._ends = np.cumsum([shard.samples for shard in self.manifest.shards], dtype=np.int64)
        self._starts = np.concatenate([[0], self._ends[:-1]])
        self._open = OpenShards(self.path, self.manifest, verify=verify)
        self._at_least: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"{len(self)} samples in {self.path} ({self.manifest.format})"

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def schema(self) -> Schema:
        """The fields, or those that `select` has left."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The key of each sample, read when it is asked for."""
        return Keys(len(self), self._key_at, self._each_key)

    def _key_at(self, index: int) -> str:
        return self._found(index)[2]

    def _each_key(self) -> Iterator[str]:
        for number, facts in enumerate(self.manifest.shards):
            shard = self._open[number]
            for row in range(facts.samples):
                yield _key(shard, row, self.path)

    def select(self, *names: str) -> Store:
        """Return the same samples with these fields alone; no other is read or decoded."""
        chosen = copy.copy(self)  # the open shards are shared
        chosen._schema = self._schema.only(*names)
        return chosen

    @property
    def at_least(self) -> tuple[int, int] | None:
        """Height and width down to which a JPEG may be decoded smaller; None to decode it in full."""
        return self._at_least

    def scaled(self, height: int, width: int) -> Store:
        """Return the same samples, whose JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size.

        Both sides stay at least as long as they are given here. It is several times faster where images
        are resized to much less than they have, but not exactly what decoding in full and resizing
        gives; ask for twice the final size, and the difference is hard to see. Other files and arrays
        are not changed.
        """
        scaled = copy.copy(self)
        scaled._at_least = (height, width)
        return scaled

    def read(self, index: int) -> Sample:
        """Return sample `index`; the arrays are its own."""
        shard, row, key = self._found(index)
        arrays = {name: self._array(shard, row, field, key) for name, field in self._schema.items()}
        return Sample(key, self._schema, arrays)

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index` at rest: arrays of the fields of one shape, and bytes of the others."""
        shard, row, _ = self._found(self.place(index))
        return {name: self._cell(shard, row, self._columns[name]) for name in self._schema}

    def get(self, index: int, name: str, as_: As = "array") -> Any:
        """Return one field of one sample; no other is decoded.

        Parameters
        ----------
        index, name
            Which sample and which field.
        as_
            ``bytes``, ``array``, ``tensor`` or ``pil``, as `voxloom.formats.encoding.as_value` tells.
        """
        shard, row, key = self._found(self.place(index))
        field, cell = self._schema[name], self._cell(shard, row, self._columns[name])
        return as_value(cell, field, as_, name=key, encoding=self.manifest.encodings[name])

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several samples; the fields of one shape are gathered in one go."""
        index = self._checked(indices)
        shards, rows = self._located(index)
        fixed = {
            name: self._take(self._columns[name], shards, rows, None)
            for name in self._schema
            if self._columns[name].is_fixed
        }
        samples = []
        for place, (number, row) in enumerate(zip(shards.tolist(), rows.tolist(), strict=True)):
            shard = self._open[number]
            key = _key(shard, row, self.path)
            arrays = {
                name: fixed[name][place, ...] if name in fixed else self._array(shard, row, field, key)
                for name, field in self._schema.items()
            }
            samples.append(Sample(key, self._schema, arrays))
        return samples

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return several samples stacked, as `Source.gather` does: copied or decoded right into place."""
        index, out = self._checked(indices), out or {}
        shards, rows = self._located(index)
        return {
            name: self._take(column, shards, rows, out.get(name))
            if (column := self._columns[name]).is_fixed
            else self._decoded(field, shards, rows, out.get(name))
            for name, field in self._schema.items()
        }

    def column(self, name: str) -> Array:
        """Return a field of one shape for all samples, (N, *shape): mapped and read-only where it lies
        in one piece, else a copy.

        Raises
        ------
        SchemaError
            If the field's samples differ in shape.
        """
        _ = self._schema[name]
        column = self._columns[name]
        if not column.is_fixed:
            encoding = self.manifest.encodings[name]
            raise SchemaError(
                f"field {name!r} of {self.path} is stored as {encoding}, one by one; "
                "expected a field of one shape. Use gather for some samples."
            )
        if len(self.manifest.shards) == 1 and (view := self._open[0].view(name)) is not None:
            return view
        array = np.empty((len(self), *column.shape), column.dtype)
        for number, end in enumerate(self._ends.tolist()):
            samples = self.manifest.shards[number].samples
            rows = np.arange(samples, dtype=np.int64)
            self._open[number].take(name, rows, array[end - samples : end])
        return array

    def close(self) -> None:
        """Let go of the files; a later read opens them again."""
        self._open.close()

    def _checked(self, indices: Sequence[int]) -> Indices:
        index, length = np.asarray(indices, dtype=np.int64), len(self)
        if not index.size:
            return index
        least = index.min()
        if least < -length or index.max() >= length:
            wrong = index[(index < -length) | (index >= length)][0]
            raise IndexError(
                f"sample {wrong} of a source of {length}: expected an index in [-{length}, {length})"
            )
        return index if least >= 0 else np.where(index < 0, index + length, index)

    def _located(self, index: Indices) -> tuple[Indices, Indices]:
        """Return the shard of each sample and its row there."""
        shards = np.searchsorted(self._ends, index, side="right")
        return shards, index - self._starts[shards]

    def _found(self, index: int) -> tuple[Shard, int, str]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        row = int(index) - (int(self._ends[number - 1]) if number else 0)
        shard = self._open[number]
        return shard, row, _key(shard, row, self.path)

    def _cell(self, shard: Shard, row: int, column: Column) -> Cell:
        if not column.is_fixed:
            return shard.blob(column.name, row)
        out = np.empty((1, *column.shape), column.dtype)
        shard.take(column.name, np.array([row]), out)
        return out[0, ...]  # a 0-d array, not a scalar

    def _array(self, shard: Shard, row: int, field: Field, key: str) -> Array:
        cell = self._cell(shard, row, self._columns[field.name])
        encoding = self.manifest.encodings[field.name]
        at_least = self._at_least if field.kind == "image" and encoding in ("file", "jpeg") else None
        if at_least is not None and not isinstance(cell, np.ndarray):
            return decode(cell, field.axes, name=key, kind=field.kind, at_least=at_least)
        return cell_array(cell, field, name=key, encoding=encoding)

    def _take(self, column: Column, shards: Indices, rows: Indices, out: Array | None) -> Array:
        """Copy rows of a column of one shape, from whichever shards, to their places."""
        out = aligned_empty((len(rows), *column.shape), column.dtype) if out is None else out
        numbers = set(shards.tolist())
        if len(numbers) == 1:
            self._open[numbers.pop()].take(column.name, rows, out)
            return out
        if out.flags.c_contiguous and out.dtype == column.dtype:
            spreads = {number: self._open.spread(number, column.name) for number in numbers}
            if None not in spreads.values():
                _copy(spreads, shards, rows, out)  # type: ignore[arg-type]
                return out
        for number in numbers:
            places = np.flatnonzero(shards == number)
            self._open[number].take(column.name, rows[places], out, places)
        return out

    def _decoded(self, field: Field, shards: Indices, rows: Indices, out: Array | None) -> Array:
        """Decode cells into the slots of one array."""
        places = list(zip(shards.tolist(), rows.tolist(), strict=True))
        if not places:
            return np.empty((0, *(field.shape or ())), field.dtype)
        cells = [self._open[number].blob(field.name, row) for number, row in places]
        if self.manifest.encodings[field.name] == "text":
            return np.array([str(cell, "utf-8", "replace") for cell in cells])
        done, at_least = 0, self._at_least if field.kind == "image" else None
        if out is None:
            first = self._array(self._open[places[0][0]], places[0][1], field, self._name(places[0]))
            out = aligned_empty((len(cells), *first.shape), first.dtype)
            out[0], done = first, 1
        for place in range(done, len(cells)):
            try:
                decode(cells[place], field.axes, kind=field.kind, at_least=at_least, out=out[place])
            except DataError:
                self._refuse(field, places, place, out)
                raise
        return out

    def _refuse(self, field: Field, places: list[tuple[int, int]], place: int, out: Array) -> None:
        """Raise what is wrong with a sample that could not be decoded into its slot, with its key."""
        number, row = places[place]
        key = self._name(places[place])
        array = self._array(self._open[number], row, field, key)
        raise SchemaError(
            f"field {field.name!r} of {key!r} has shape {array.shape} and type {array.dtype}, but "
            f"{self._name(places[0])!r} has {out.shape[1:]} and {out.dtype}; expected the same in one batch. "
            "Bring all images to one size with a resize, or read them one by one."
        )

    def _name(self, place: tuple[int, int]) -> str:
        return _key(self._open[place[0]], place[1], self.path)


def _copy(spreads: Mapping[int, Spread], shards: Indices, rows: Indices, out: Array) -> None:
    """Copy samples of several mapped shards to their places.

    One by one, as bytes: where a batch has few samples of each of many shards, a call of numpy for each
    shard, or an array for each sample, takes longer than the copy. A shard's samples in one go, to
    scattered places, are copied twice.
    """
    size, begin = out[:1].nbytes, 0
    slots = out.reshape(-1).view(np.uint8).data
    for number, row in zip(shards.tolist(), rows.tolist(), strict=True):
        data, starts = spreads[number]
        start = starts[row]
        slots[begin : begin + size] = data[start : start + size]
        begin += size


def _key(shard: Shard, row: int, path: Path) -> str:
    data = shard.blob(KEY, row)
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise DamagedStoreError(
            f"{path}: the key of row {row} of a shard is no text ({error}). "
            f"Find the damage with `voxloom verify {path}`."
        ) from error
