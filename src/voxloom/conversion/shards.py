"""Shards of a conversion, written one by one."""

from __future__ import annotations

import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from voxloom.conversion.completion import finished
from voxloom.conversion.journal import Journal, Made
from voxloom.conversion.origin import reads_in_threads, roots
from voxloom.conversion.plan import Plan
from voxloom.conversion.planning import recipe_of
from voxloom.conversion.reading import cells_of, state_of
from voxloom.conversion.recipe import Recipe, row_size
from voxloom.errors import ConfigError, DataError, OutputExistsError, SaveError, SchemaError, VoxloomError
from voxloom.formats.format import Format, Row, ShardWriter
from voxloom.formats.manifest import ShardFacts
from voxloom.formats.names import FORMATS
from voxloom.source import Source

__all__ = ["Advance", "Progress", "ShardTask"]

Advance = Callable[[int, int], object]
"""Called with the samples and bytes that are new."""

Progress = Callable[[int, int, int], object]
"""Called with the samples done, all samples of this process, and the bytes written."""

_LARGE_ROW = 2**14  # bytes

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
        return self._finish(self._filled(number, threads, advance))

    def write_all(self, numbers: Sequence[int], *, threads: int, advance: Advance) -> Iterator[ShardFacts]:
        """Write shards one after the other; each is brought to the disk while the next is being filled."""
        waiting: Future[ShardFacts] | None = None
        with ThreadPoolExecutor(1) as finisher:
            for number in numbers:
                filled = self._filled(number, threads, advance)
                try:
                    if waiting is not None:
                        yield waiting.result()
                except BaseException:
                    _discard(filled)
                    raise
                waiting = finisher.submit(self._finish, filled)
            if waiting is not None:
                yield waiting.result()

    def _filled(self, number: int, threads: int, advance: Advance | None) -> _Filled | ShardFacts:
        """Write the rows of a shard, not yet brought to the disk; or return what is recorded of it."""
        if (facts := self.done(number)) is not None:
            return facts
        try:
            with ExitStack() as stack:
                folder = stack.enter_context(Journal(self.store).writing(self.plan.stem(number), self.plan))
                filled = self._fill(number, folder, threads, advance)
                filled.stack.push(stack.pop_all())
                return filled
        except (SaveError, DataError, OutputExistsError):
            return self._done_by_another(number)

    def _finish(self, filled: _Filled | ShardFacts) -> ShardFacts:
        """Bring a shard to the disk and record it."""
        if isinstance(filled, ShardFacts):
            return filled
        stem = self.plan.stem(filled.number)
        try:
            with filled.stack:
                _close(filled.writer)
                names = self._format.files(stem, self.plan.columns) if filled.samples else []
                made = Made(stem, names, filled.samples, filled.skipped, filled.state)
                return Journal(self.store).take_over(filled.folder, made, self.plan)
        except (SaveError, DataError, OutputExistsError):
            return self._done_by_another(filled.number)

    def _done_by_another(self, number: int) -> ShardFacts:
        """Return the record of a shard whose writing failed, or raise the failure again.

        A process with the same share may have finished the store, and cleared the journal away.
        """
        if (facts := self.done(number)) is None:
            raise
        return facts

    def done(self, number: int) -> ShardFacts | None:
        """Return what is recorded of a shard, by the journal or by the manifest of the finished store."""
        stem = self.plan.stem(number)
        if (facts := Journal(self.store).record(stem, self.plan)) is not None:
            return facts
        manifest = finished(self.store, self.plan)
        if manifest is None:
            return None
        listed = (shard for shard in manifest.shards if shard.stem == stem)
        return next(listed, ShardFacts(stem=stem, samples=0, files=()))

    def check(self) -> None:
        """Make sure that the format can write here: its library is there, and knows the compression.

        Raises
        ------
        MissingExtraError, ConfigError
            When it is not so.
        """
        plan = self.plan
        with tempfile.TemporaryDirectory() as folder:
            self._format.writer(
                Path(folder), plan.stem(0), plan.columns, 1, compression=plan.settings.compression
            ).discard()

    def refuse_changed(self, number: int) -> None:
        """Refuse a source whose files have changed since a shard of them was recorded.

        Raises
        ------
        ConfigError
            What would come out were partly the one and partly the other.
        """
        stem, indices = self.plan.stem(number), self.plan.indices(number)
        if Journal(self.store).state(stem) not in ("", state_of(self.source, indices)):
            first, last = (self.source.keys[index] for index in (indices[0], indices[-1]))
            raise ConfigError(
                f"the source has changed since shard {stem} of {self.store} was written: files of its "
                f"samples {first!r} to {last!r} have another size or time. Begin again with "
                "overwrite (--overwrite)."
            )

    @property
    def _format(self) -> Format:
        made: Format = FORMATS[self.plan.settings.format]()
        return made

    def _fill(self, number: int, folder: Path, threads: int, advance: Advance | None) -> _Filled:
        plan, indices = self.plan, self.plan.indices(number)
        writer = self._format.writer(
            folder, plan.stem(number), plan.columns, len(indices), compression=plan.settings.compression
        )
        filled = _Filled(number, folder, writer, state_of(self.source, indices))
        threads = threads if reads_in_threads(self.source) else 0
        try:
            for key, row in _in_order(self._makers(indices), threads):
                size = 0
                if isinstance(row, VoxloomError):
                    filled.skipped.append((key, _plain_reason(row, key, self.source)))
                else:
                    writer.append(row)
                    filled.samples, size = filled.samples + 1, row_size(row)
                if advance is not None:
                    advance(1, size)
        except BaseException:
            writer.discard()
            raise
        return filled

    def _makers(self, indices: range) -> Iterator[Callable[[], _Made]]:
        recipe = recipe_of(self.plan, self.source)
        keys = self.source.keys
        skip = self.plan.settings.on_error == "skip"
        for index in indices:
            yield _Maker(self.source, recipe, index, keys[index], skip)


