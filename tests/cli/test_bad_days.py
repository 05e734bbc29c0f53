"""What goes wrong on bad days, each from the door: what is said, what is kept, how it goes on."""

import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from voxloom.models.checkpoint import read_checkpoint
from voxloom.testing.images import snapshot, write_pairs
from voxloom.testing.recipes import write_recipe
from voxloom.training.tracking import JsonlTracker


@pytest.fixture
def data(tmp_path):
    """Eight pairs that a test may spoil; `train` reads them with ``--data-dir``."""
    return write_pairs(tmp_path / "data", 8)


def status(run):
    return json.loads((run / "run.json").read_text())["status"]


def final(run, name="final"):
    state = read_checkpoint(run / "checkpoints" / f"{name}.pt")
    tensors = {f"{part}.{key}": t for part, model in state["models"].items() for key, t in model.items()}
    moments = {
        f"{phase}.{i}.{key}": torch.as_tensor(value)
        for phase, optimizer in state["optimizers"].items()
        for i, entry in optimizer["state"].items()
        for key, value in entry.items()
    }
    return state["step"], {**tensors, **moments}


def same(a, b):
    return a[0] == b[0] and a[1].keys() == b[1].keys() and all(torch.equal(a[1][k], b[1][k]) for k in a[1])


# -- data -------------------------------------------------------------------------------------------


def test_a_missing_folder(train, tmp_path):
    failed = train("regression", "run", "--data-dir", tmp_path / "nowhere")
    assert failed.code == 1
    assert f"{tmp_path / 'nowhere' / 'edente'}: no such folder" in failed.err
    assert not (tmp_path / "run").exists()


def test_an_empty_folder(train, data, tmp_path):
    for path in (data / "dente").iterdir():
        path.unlink()
    (data / "dente" / "notes.txt").touch()
    failed = train("regression", "run", "--data-dir", data)
    assert failed.code == 1
    assert (
        "dente: no image in this folder. Expected files that end in .png, .tif, .tiff; found 1 .txt"
        in failed.err
    )


def test_unequal_names(train, data, tmp_path):
    (data / "dente" / "p0_00.tif").rename(data / "dente" / "P0_00.tif")
    failed = train("regression", "run", "--data-dir", data)
    assert failed.code == 1
    for said in ("7 pairs", "p0_00.tif", "P0_00.tif", "unmatched='drop'"):
        assert said in failed.err
    done = train("regression", "run", "--data-dir", data, "--set", "unmatched=drop", "--max-epochs", 1)
    assert done.code == 0, done.err
    assert "2 images left out; see" in done.log
    skipped = json.loads((tmp_path / "run" / "skipped.json").read_text())
    assert skipped == {"edente/p0_00.tif": "no partner", "dente/P0_00.tif": "no partner"}


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_tiff(train, data, tmp_path, workers):
    path = data / "edente" / "p1_02.tif"
    path.write_bytes(path.read_bytes()[:200])
    failed = train("vae", "run", "--data-dir", data, "--num-workers", workers)
    assert failed.code == 1
    assert "p1_02.tif" in failed.err
    assert "Traceback" not in failed.err
    done = train(
        "vae",
        "run",
        "--data-dir",
        data,
        "--set",
        "on_error=skip",
        "--max-epochs",
        1,
        "--num-workers",
        workers,
    )
    assert done.code == 0, done.err
    assert "1 images left out" in done.log
    assert list(json.loads((tmp_path / "run" / "skipped.json").read_text())) == ["edente/p1_02"]


@pytest.mark.parametrize(
    ("content", "said"), [("nan", "pixels are NaN"), ("rgb", "p1_02"), ("empty", "p1_02")]
)
def test_images_that_cannot_be_meant(train, data, content, said):

    path = data / "edente" / "p1_02.tif"
    if content == "empty":
        path.write_bytes(b"")
    elif content == "nan":
        image = np.ones((24, 20), np.float32)
        image[3, 4] = np.nan
        tifffile.imwrite(path, image)
    else:
        tifffile.imwrite(path, np.zeros((24, 20, 3), np.uint8), photometric="rgb")
    failed = train("regression", "run", "--data-dir", data)
    assert failed.code == 1
    assert said in failed.err


