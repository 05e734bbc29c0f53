"""What bounds the reading of a source: its storage, its decoding, or the making of batches.

Three stages are timed, each with what comes before it: **storage** fetches the cells as they lie at
rest, **decoding** makes samples of them, and the **loader** makes batches, with a number of workers.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import DataError, SchemaError
from voxloom.loading.bottleneck import Bench, BenchRow
from voxloom.loading.gather import gathers
from voxloom.loading.loader import Loader
from voxloom.loading.order import Order
from voxloom.sample import Array
from voxloom.source import Source

__all__ = ["Bench", "BenchRow", "BenchSettings", "bench", "evict"]

try:
    import resource
except ImportError:  # Windows, which cannot put a file out of memory either
    resource = None  # type: ignore[assignment]

Work = Iterator[tuple[int, int]]
"""Samples and bytes of each batch."""

_BLOCK = 2**24  # bytes read at once to warm the page cache
_WARM_UP = 10  # times the seconds of a row may go by for it


class BenchSettings(Component):
    """What is timed, and for how long."""

    batch_size: Annotated[int, Setting(ge=1)] = 32
    """Samples in a batch."""
    workers: tuple[Annotated[int, Setting(ge=0)], ...] = (0,)
    """Numbers of workers of the loader."""
    seconds: Annotated[float, Setting(gt=0)] = 3.0
    """How long each row takes at most."""
    cold: bool = False
    """Whether to time also with the files out of memory."""
    seed: int = 0
    """From which the shuffled order derives."""


def bench(
    source: Source,
    settings: BenchSettings | None = None,
    *,
    files: Sequence[Path] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> Bench:
    """Time the stages of reading a source, in order and shuffled, warm and on request cold.

    Parameters
    ----------
    source
        What is read; each row works on a copy that opens its files anew.
    settings
        What to time.
    files
        The files of the source, to bring them into memory and out of it. Without them the first row
        may find them cold, and nothing is timed cold.
    clock
        Tells seconds.

    Raises
    ------
    DataError
        If there is nothing to read, or a sample cannot be read.
    SchemaError
        If a field cannot stand in a batch.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import ImageFolder, write_image
    >>> folder = mkdtemp()
    >>> for i in range(4):
    ...     write_image(f"{folder}/{i}.tif", np.full((8, 8), i))
    >>> found = bench(ImageFolder(folder), BenchSettings(batch_size=2, seconds=0.01))
    >>> [(row.stage, row.shuffled) for row in found.rows]
    [('storage', False), ('decoding', False), ('loader', False),
     ('storage', True), ('decoding', True), ('loader', True)]
    """
    settings = settings or BenchSettings()
    if not len(source):
        raise DataError(f"{source!r}: no sample to read. Name a source that holds some.")
    return _Bencher(source, settings, files, clock).run()


def evict(files: Iterable[Path]) -> bool:
    """Take the pages of files out of the system's memory; return whether it can do that.

    A page that a process has mapped stays, and so does what lies in memory anyhow (tmpfs).
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not on the disk yet cannot go
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return True


