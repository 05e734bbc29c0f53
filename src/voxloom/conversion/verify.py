"""Whether a store is what was written, and what its source holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from voxloom.amounts import counted, size_text
from voxloom.component import Component
from voxloom.conversion.origin import as_source
from voxloom.conversion.recipe import FieldRecipe, Recipe
from voxloom.conversion.settings import Conversion
from voxloom.conversion.shards import Progress
from voxloom.errors import DataError, SchemaError
from voxloom.formats.encoding import cell_array
from voxloom.formats.manifest import SHARDS, Encoding, FileFacts, Manifest, digest_of
from voxloom.formats.store import Store
from voxloom.sample import Cell, Field
from voxloom.source import Source

__all__ = ["Verification", "verify"]

_THREADS = 8  # they wait for the disk, or count digests, which releases the interpreter
_MOST = 10  # differences that are named one by one


class Verification(Component):
    """What `verify` has found.

    Examples
    --------
    >>> print(Verification(path="digits", problems=("00001.arrow is missing",), samples=10, bytes=10**6))
    digits: 1 problem in 10 samples, 1.0 MB:
      00001.arrow is missing
    """

    path: Path
    """The folder of the store."""
    problems: tuple[str, ...]
    """A line for each thing that is wrong; it names the file or the sample."""
    samples: int
    """Samples of the store."""
    bytes: int
    """Size of its shards."""
    compared: bool = False
    """Whether it was compared with its source."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        size = f"{counted(self.samples, 'sample')}, {size_text(self.bytes)}"
        if self.ok:
            found = "every digest is right" + (", every sample equals its source" if self.compared else "")
            return f"{self.path}: {size}: {found}"
        count = counted(len(self.problems), "problem")
        return "\n".join([f"{self.path}: {count} in {size}:", *(f"  {line}" for line in self.problems)])