def test_nothing_is_written_into_the_data(train, call, data, tmp_path):
    before = snapshot(data)
    assert train("vae", "vae", "--data-dir", data, "--max-epochs", 1, "--cache-rate", 1).code == 0
    first = f"autoencoder_path={tmp_path / 'vae'}"
    assert train("ldm", "ldm", "--data-dir", data, "--max-epochs", 1, "--set", first).code == 0
    assert call("predict", "ldm", "--checkpoint", tmp_path / "ldm", "-o", tmp_path / "out").code == 0
    done = call(
        "evaluate", "--pred", tmp_path / "out" / "prediction", "--target", tmp_path / "out" / "target"
    )
    assert done.code == 0, done.err
    assert snapshot(data) == before


def test_held_out_by_a_folder_a_file_or_a_group(train, call, data, tmp_path):
    other = write_pairs(tmp_path / "other", 3, seed=5)
    for name, arguments, counts in (
        ("dir", ["--val-dir", other], [8, 3]),
        ("group", ["--set", r"group=^(p\d)_", "--train-split", "0.5"], [4, 4]),
        ("subset", ["--subset-size", "4"], [3, 1]),
    ):
        done = train("regression", name, "--data-dir", data, "--max-epochs", 1, *arguments)
        assert done.code == 0, done.err
        split = json.loads((tmp_path / name / "split.json").read_text())
        assert [len(split[part]) for part in ("train", "validation")] == counts
        # What was held out is what is predicted where nothing else is named.
        out = tmp_path / f"predicted {name}"
        assert call("predict", "regression", "--checkpoint", tmp_path / name, "-o", out).code == 0
        assert sorted(p.stem for p in (out / "prediction").iterdir()) == sorted(split["validation"])
    group = json.loads((tmp_path / "group" / "split.json").read_text())
    assert not {k[:2] for k in group["train"]} & {k[:2] for k in group["validation"]}
    again = train(
        "regression", "file", "--data-dir", data, "--max-epochs", 1,
        "--set", f"split_file={tmp_path / 'group' / 'split.json'}",
    )  # fmt: skip
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "file" / "split.json").read_text()) == group
    # The split is the run's: files that come later change nothing when it is resumed.
    write_pairs(data, 12)
    more = train("regression", "group", "--data-dir", data, "--max-epochs", 2, "--resume")
    assert more.code == 0, more.err
    assert json.loads((tmp_path / "group" / "split.json").read_text()) == group


# -- the disk ---------------------------------------------------------------------------------------


def test_a_full_disk_while_saving(train, call, tmp_path, monkeypatch):
    whole = train("regression", "whole", "--max-epochs", 3)
    assert whole.code == 0
    sync, saved = os.fsync, []

    def full(descriptor):
        if os.fstat(descriptor).st_size > 20_000:  # a checkpoint: there is room for one
            saved.append(descriptor)
            if len(saved) > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    failed = train("regression", "run", "--max-epochs", 3)
    monkeypatch.undo()
    assert failed.code == 1
    assert "last.pt: No space left on device. The file that was there before is untouched." in failed.err
    assert status(tmp_path / "run") == "failed"
    assert final(tmp_path / "run", "last")[0] == 3
    assert not list((tmp_path / "run").rglob("*.tmp"))
    done = call("train", "regression", "--resume", tmp_path / "run")
    assert done.code == 0, done.err
    assert same(final(tmp_path / "whole"), final(tmp_path / "run"))


def test_a_folder_that_takes_nothing(train, tmp_path):
    (tmp_path / "file").touch()
    failed = train("regression", "run", "--run-dir", tmp_path / "file" / "run")
    assert failed.code == 1
    assert "could not make the run folder" in failed.err
    assert "Name another run_dir" in failed.err


# -- processes that are stopped ---------------------------------------------------------------------


