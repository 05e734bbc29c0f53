import json
import os
import time
from pathlib import Path

import pytest

from voxloom.analysis.records import RunRecord
from voxloom.analysis.run_state import state_of

HOUR = 3600


def run(folder: Path, status: str = "running", times: tuple[float, ...] = ()) -> RunRecord:
    (folder / "run.json").write_text(json.dumps({"task": "vae", "status": status}))
    rows = [json.dumps({"step": i, "split": "train", "time": t, "loss": 1.0}) for i, t in enumerate(times)]
    (folder / "metrics.jsonl").write_text("\n".join(rows))
    return RunRecord.read(folder)


@pytest.mark.parametrize("status", ["finished", "interrupted", "failed", "odd"])
def test_a_run_that_has_ended_says_so(tmp_path: Path, status: str) -> None:
    found = state_of(run(tmp_path, status), now=time.time() + 1000 * HOUR)
    assert (found.name, found.note, found.is_doubtful) == (status, "", False)


@pytest.mark.parametrize(
    ("times", "silent", "name"),
    [
        ((), 0.9 * HOUR, "running"),  # data is prepared before the first report
        ((), 1.1 * HOUR, "stalled?"),
        ((0, 5, 10), 500, "running"),
        ((0, 5, 10), 700, "stalled?"),
        ((0, 5, 2000), 5 * HOUR, "running"),  # it validates for half an hour
        ((0, 5, 2000), 6 * HOUR, "stalled?"),
        ((100, 5, 10), 700, "stalled?"),  # the clock begins anew after a resume
    ],
)
def test_silence_is_doubted_by_how_often_a_run_reports(
    tmp_path: Path, times: tuple[float, ...], silent: float, name: str
) -> None:
    found = state_of(run(tmp_path, times=times), now=time.time() + silent)
    assert found.name == name
    assert ("killed" in found.note) == found.is_doubtful == (name == "stalled?")


def test_the_newest_file_counts(tmp_path: Path) -> None:
    record = run(tmp_path, times=(0, 1))
    (tmp_path / "checkpoints").mkdir()
    for name in ("run.json", "metrics.jsonl"):
        os.utime(tmp_path / name, (0, 0))
    assert state_of(record).name == "running"
    os.utime(tmp_path / "checkpoints", (0, 0))
    assert state_of(record).name == "stalled?"


def test_a_folder_that_went_away_is_not_doubted(tmp_path: Path) -> None:
    assert state_of(RunRecord(tmp_path / "gone", {"status": "running"}, {}, (), ())).name == "running"