@dataclass
class _Filled:
    """A shard with all its rows, not yet brought to the disk."""

    number: int
    folder: Path
    writer: ShardWriter
    state: str
    stack: ExitStack = field(default_factory=ExitStack)
    samples: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def _close(writer: ShardWriter) -> None:
    try:
        writer.close()
    except BaseException:
        writer.discard()
        raise


def _discard(filled: _Filled | ShardFacts) -> None:
    """Let go of a shard that will not be finished."""
    if isinstance(filled, _Filled):
        filled.writer.discard()
        filled.stack.close()


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
            return self.key, self.recipe.row(cells_of(self.source, self.index), self.key)
        except (DataError, SchemaError) as error:
            if self.skip:
                return self.key, error
            text = _without_name(str(error), self.key)
            raise type(error)(
                f"sample {self.key!r}: {text}\nWhat is finished is kept. Mend or remove the sample and "
                "do the same again, or leave such samples out with on_error='skip'."
            ) from error


def _in_order(makers: Iterator[Callable[[], _Made]], threads: int) -> Iterator[_Made]:
    """Make rows, ahead of their writing and several at a time where there are threads, and in order.

    Neither small rows nor a single core are worth the handing over, unless threads were asked for.
    """
    for make in makers:
        key, row = make()
        yield key, row
        if not isinstance(row, VoxloomError):
            ahead = threads if threads > 1 or (row_size(row) > _LARGE_ROW and _cores() > 1) else 0
            yield from _made_ahead(makers, ahead) if ahead else (make() for make in makers)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _made_ahead(makers: Iterator[Callable[[], _Made]], threads: int) -> Iterator[_Made]:
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
    for root in roots(source):
        text = text.replace(root + "/", "")
    text = re.sub(r"/[^'\":\n]*/(?=" + re.escape(key) + ")", "", text)
    return _without_name(text, key)


def _without_name(text: str, key: str) -> str:
    """Return a message without the sample's name at its beginning, where that has been said already."""
    for name in (f"sample {key!r}: ", f"{key}: "):
        text = text.removeprefix(name)
    return text
