import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from voxloom.analysis.run_list import as_json, found_runs, run_table, sorted_runs
from voxloom.errors import MissingDataError, UnknownNameError


def run(folder: Path, status: str = "finished", psnr: float | None = None, **facts: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"task": "vae", "status": status, **facts}))
    rows: list[dict[str, Any]] = [{"step": 40, "split": "train", "loss": 1.0}]
    if psnr is not None:
        rows.append({"step": 40, "split": "validation", "loss": 1.0, "psnr": psnr})
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def names(entries: list) -> list[str]:
    return [entry.name for entry in entries]


def test_runs_are_found_below_and_not_inside_each_other(tmp_path: Path) -> None:
    run(tmp_path / "a")
    run(tmp_path / "deep" / "er" / "b")
    run(tmp_path / "a" / "checkpoints" / "inner")
    run(tmp_path / ".hidden" / "c")
    run(tmp_path / "1" / "2" / "3" / "4" / "5" / "6")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "twice").symlink_to(tmp_path / "deep")
    assert names(found_runs(tmp_path)) == ["a", "deep/er/b"]
    assert names(found_runs(tmp_path / "a")) == ["a"]


def test_a_folder_that_is_not_to_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "a")
    run(tmp_path / "locked")
    run(tmp_path / "z")
    whole, listed = os.stat, os.listdir

    def stat(path: Any, *given: Any, **more: Any) -> os.stat_result:
        if "locked" in Path(str(path)).parent.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *given, **more)

    def listdir(path: Any = ".") -> list[str]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "listdir", listdir)
    assert names(found_runs(tmp_path)) == ["a", "z"]


def test_an_entry_tells_what_the_run_says(tmp_path: Path) -> None:
    facts = {"started": "2026-01-02T03:04:05+0000", "seconds": 61, "total_steps": 80, "device": "cpu"}
    run(tmp_path / "a", psnr=27.25, samples={"train": 1200}, **facts)
    (entry,) = found_runs(tmp_path)
    line = "a vae finished 2026-01-02 03:04 1 min 01 s 40 of 80 psnr 27.25 1,200 cpu"
    assert " ".join(run_table([entry]).splitlines()[1].split()) == line
    assert json.loads(as_json([entry]))[0] == {
        "name": "a", "task": "vae", "status": "finished", "step": 40, "steps": 80, "best": "psnr 27.25",
        "score": 27.25, "samples": 1200, "note": None,
        "started": "2026-01-02T03:04:05+0000", "seconds": 61, "device": "cpu",
    }  # fmt: skip


def test_what_is_wrong_is_said_below_the_table(tmp_path: Path) -> None:
    run(tmp_path / "broken")
    (tmp_path / "broken" / "run.json").write_text('{"task": ')
    run(tmp_path / "silent", status="running")
    run(tmp_path / "full", status="failed", error="out of memory")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "metrics.jsonl").write_text('{"step": 1')
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "run.json").write_text("[1]")
    entries = found_runs(tmp_path, now=time.time() + 10_000)
    assert {entry.name: entry.status for entry in entries} == {
        "broken": "unreadable", "full": "failed", "killed": "unknown",
        "list": "unreadable", "silent": "stalled?",
    }  # fmt: skip
    table = run_table(entries)
    for text in (
        "broken: run.json cannot be read as JSON.",
        "full: out of memory",
        "silent: The run has written",
    ):
        assert text in table
    json.loads(as_json(entries))


def test_sorting(tmp_path: Path) -> None:
    run(tmp_path / "a", psnr=20, seconds=5, started="2026-01-01")
    run(tmp_path / "b", psnr=30, seconds=9, started="2026-03-01")
    run(tmp_path / "c", started="2026-02-01")
    entries = found_runs(tmp_path)
    for key, order in {
        "best": "bac",
        "score": "bac",
        "seconds": "bac",
        "started": "bca",
        "name": "abc",
    }.items():
        assert names(sorted_runs(entries, key)) == list(order), key
    with pytest.raises(UnknownNameError, match="Did you mean 'started'"):
        sorted_runs(entries, "startet")


def test_a_folder_without_runs_and_no_folder(tmp_path: Path) -> None:
    assert found_runs(tmp_path) == []
    assert run_table([]).startswith("run")
    with pytest.raises(MissingDataError, match="nowhere"):
        found_runs(tmp_path / "nowhere")
