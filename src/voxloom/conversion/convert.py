"""From any source to a store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxloom.conversion.completion import complete
from voxloom.conversion.dask import require_distributed, write_on_dask
from voxloom.conversion.journal import Journal
from voxloom.conversion.origin import as_source, origins
from voxloom.conversion.planning import planned
from voxloom.conversion.report import Report
from voxloom.conversion.settings import Conversion
from voxloom.conversion.shards import Advance, Progress, ShardTask
from voxloom.conversion.start import begin
from voxloom.conversion.target import apart
from voxloom.conversion.workers import end_child, write_in_processes
from voxloom.errors import ConfigError, Interrupted
from voxloom.formats.manifest import ShardFacts
from voxloom.ranks import Rank, even_split

__all__ = ["convert"]


def convert(
    source: Any,
    path: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    rank: Rank | None = None,
    progress: Progress | None = None,
    dask: Any = None,
    **settings: Any,
) -> Report:
    """Write the samples of a source to a store.

    Without further settings nothing is lost: files are copied as they are, arrays are kept bit for
    bit. A shard is written under a temporary name, brought to the disk, and recorded; so after a crash
    `resume` writes what is missing, and the store is the same, byte for byte, as without the crash.

    Parameters
    ----------
    source
        A source; the path of what `voxloom.open` opens: a folder of images, a table, a store; or a
        map-style dataset, with ``len`` and indices.
    path
        The folder of the store: new or empty, unless one of the next two is given.
    resume
        Finish what an earlier conversion with the same source and settings has begun.
    overwrite
        Remove a store, or half of one, that lies there. Other files are never removed.
    workers
        Processes that write shards; 0 writes in this one.
    rank
        Which share of the shards is mine; None asks the launcher (torchrun, srun, MPI). The rank that
        finds all shards written at its end writes the manifest.
    progress
        Called with (samples done, all samples of this rank, bytes).
    dask
        ``local``, the address of a scheduler, or a ``distributed.Client``: shards become its tasks.
    **settings
        Those of `Conversion`: ``format="memmap"``, ``size=(224, 224)``, ``mode="RGB"`` and so on.

    Returns
    -------
    Report
        Samples, bytes, time, and what was skipped, of the whole store where it is finished, also for the
        rank that finished it; ``report.store()`` opens the store.

    Raises
    ------
    ConfigError
        For settings that cannot be meant, or that differ from those of what is to be resumed; and for a
        source whose files have changed since.
    SchemaError
        When the format or a setting cannot hold the samples: said before any work, as far as one can know.
    MissingExtraError
        When the library of the format is not installed: before any work.
    OutputExistsError
        When the folder holds anything, or lies inside of the source.
    DataError
        When a sample cannot be read; `on_error` ``skip`` leaves it out instead. A resume goes on there.
        Also when two samples have the same key.
    SaveError
        When a shard cannot be written, for instance on a full disk.
    LoadingError
        When a worker process dies.
    Interrupted
        On Ctrl-C; what is finished is kept.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> folder = Path(mkdtemp())
    >>> (folder / "photos").mkdir()
    >>> for name in ("a", "b"):
    ...     Image.new("RGB", (40, 30)).save(folder / "photos" / f"{name}.png")
    >>> report = convert(folder / "photos", folder / "small", format="memmap", size=(15, 20))
    >>> report.samples, report.store().schema["image"].shape
    (2, (15, 20, 3))
    """
    end_child()
    began = time.perf_counter()
    made = Conversion.of(**settings)
    if workers < 0:
        raise ConfigError(f"workers={workers}: expected 0 or more processes")
    how = _Means(workers, dask)
    store, opened, me = Path(path), as_source(source), rank or Rank.from_environment()
    for origin in origins(opened):
        apart(store, origin)
    plan = planned(opened, made)
    mine = even_split(plan.shards, me)
    if not mine and not me.is_main:
        return _report(store, [], began, finished=False)
    task = ShardTask(opened, plan, store)
    task.check()
    manifest = begin(store, plan, me, resume=resume, overwrite=overwrite)
    if manifest is not None:
        return _report(store, manifest.shards, began, finished=True)
    try:
        return _converted(task, mine, how, progress, began)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped; the shards that are finished stay in {store}. Go on with resume (--resume)."
        ) from error


class _Means:
    """What writes the shards: this process, several of this machine, or a cluster."""

    def __init__(self, workers: int, dask: Any) -> None:
        if dask is not None:
            require_distributed()
        self._workers, self._dask = workers, dask

    def write(self, task: ShardTask, numbers: Sequence[int], advance: Advance) -> Iterator[ShardFacts]:
        """Write these shards, and yield each as it is finished."""
        if self._dask is not None:
            return write_on_dask(task, numbers, self._dask, advance, workers=self._workers)
        if self._workers == 0 or len(numbers) <= 1:
            return task.write_all(numbers, threads=max(1, self._workers), advance=advance)
        return write_in_processes(task, numbers, self._workers, advance)


def _converted(task: ShardTask, mine: range, how: _Means, progress: Progress | None, began: float) -> Report:
    plan, journal = task.plan, Journal(task.store)
    journal.sweep()
    recorded = {number: journal.record(plan.stem(number), plan) for number in mine}
    for number in (number for number, facts in recorded.items() if facts is not None):
        task.refuse_changed(number)
    done = [facts for facts in recorded.values() if facts is not None]
    meter = _Meter(progress, sum(len(plan.indices(number)) for number in mine), done)
    todo = [number for number in mine if recorded[number] is None]
    new = list(how.write(task, todo, meter)) if todo else []
    manifest = complete(task.store, plan)
    shards = [*done, *new] if manifest is None else manifest.shards
    return _report(task.store, shards, began, finished=manifest is not None, new=new, done=done)


class _Meter:
    """Adds up progress."""

    def __init__(self, progress: Progress | None, total: int, done: Sequence[ShardFacts]) -> None:
        self._progress, self._total = progress, total
        self._samples = self._bytes = 0
        if done or total:
            self(sum(f.samples + len(f.skipped) for f in done), sum(f.bytes for f in done))

    def __call__(self, samples: int, size: int) -> None:
        self._samples += samples
        self._bytes += size
        if self._progress is not None:
            self._progress(self._samples, self._total, self._bytes)


def _report(
    store: Path,
    shards: Sequence[ShardFacts],
    began: float,
    *,
    finished: bool,
    new: Sequence[ShardFacts] = (),
    done: Sequence[ShardFacts] = (),
) -> Report:
    return Report(
        path=store,
        samples=sum(facts.samples for facts in shards),
        converted=sum(facts.samples for facts in new),
        found=sum(facts.samples for facts in done),
        bytes=sum(facts.bytes for facts in shards),
        skipped=tuple(each for facts in shards for each in facts.skipped),
        seconds=time.perf_counter() - began,
        finished=finished,
    )
