import json
from pathlib import Path

import numpy as np
import pytest

from voxloom.analysis.records import EvaluationRecord, PredictionRecord, RunRecord
from voxloom.errors import MissingDataError
from voxloom.sources.write import write_image

TRAIN = '{"step": 1, "epoch": 0, "split": "train", "loss": 0.5}\n'
VALIDATION = '{"step": 1, "epoch": 0, "split": "validation", "loss": 0.5}\n'


def test_a_whole_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"task": "vae", "status": "finished"}))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.jsonl").write_text(TRAIN + VALIDATION)
    run = RunRecord.read(tmp_path)
    assert (run.task, len(run.rows), run.remarks, run.checkpoint) == ("vae", 2, (), None)


def test_a_killed_run_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(TRAIN + '{"step": 2, "ep')
    (tmp_path / "config.json").write_text('{"seed": ')
    run = RunRecord.read(tmp_path)
    assert len(run.rows) == 1
    told = " ".join(run.remarks)
    assert "no run.json" in told
    assert "config.json cannot be read" in told
    assert "cut short and are left out: 1" in told
    assert "not validated yet" in told
    assert run.task == "unknown task"


def test_a_run_that_has_not_reported(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert "reported nothing yet" in " ".join(RunRecord.read(tmp_path).remarks)


def test_the_best_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    for name in ("last", "best"):
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / f"{name}.pt").touch()
    assert RunRecord.read(tmp_path).checkpoint == tmp_path / "checkpoints" / "best.pt"


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not a run"):
        RunRecord.read(tmp_path)
    with pytest.raises(MissingDataError, match="no such run"):
        RunRecord.read(tmp_path / "nowhere")


def test_predictions(tmp_path: Path) -> None:
    for role in ("prediction", "condition", "target", "deviation"):
        write_image(tmp_path / role / "a.tif", np.zeros((2, 2)))
    write_image(tmp_path / "prediction" / "b.tif", np.zeros((2, 2)))
    (tmp_path / "predict.json").write_text('{"task": "ldm"}')
    record = PredictionRecord.read(tmp_path)
    assert record.names == ["a", "b"]
    assert [role for role, _ in record.row("a")] == ["condition", "target", "prediction"]
    assert [role for role, _ in record.row("b")] == ["prediction"]
    assert (record.facts["task"], record.remarks) == ("ldm", ())


def test_predictions_that_are_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "prediction").mkdir()
    assert "no predictions" in " ".join(PredictionRecord.read(tmp_path).remarks)
    with pytest.raises(MissingDataError, match="nowhere"):
        PredictionRecord.read(tmp_path / "nowhere")


def test_an_evaluation_without_its_table(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not an evaluation"):
        EvaluationRecord.read(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    assert "no per_image.csv" in " ".join(EvaluationRecord.read(tmp_path).remarks)
    (tmp_path / "per_image.csv").write_text(
        "method,name,psnr,dice,failure\nprediction,a,inf,nan,\ncopy,a,1,1,\nprediction,b,,,truncated\n"
    )
    images = EvaluationRecord.read(tmp_path).images
    assert list(images) == ["a"]
    assert images["a"]["psnr"] == float("inf")


def test_what_is_there_in_the_place_of_a_run_is_told(tmp_path: Path) -> None:
    for name in ("vae", "ldm"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "metrics.jsonl").write_text(TRAIN)
    with pytest.raises(MissingDataError, match=r"There are runs in it: .*runs/ldm .*runs/vae$"):
        RunRecord.read(tmp_path / "runs")
    with pytest.raises(MissingDataError, match=r"no such run: .*runs/lddm\. Did you mean 'ldm'\?"):
        RunRecord.read(tmp_path / "runs" / "lddm")
