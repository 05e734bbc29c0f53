"""The runs below a folder, as a table for a terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from voxloom.analysis.comparison import Reached, reached
from voxloom.analysis.records import RunRecord
from voxloom.analysis.run_state import state_of
from voxloom.analysis.tables import duration, entries, number_of
from voxloom.errors import DataError, MissingDataError, UnknownNameError
from voxloom.registry import did_you_mean

__all__ = ["DEPTH", "RunEntry", "as_json", "found_runs", "run_table", "sorted_runs"]

DEPTH = 5
"""Folders below the named one that are looked through."""

_JUDGES = ("psnr", "dice", "ssim", "iou", "loss")  # the first that a run has validated tells its best
_LARGEST_FIRST = ("seconds", "step", "steps", "samples")
_RUN_FILES = ("run.json", "metrics.jsonl")


@dataclass(frozen=True)
class RunEntry:
    """One line of the table.

    Attributes
    ----------
    name
        Path of the run below the folder that was looked through.
    task
        What was trained.
    status
        finished, interrupted, failed, running, ``stalled?``, unknown or unreadable.
    started
        As the run wrote it, ISO 8601; empty where it did not.
    seconds
        Time spent in training; NaN where it is not known.
    step, steps
        Steps done and steps in all; 0 where they are not known.
    best
        Name and value of the best validation, for instance ``psnr 27.3``.
    score
        The value alone, by which is sorted; NaN where there is none.
    samples
        Samples that it trains on; 0 where that is not known.
    device
        Where it ran.
    note
        What is wrong, in a sentence; empty where nothing is.
    """

    name: str
    task: str = "-"
    status: str = "unknown"
    started: str = ""
    seconds: float = math.nan
    step: int = 0
    steps: int = 0
    best: str = "-"
    score: float = math.nan
    samples: int = 0
    device: str = "-"
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain values; what is not known is None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: None if value in ("-", "") or value != value else value for name, value in values.items()
        }


def found_runs(folder: str | Path, *, now: float | None = None) -> list[RunEntry]:
    """Return the runs in a folder and, to a depth of five, below it, in the order of their paths.

    Folders of a run are not looked through, nor hidden ones. A run that cannot be read is listed with
    what is wrong; nothing is written.

    Parameters
    ----------
    folder
        Where to look; may be a run itself.
    now
        The present in seconds since 1970, for runs that have fallen silent; None asks the clock.

    Raises
    ------
    MissingDataError
        When there is no such folder.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> (folder / "a").mkdir()
    >>> _ = (folder / "a" / "run.json").write_text('{"task": "vae", "status": "finished"}')
    >>> [(entry.name, entry.task, entry.status) for entry in found_runs(folder)]
    [('a', 'vae', 'finished')]
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise MissingDataError(f"no such folder: {folder}. Name one with runs, for instance runs.")
    return [_entry(path, folder, now) for path in _walk(folder, DEPTH, set())]


def sorted_runs(entries: Sequence[RunEntry], key: str) -> list[RunEntry]:
    """Return runs by one column: times, steps and sizes from the largest, the newest and the best first.

    What is not known comes last. Bests of different metrics stand apart, as they cannot be compared.

    Raises
    ------
    UnknownNameError
        When there is no such column.

    Examples
    --------
    >>> runs = [RunEntry("a", samples=10), RunEntry("b", samples=20)]
    >>> [run.name for run in sorted_runs(runs, "samples")]
    ['b', 'a']
    """
    columns = [field.name for field in fields(RunEntry)]
    if key not in columns:
        raise UnknownNameError(
            f"no column {key!r} to sort by. Columns: {', '.join(columns)}.{did_you_mean(key, columns)}"
        )
    if key in ("best", "score"):
        return sorted(entries, key=lambda run: _rank(-_direction(run) * run.score, run.best.split(" ")[0]))
    if key in _LARGEST_FIRST:
        return sorted(entries, key=lambda run: _rank(-float(getattr(run, key))))
    return sorted(entries, key=lambda run: str(getattr(run, key)), reverse=key == "started")


def run_table(entries: Sequence[RunEntry]) -> str:
    """Return the table, and below it what is wrong with some of the runs.

    Examples
    --------
    >>> print(run_table([RunEntry("a", "vae", "finished", "2026-01-02T03:04:05+0000", 61, 10, 10)]))
    run  task  status    started           time        step      best  samples  device
    a    vae   finished  2026-01-02 03:04  1 min 01 s  10 of 10  -     -        -
    """
    head = ["run", "task", "status", "started", "time", "step", "best", "samples", "device"]
    lines = [head, *map(_cells, entries)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    notes = [f"{entry.name}: {entry.note}" for entry in entries if entry.note]
    return "\n".join([*table, *([""] if notes else []), *notes])


def _cells(entry: RunEntry) -> list[str]:
    step = f"{entry.step:,} of {entry.steps:,}" if entry.steps else f"{entry.step:,}" if entry.step else "-"
    return [
        entry.name, entry.task, entry.status, entry.started[:16].replace("T", " ") or "-",
        "-" if math.isnan(entry.seconds) else duration(entry.seconds), step, entry.best,
        f"{entry.samples:,}" if entry.samples else "-", entry.device,
    ]  # fmt: skip


def _walk(folder: Path, depth: int, seen: set[str]) -> Iterator[Path]:
    """Yield the folders of runs, each once though links lead to it twice."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    if any(os.path.isfile(folder / name) for name in _RUN_FILES):
        yield folder
    elif depth > 0:
        for path in _folders(folder):
            yield from _walk(path, depth - 1, seen)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in one; none where it is not to be read, and so holds no run of this user's."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names if os.path.isdir(folder / name)]


def _entry(path: Path, folder: Path, now: float | None) -> RunEntry:
    name = str(path.relative_to(folder)) if path != folder else path.resolve().name
    try:
        run = RunRecord.read(path)
    except (DataError, OSError) as error:
        return RunEntry(name, status="unreadable", note=str(error))
    state, facts = state_of(run, now=now), run.facts
    label, found = _best(run)
    wrong = [text for text in run.remarks if "cannot be read" in text or "no run.json" in text]
    return RunEntry(
        name=name,
        task=str(facts.get("task", "-")),
        status=state.name if facts or not (path / "run.json").exists() else "unreadable",
        started=str(facts.get("started", "")),
        seconds=number_of(facts.get("seconds")),
        step=max((row["step"] for row in run.rows if isinstance(row.get("step"), int)), default=0),
        steps=_whole(facts.get("total_steps")),
        best=f"{label} {found.best:.4g}" if found else "-",
        score=found.best if found else math.nan,
        samples=_whole(entries(facts.get("samples")).get("train")) or len(run.split.get("train", ())),
        device=str(facts.get("device", "-")),
        note=" ".join(text for text in (*wrong, state.note, str(facts.get("error") or "")) if text),
    )


def _best(run: RunRecord) -> tuple[str, Reached | None]:
    found = reached(run)
    name = next((name for name in _JUDGES if name in found), "")
    return name, found.get(name)


def _direction(run: RunEntry) -> int:
    return -1 if run.best.startswith("loss") else 1


def _rank(value: float, kind: str = "") -> tuple[bool, str, float]:
    """Return what sorts values of one kind together, from the smallest, and unknown ones last."""
    is_unknown = math.isnan(value)
    return is_unknown, kind, 0.0 if is_unknown else value


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def as_json(entries: Sequence[RunEntry]) -> str:
    """Return the runs as JSON, a list of objects."""
    return json.dumps([entry.to_dict() for entry in entries], indent=2, ensure_ascii=False)