class _Bencher:
    """Times one source."""

    def __init__(
        self, source: Source, settings: BenchSettings, files: Sequence[Path], clock: Callable[[], float]
    ) -> None:
        self._name = repr(source)
        numeric = [name for name, field in source.schema.items() if field.kind != "text"]
        self._source = source if len(numeric) == len(source.schema) else source.select(*numeric)
        self._settings, self._files, self._clock = settings, files, clock
        self._collated = settings.batch_size
        self._notes: list[str] = []

    def run(self) -> Bench:
        self._warm_up()
        rows = list(self._rows(cold=False))
        if self._settings.cold and self._can_be_cold():
            rows += self._rows(cold=True)
        is_batched = self._collated == self._settings.batch_size
        is_decoded = all(isinstance(cell, np.ndarray) for cell in self._source.cells(0).values())
        return Bench(self._name, tuple(rows), tuple(self._notes), is_batched, self._collated, is_decoded)

    def _rows(self, *, cold: bool) -> Iterator[BenchRow]:
        for shuffled in (False, True):
            row = BenchRow("storage", shuffled, cold, 0, 0, 0, 0.0)
            yield self._timed(row, lambda order: _stored(self._copy(), order, endless=not cold))
            row = replace(row, stage="decoding")
            yield self._timed(row, lambda order: _decoded(self._copy(), order, endless=not cold))
            for workers in dict.fromkeys(self._settings.workers):
                yield self._loaded(replace(row, stage="loader", workers=workers))

    def _timed(self, row: BenchRow, work: Callable[[Order], Work]) -> BenchRow:
        if row.cold:
            evict(self._files)
        batches = work(self._order(row.shuffled, self._settings.batch_size))
        if not row.cold:
            next(batches)  # files are open and libraries loaded, as when the loader's first batch is there
        return self._count(row, batches)

    def _loaded(self, row: BenchRow) -> BenchRow:
        try:
            return self._loaded_at_once(row)
        except SchemaError:
            if self._collated == 1:
                raise
        self._collated = 1
        self._notes.append(
            "the loader gives batches of 1, since not all samples have one shape: to batch them, bring the "
            "images to one size (voxloom convert --size H W, or a transform)"
        )
        return self._loaded_at_once(row)

    def _loaded_at_once(self, row: BenchRow) -> BenchRow:
        if row.cold:
            evict(self._files)
        loader = self._loader(row)
        try:
            work = _batches(loader, endless=not row.cold)
            if not row.cold:
                next(work)  # workers have started and read ahead
            return self._count(row, work)
        finally:
            loader.close()

    def _count(self, row: BenchRow, work: Work) -> BenchRow:
        samples = size = 0
        began = now = self._clock()
        for more, bytes_ in work:
            samples, size, now = samples + more, size + bytes_, self._clock()
            if now - began >= self._settings.seconds:
                break
        return replace(row, samples=samples, bytes=size, seconds=now - began)

    def _loader(self, row: BenchRow) -> Loader:
        order = self._order(row.shuffled, self._collated)
        return Loader(self._copy(), None, order=order, seed=self._settings.seed, num_workers=row.workers)

    def _order(self, shuffled: bool, batch_size: int) -> Order:
        seed = self._settings.seed
        return Order(length=len(self._source), batch_size=batch_size, seed=seed, shuffle=shuffled)

    def _copy(self) -> Source:
        """Return the source as a worker gets it: with no file open."""
        copy: Source = pickle.loads(pickle.dumps(self._source))
        return copy

    def _warm_up(self) -> None:
        """Read the files once, so that the system has them in memory."""
        began, size = self._clock(), 0
        for path in self._files:
            with path.open("rb", buffering=0) as file:
                while block := file.read(_BLOCK):
                    size += len(block)
            if self._clock() - began > _WARM_UP * self._settings.seconds:
                self._notes.append(f"warm: only the first {size / 1e9:.1f} GB were brought into memory")
                return

    def _can_be_cold(self) -> bool:
        """Whether files can be put out of memory; what is in the way is noted."""
        if not self._files:
            self._notes.append("cold: not timed, since the files of this source are not known")
            return False
        if not evict(self._files):
            self._notes.append("cold: not timed, since this system puts no single file out of memory")
            return False
        before = _blocks_read()
        for path in self._files[:16]:
            path.read_bytes()
        if _blocks_read() == before:
            self._notes.append("cold: the system kept the files in memory, so that cold may be warm here")
        return True


def _blocks_read() -> int:
    """Return how many blocks this process has had to fetch from a disk."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_inblock


def _steps(order: Order, *, endless: bool) -> Iterable[int]:
    return count() if endless else range(order.checked_batches_per_epoch())


def _stored(source: Source, order: Order, *, endless: bool) -> Work:
    """Fetch cells: those of one shape in one go, as a store does it, the others one by one."""
    first = source.cells(0)
    fixed = [name for name, cell in first.items() if isinstance(cell, np.ndarray)]
    single = [name for name in first if name not in fixed]
    dense = _Reader(source.select(*fixed) if single else source) if fixed else None
    loose = source.select(*single) if single else None
    for step in _steps(order, endless=endless):
        indices = order.batch(step).indices
        size = 0
        if dense is not None:
            size += dense.read(indices)
        if loose is not None:
            size += sum(len(bytes(cell)) for i in indices for cell in loose.cells(i).values())
        yield len(indices), size


def _decoded(source: Source, order: Order, *, endless: bool) -> Work:
    reader = _Reader(source)
    for step in _steps(order, endless=endless):
        indices = order.batch(step).indices
        yield len(indices), reader.read(indices)


class _Reader:
    """Reads batches as the loader does: gathered into the same memory where the source can gather."""

    def __init__(self, source: Source) -> None:
        self._source, self._gathers = source, gathers(source)
        self._memory: dict[str, Array] = {}

    def read(self, indices: Sequence[int]) -> int:
        """Read samples, and return the bytes of their arrays."""
        if self._gathers:
            try:
                return self._gathered(indices)
            except DataError:  # a sample that cannot be read has nothing to do with shapes
                raise
            except (SchemaError, ValueError, TypeError):  # not of one shape
                self._gathers = False
        samples = self._source.__getitems__(indices)
        return sum(array.nbytes for sample in samples for array in sample.values())

    def _gathered(self, indices: Sequence[int]) -> int:
        number = len(indices)
        out = {name: room[:number] for name, room in self._memory.items() if len(room) >= number}
        arrays = self._source.gather(indices, out=out)
        for name, array in arrays.items():
            if name not in out and array.flags.owndata and array.flags.c_contiguous:
                self._memory[name] = array
        return sum(array.nbytes for array in arrays.values())


def _batches(loader: Loader, *, endless: bool) -> Work:
    for _ in _steps(loader.order, endless=endless) if endless else (0,):
        for batch in loader:
            yield len(batch), sum(tensor.nbytes for tensor in batch.fields.values())
