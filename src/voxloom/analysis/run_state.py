"""Whether a run is finished, was interrupted, works, or has fallen silent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from voxloom.analysis.records import RunRecord
from voxloom.analysis.tables import duration

__all__ = ["STALLED", "RunState", "state_of"]

STALLED = "stalled?"
"""State of a run that calls itself running and has written nothing for long."""

_PATIENCE = 10  # times the longest gap between two reports
_LEAST, _FIRST = 600.0, 3600.0  # seconds: the shortest patience, and that before the first report
_BEATS = ("metrics.jsonl", "run.json", "checkpoints", "previews", "checkpoints/last.pt")


@dataclass(frozen=True)
class RunState:
    """How a run stands.

    Attributes
    ----------
    name
        finished, interrupted, failed, running, ``stalled?`` or unknown.
    note
        What makes it doubtful, in a sentence; empty where nothing does.
    """

    name: str
    note: str = ""

    @property
    def is_doubtful(self) -> bool:
        """Whether it calls itself running and may not."""
        return self.name == STALLED

    @property
    def style(self) -> str:
        """The name as a class of the page."""
        return self.name.strip("?")


def state_of(run: RunRecord, *, now: float | None = None) -> RunState:
    """Return how a run stands, as far as its files tell.

    A process that is killed cannot say so, and no file knows whether it lives, on this machine or on
    another. So a run that calls itself running is asked for its last sign: the time of its newest
    file. It is doubted when that is older than ten times the longest gap between two of its reports,
    and at least ten minutes, or an hour before the first report.

    Parameters
    ----------
    run
        What lies on disk.
    now
        The present in seconds since 1970; None asks the clock.

    Examples
    --------
    >>> state_of(RunRecord(Path("run"), {"status": "finished"}, {}, (), ()))
    RunState(name='finished', note='')
    """
    if run.status != "running":
        return RunState(run.status)
    last = _last_sign(run.folder)
    silent = 0.0 if last is None else (time.time() if now is None else now) - last
    patience = _patience(run.rows)
    if silent <= patience:
        return RunState("running")
    return RunState(
        STALLED,
        f"The run has written nothing for {duration(silent)}, though it calls itself running: its process "
        "may have been killed. If it does not work any more, go on with --resume.",
    )


def _last_sign(folder: Path) -> float | None:
    times = []
    for name in _BEATS:
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue  # not there yet, or not to be read
    return max(times, default=None)


def _patience(rows: Sequence[Mapping[str, Any]]) -> float:
    times = [float(row["time"]) for row in rows if isinstance(row.get("time"), int | float)]
    if len(times) < 2:
        return _FIRST
    gaps = [after - before for before, after in pairwise(times)]
    return max(_LEAST, _PATIENCE * max(gaps))