class Process:
    """``voxloom train`` in a process of its own, with a recipe of far more epochs than it will see."""

    def __init__(self, tmp_path, pairs, task, name):
        self.run = tmp_path / name
        recipe = write_recipe(tmp_path / f"{name}.json", pairs, run_dir=str(self.run), augment=True)
        command = [sys.executable, "-m", "voxloom", "train", task, "-c", str(recipe), "--max-epochs", "99999"]
        # A session of its own: a signal for it is not one for the tests.
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_for(self, name, least_bytes=1):
        began = time.monotonic()
        path = self.run / name
        while not (path.is_file() and path.stat().st_size >= least_bytes):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() - began < 90, "the process does not begin"
            time.sleep(0.01)
        return self

    def stopped_by(self, number):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


def test_ctrl_c_saves_and_says_how_to_go_on(call, train, tmp_path, pairs):
    process = Process(tmp_path, pairs, "regression", "run").wait_for("metrics.jsonl", 2000)
    code, err = process.stopped_by(signal.SIGINT)
    assert code == 130, err
    assert "Traceback" not in err
    step, total = map(int, re.search(r"stopped at step (\d+) of (\d+); the state is saved", err).groups())
    assert f"Go on with: voxloom train regression --resume {tmp_path / 'run'}" in err
    assert total > step > 3
    assert status(tmp_path / "run") == "interrupted"
    assert final(tmp_path / "run", "last")[0] == step
    epochs = step // 3 + 2
    done = call("train", "regression", "--resume", tmp_path / "run", "--max-epochs", epochs)
    assert done.code == 0, done.err
    assert train("regression", "whole", "--set", "augment=true", "--max-epochs", epochs).code == 0
    assert same(final(tmp_path / "whole"), final(tmp_path / "run"))


def test_kill_9_loses_nothing_but_the_steps_since_the_last_checkpoint(call, train, tmp_path, pairs):
    process = Process(tmp_path, pairs, "regression", "run").wait_for("checkpoints/last.pt")
    code, _ = process.wait_for("metrics.jsonl", 2000).stopped_by(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert status(tmp_path / "run") == "running"
    (tmp_path / "run" / "checkpoints" / ".last.pt.1.tmp").write_bytes(b"half a checkpoint")
    epochs = final(tmp_path / "run", "last")[0] // 3 + 1
    done = call("train", "regression", "--resume", tmp_path / "run", "--max-epochs", epochs)
    assert done.code == 0, done.err
    assert train("regression", "whole", "--set", "augment=true", "--max-epochs", epochs).code == 0
    assert same(final(tmp_path / "whole"), final(tmp_path / "run"))
    assert status(tmp_path / "run") == "finished"
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_the_end_of_a_batch_jobs_time(train, call, tmp_path, monkeypatch):
    """SIGTERM, really sent, here to this process."""
    log = JsonlTracker.log

    def end_of_time(self, row):
        log(self, row)
        if row["step"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(JsonlTracker, "log", end_of_time)
    before = signal.getsignal(signal.SIGTERM)
    stopped = train("regression", "run", "--max-epochs", 3)
    monkeypatch.undo()
    assert stopped.code == 130
    assert "stopped at step 4 of 9; the state is saved. Go on with: voxloom train regression" in stopped.err
    assert signal.getsignal(signal.SIGTERM) is before
    assert call("train", "regression", "--resume", tmp_path / "run").code == 0
    assert train("regression", "whole", "--max-epochs", 3).code == 0
    assert same(final(tmp_path / "whole"), final(tmp_path / "run"))


def test_ctrl_c_twice_stops_at_once_and_keeps_the_last_checkpoint(train, tmp_path, monkeypatch):
    log = JsonlTracker.log

    def impatient(self, row):
        log(self, row)
        if row["step"] == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(JsonlTracker, "log", impatient)
    stopped = train("regression", "run", "--max-epochs", 3)
    assert stopped.code == 130
    assert "stopped at once; the last checkpoint is kept. Go on with: voxloom train regression" in stopped.err
    assert final(tmp_path / "run", "last")[0] == 3


def test_ctrl_c_before_the_first_step_is_no_obstacle(train, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("voxloom.jobs.images"), "pairs_of", interrupted)
    stopped = train("regression", "run")
    monkeypatch.undo()
    assert stopped.code == 130
    assert status(tmp_path / "run") == "interrupted"
    assert train("regression", "run", "--max-epochs", 1).code == 0
