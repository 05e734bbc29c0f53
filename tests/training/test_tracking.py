import errno
import json
import os
import sys
import time

import numpy as np
import pytest
from PIL import Image

from voxloom.errors import MissingExtraError, SaveError
from voxloom.training.tracking import (
    TRACKERS,
    JsonlTracker,
    PreviewTracker,
    ProgressTracker,
    TensorBoardTracker,
    read_rows,
)


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


def test_a_full_disk_at_the_start_keeps_the_rows(tmp_path, monkeypatch):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(_row(5)) + "\n")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError):
        JsonlTracker(tmp_path, 10)
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl")] == [5]


def test_previews_are_named_by_their_epoch(tmp_path):
    tracker = PreviewTracker(tmp_path, 0)
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    tracker.image("preview", {"step": 8, "epoch": 12}, picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "previews" / "epoch_0012_preview.png")), picture)


def test_tensorboard_hides_what_a_resume_does_anew(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begin, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        tracker = TensorBoardTracker(tmp_path, begin)
        for step in steps:
            tracker.log({**_row(step), "loss": float(10 * begin + step)})
        tracker.close()
        time.sleep(1.1)  # the files are told apart, and ordered, by the second they were made in
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1), (2, 2), (3, 23), (4, 24)]


def test_without_tensorboard_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'voxloom\[tensorboard\]'"):
        TensorBoardTracker(tmp_path, 0)


def test_the_bar_shows_loss_speed_and_validation(capsys):
    tracker = ProgressTracker(20, 4)
    tracker.log({**_row(10), "images_per_second": 12.34})
    tracker.log({**_row(10), "split": "validation", "loss": 0.5, "psnr": 21.0})
    tracker.close()
    shown = capsys.readouterr().err
    for part in ("10/20", "loss=1.0000", "samples/s=12.3", "val=0.5000", "psnr=21.00"):
        assert part in shown


def test_every_tracker_of_the_table_has_one_signature(tmp_path):
    for name in TRACKERS:
        tracker = TRACKERS[name](tmp_path, 0)
        tracker.log(_row(1))
        tracker.image("preview", _row(1), np.zeros((2, 2, 3), np.uint8))
        tracker.close()
