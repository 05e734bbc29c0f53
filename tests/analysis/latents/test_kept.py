"""What is kept: damaged files are tested with the components; here is what is removed, and what is not."""

import os
import time

import numpy as np
import pytest

from voxloom.analysis.latents.kept import kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path))
    return tmp_path / "latents"


def ask(name):
    return kept(name, {"x": (2,)}, lambda: {"x": np.zeros(2)})


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_what_nobody_used_for_long_makes_room(folder):
    ask("old")
    ask("used")
    ask("young")
    (folder / ".old.npz.1.tmp").write_bytes(b"half")
    (folder / "note.txt").write_text("somebody's")
    (folder / "encoded-1").mkdir()
    for name in ("old.npz", "used.npz", ".old.npz.1.tmp", "note.txt", "encoded-1"):
        age(folder / name, 100)
    age(folder / "young.npz", 80)
    ask("used")
    assert (folder / "old.npz").exists()  # reading removes nothing
    ask("new")
    assert {path.name for path in folder.iterdir()} == {
        "used.npz", "young.npz", "new.npz", "note.txt", "encoded-1"
    }  # fmt: skip


def test_a_folder_that_cannot_be_listed_is_no_trouble(folder, monkeypatch):
    ask("one")
    monkeypatch.setattr("voxloom.analysis.latents.kept.os.utime", refused)
    ask("one")
    monkeypatch.setattr("voxloom.analysis.latents.kept.Path.iterdir", refused)
    assert ask("two")["x"].tolist() == [0, 0]


def refused(*given):
    raise PermissionError(13, "refused")
