import json

from voxloom.training.tracking import JsonlTracker, read_rows


def _row(step):
    return {"step": step, "epoch": 0, "split": "train", "time": 0.0, "loss": 1.0}


def test_rows_after_the_checkpoint_are_dropped_on_a_resume(tmp_path):
    tracker = JsonlTracker(tmp_path, 0)
    for step in (10, 20, 30):
        tracker.log(_row(step))
    tracker.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "los')  # kill -9 in the middle of a line
    JsonlTracker(tmp_path, 20).close()
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl")] == [10, 20]


def test_a_run_that_starts_anew_has_no_older_rows(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(_row(5)) + "\n")
    JsonlTracker(tmp_path, 0).close()
    assert read_rows(tmp_path / "metrics.jsonl") == []
