import errno
import os

import pytest
import torch

from voxloom.errors import CheckpointError, MissingDataError, OutputExistsError, SaveError
from voxloom.models.checkpoint import read_checkpoint
from voxloom.training.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.create("vae", {"seed": 1})
    return run


def test_a_run_that_exists_is_refused_with_the_cure(run):
    with pytest.raises(OutputExistsError, match=r"--resume.*--overwrite"):
        Run(run.folder).create("vae", {})
    Run(run.folder).create("vae", {"seed": 2}, overwrite=True)
    assert run.read("config.json") == {"seed": 2}


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="not a run"):
        Run(tmp_path).create("vae", {}, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_leaves_the_older_checkpoint(run, monkeypatch):
    path = run.save("last", {"step": 1})

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match="No space left"):
        run.save("last", {"step": 2})
    monkeypatch.undo()
    assert read_checkpoint(path)["step"] == 1
    assert [p.name for p in run.checkpoints.iterdir()] == ["last.pt"]


def test_linked_names_outlive_the_next_save(run):
    run.link("best", run.save("last", {"step": 1}))
    run.save("last", {"step": 2})
    assert read_checkpoint(run.checkpoints / "best.pt")["step"] == 1


def test_only_the_newest_epochs_are_retained(run):
    path = run.save("last", {})
    for epoch in range(5):
        run.link(f"epoch_{epoch:04d}", path)
    run.retain(2)
    assert sorted(p.name for p in run.checkpoints.glob("epoch_*")) == ["epoch_0003.pt", "epoch_0004.pt"]


def test_what_is_no_checkpoint_is_named(run, tmp_path):
    with pytest.raises(MissingDataError, match=r"nowhere\.pt"):
        read_checkpoint(tmp_path / "nowhere.pt")
    path = run.save("last", {"step": 1, "weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="It may be truncated"):
        read_checkpoint(path)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match="weights alone"):
        read_checkpoint(tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match="before its first"):
        Run(tmp_path / "other").latest()