def verify(
    store: Store | str | os.PathLike[str],
    *,
    against: Source | str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check every file of a store against its digest, and every sample against its source.

    Parameters
    ----------
    store
        A store or its folder.
    against
        What it was converted from; None checks the files alone. Cells are compared as they lie at rest:
        the bytes of files, and arrays bit for bit, after the size, mode and encoding that the
        manifest records.
    progress
        Called with (samples done, all samples, bytes); first the files are checked, then the samples.

    Returns
    -------
    Verification
        What is wrong; a damaged store is told there, not raised.

    Raises
    ------
    MissingDataError, UnfinishedStoreError, DamagedStoreError
        When the manifest itself cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> from voxloom.conversion import convert
    >>> folder = Path(mkdtemp())
    >>> (folder / "photos").mkdir()
    >>> Image.new("RGB", (40, 30)).save(folder / "photos" / "a.png")
    >>> _ = convert(folder / "photos", folder / "store")
    >>> verify(folder / "store", against=folder / "photos").ok
    True
    """
    path = store.path if isinstance(store, Store) else Path(store)
    manifest = Manifest.read(path)
    problems = [*_files(path, manifest, progress), *_unknown(path, manifest)]
    if against is not None:
        problems += _differences(Store(path), as_source(against), progress)
    return Verification(
        path=path,
        problems=tuple(problems),
        samples=manifest.samples,
        bytes=sum(shard.bytes for shard in manifest.shards),
        compared=against is not None,
    )


def _files(path: Path, manifest: Manifest, progress: Progress | None) -> Iterator[str]:
    """Yield what is wrong with the files."""
    listed = [(shard.samples, file) for shard in manifest.shards for file in shard.files]
    samples = size = 0
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda each: _wrong(path / SHARDS / each[1].name, each[1]), listed)
        for (count, file), problem in zip(listed, found, strict=True):
            if problem:
                yield problem
            samples, size = samples + count, size + file.bytes
            if progress is not None:
                progress(min(samples, manifest.samples), manifest.samples, size)


def _wrong(path: Path, file: FileFacts) -> str:
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return f"{SHARDS}/{file.name} has {size} bytes, and the manifest says {file.bytes}"
        digest = digest_of(path)
    except FileNotFoundError:
        return f"{SHARDS}/{file.name} is missing"
    except OSError as error:
        return f"{SHARDS}/{file.name} cannot be read: {error.strerror or error}"
    if digest != file.xxh3:
        return f"{SHARDS}/{file.name} was changed: its digest is {digest}, and the manifest says {file.xxh3}"
    return ""


def _unknown(path: Path, manifest: Manifest) -> list[str]:
    known = {file.name for shard in manifest.shards for file in shard.files}
    try:
        there = sorted(os.listdir(path / SHARDS))
    except OSError:
        return []  # then each file has been told as missing
    return [f"{SHARDS}/{name} is not named by the manifest" for name in there if name not in known]


def _differences(store: Store, source: Source, progress: Progress | None) -> list[str]:
    """Return how the samples differ from those of the source."""
    skipped = {key for shard in store.manifest.shards for key, _ in shard.skipped}
    expected = [index for index, key in enumerate(source.keys) if key not in skipped]
    problems = []
    if len(expected) != len(store):
        left_out = f" without the {len(skipped)} that were skipped" if skipped else ""
        problems.append(f"{len(store)} samples, and the source has {len(expected)}{left_out}")
    if missing := sorted(set(store.schema) ^ set(source.schema)):
        return [*problems, f"fields {missing} are only in one of the store and the source"]
    try:
        compared = _Compared(store, source)
    except SchemaError as error:
        return [*problems, str(error)]
    wrong = 0
    for row, index in enumerate(expected[: len(store)]):
        if problem := compared.sample(row, index):
            wrong += 1
            problems += [problem] if wrong <= _MOST else []
        if progress is not None:
            progress(row + 1, len(store), compared.bytes)
    return [*problems, f"and {wrong - _MOST} samples more that differ"] if wrong > _MOST else problems


class _Compared:
    """Compares samples of a store with those that its recipe makes of the source."""

    def __init__(self, store: Store, source: Source) -> None:
        self._store, self._source = store, source
        self._recipe = _recipe_of(store.manifest, source)
        self.bytes = 0

    def sample(self, row: int, index: int) -> str:
        """Return how row `row` of the store differs from sample `index` of the source, or ""."""
        key = self._source.keys[index]
        try:
            if (found := self._store.keys[row]) != key:
                return f"sample {row} is {found!r}, and the source has {key!r}"
            cells = self._store.cells(row)
        except DataError as error:
            return f"sample {row} ({key!r}): {error}"
        try:
            wanted = self._recipe.row(self._source.cells(index), key)
        except (DataError, SchemaError) as error:
            return f"sample {row} ({key!r}): its source cannot be read any more: {error}"
        self.bytes += sum(
            cell.nbytes if isinstance(cell, np.ndarray) else len(cell) for cell in cells.values()
        )
        return self._cells(cells, wanted, f"sample {row} ({key!r})")

    def _cells(self, cells: Mapping[str, Cell], wanted: Mapping[str, Any], about: str) -> str:
        for name, field in self._store.schema.items():
            if not _equal(cells[name], wanted[name], self._store.manifest.encodings[name], field):
                return f"{about}: field {name!r} differs from the source"
        return ""


def _recipe_of(manifest: Manifest, source: Source) -> Recipe:
    """Return the recipe that a manifest records; without one, nothing was changed."""
    try:
        settings = Conversion.model_validate(manifest.facts.get("conversion", {}))
    except ValidationError:
        settings = Conversion()
    return Recipe(
        tuple(
            FieldRecipe(source.schema[field.name], field, manifest.encodings[field.name], settings)
            for field in manifest.fields
        )
    )


def _equal(one: Cell, other: Cell, encoding: Encoding, field: Field) -> bool:
    """Whether two cells are the same bits.

    Files have to be the same bytes. What we encoded may have been packed by another version of a library:
    there the arrays count.
    """
    if not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray):
        exact = encoding in ("file", "text")
        if exact or one == other:
            return one == other
    try:
        mine, theirs = cell_array(one, field), cell_array(other, field)
    except DataError:
        return False
    same_kind = mine.shape == theirs.shape and mine.dtype == theirs.dtype
    return same_kind and mine.tobytes() == theirs.tobytes()  # NaN equals itself
