"""Shards of a conversion, written one by one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from voxloom.conversion.completion import finished
from voxloom.conversion.journal import Journal
from voxloom.conversion.origin import origins
from voxloom.conversion.plan import Plan
from voxloom.conversion.planning import recipe_of
from voxloom.conversion.recipe import Recipe, row_size
from voxloom.errors import DataError, SaveError, SchemaError, VoxloomError
from voxloom.formats.format import Format, Row
from voxloom.formats.manifest import ShardFacts
from voxloom.formats.names import FORMATS
from voxloom.sample import Cell, Source

__all__ = ["Advance", "Progress", "ShardTask"]

Advance = Callable[[int, int], object]
"""Called with the samples and bytes that are new."""

Progress = Callable[[int, int, int], object]
"""Called with the samples done, all samples of this process, and the bytes written."""

_Made = tuple[str, Row | DataError | SchemaError]


@dataclass(frozen=True)
class ShardTask:
    """All that a process needs to write any shard of a conversion; it can be pickled.

    Attributes
    ----------
    source
        What is converted.
    plan
        How it is cut.
    store
        The folder of the store; its journal holds the plan.
    """

    source: Source
    plan: Plan
    store: Path

    def write(self, number: int, *, threads: int = 1, advance: Advance | None = None) -> ShardFacts:
        """Write a shard and record it; return what is recorded, also where another process was quicker.

        Raises
        ------
        DataError
            If a sample cannot be read, and the settings do not say to skip it.
        SaveError
            If it cannot be written.
        """
        plan, journal = self.plan, Journal(self.store)
        stem = plan.stem(number)
        if (facts := self.done(number)) is not None:
            return facts
        try:
            with journal.writing(stem) as folder:
                samples, skipped = self._write(number, folder, threads, advance)
                names = self._format.files(stem, plan.columns) if samples else []
                return journal.take_over(folder, stem, names, samples, skipped)
        except (SaveError, DataError):
            # A process with the same share may have finished the store and cleared the journal away.
            if (facts := self.done(number)) is not None:
                return facts
            raise

    def done(self, number: int) -> ShardFacts | None:
        """Return what is recorded of a shard, by the journal or by the manifest of the finished store."""
        stem = self.plan.stem(number)
        if (facts := Journal(self.store).record(stem)) is not None:
            return facts
        manifest = finished(self.store, self.plan)
        if manifest is None:
            return None
        listed = (shard for shard in manifest.shards if shard.stem == stem)
        return next(listed, ShardFacts(stem=stem, samples=0, files=()))

    @property
    def _format(self) -> Format:
        made: Format = FORMATS[self.plan.settings.format]()
        return made

    def _write(
        self, number: int, folder: Path, threads: int, advance: Advance | None
    ) -> tuple[int, list[tuple[str, str]]]:
        """Write the files of a shard; return the number of samples, and those that were skipped."""
        plan, indices = self.plan, self.plan.indices(number)
        writer = self._format.writer(
            folder, plan.stem(number), plan.columns, len(indices), compression=plan.settings.compression
        )
        samples, skipped = 0, []
        try:
            for key, row in _in_order(self._makers(indices), threads):
                size = 0
                if isinstance(row, VoxloomError):
                    skipped.append((key, _plain_reason(row, key, self.source)))
                else:
                    writer.append(row)
                    samples, size = samples + 1, row_size(row)
                if advance is not None:
                    advance(1, size)
            writer.close()
        except BaseException:
            writer.discard()
            raise
        return samples, skipped

    def _makers(self, indices: range) -> Iterator[Callable[[], _Made]]:
        recipe = recipe_of(self.plan, self.source)
        keys = self.source.keys
        skip = self.plan.settings.on_error == "skip"
        for index in indices:
            yield _Maker(self.source, recipe, index, keys[index], skip)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Reads one sample and makes its row."""

    source: Source
    recipe: Recipe
    index: int
    key: str
    skip: bool

    def __call__(self) -> _Made:
        """Return the key with the row, or with what is wrong if such samples are to be skipped."""
        try:
            return self.key, self.recipe.row(_cells(self.source, self.index), self.key)
        except (DataError, SchemaError) as error:
            if self.skip:
                return self.key, error
            raise type(error)(
                f"sample {self.key!r}: {error}\nWhat is finished is kept. Mend or remove the sample and "
                "convert again, or leave such samples out with on_error='skip'."
            ) from error


def _cells(source: Source, index: int) -> Mapping[str, Cell]:
    try:
        return source.cells(index)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"could not be read ({error})") from error


def _in_order(makers: Iterator[Callable[[], _Made]], threads: int) -> Iterator[_Made]:
    """Make rows, several at a time where there are threads for it, and give them in order."""
    if threads <= 1:
        yield from (make() for make in makers)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Made]] = deque()
        try:
            for make in makers:
                waiting.append(pool.submit(make))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _plain_reason(error: VoxloomError, key: str, source: Source) -> str:
    """Return why a sample was skipped, without the path of the source, as a store does not tell it."""
    text = str(error)
    for root in origins(source):
        text = text.replace(str(root) + "/", "")
    return re.sub(r"/[^'\":\n]*/(?=" + re.escape(key) + ")", "", text)
