"""Conversions that die at every step and at any time: a resume leaves what no crash would have left."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slow_source import SAMPLES, Slow

from voxloom.conversion import convert, verify
from voxloom.conversion.journal import Journal
from voxloom.errors import UnfinishedStoreError, VoxloomError
from voxloom.formats import Store

SCRIPT = Path(__file__).with_name("slow_source.py")
STEPS = ("replace", "fsync", "link", "unlink", "mkdir", "rmdir")


@pytest.fixture
def unsynced(monkeypatch):
    """The disk is not waited for: the order of the steps is what counts."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Crash(BaseException):
    """The end of a process: nothing catches it, and nothing more is done."""


class Countdown:
    """Ends the process, as it were, at the n-th step that touches the disk, and all that come after it."""

    def __init__(self, monkeypatch, end):
        self.steps, self.end = 0, end
        for name in STEPS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real):
        def step(*args, **kwargs):
            self.steps += 1
            if self.end is not None and self.steps >= self.end:
                raise Crash
            return real(*args, **kwargs)

        return step


def steps_of(run, monkeypatch):
    with monkeypatch.context() as patch:
        count = Countdown(patch, None)
        run()
    return count.steps


def crashed(run, monkeypatch, end):
    with monkeypatch.context() as patch:
        Countdown(patch, end)
        try:
            run()
        except Crash:
            return True
    return False


@pytest.mark.usefixtures("unsynced")
@pytest.mark.parametrize("name", ["tar", "memmap"])
def test_a_crash_at_any_step_can_be_gone_on_from(tmp_path, monkeypatch, same_tree, name):
    source = Slow(samples=3)
    settings = {"format": name, "samples_per_shard": 2}
    convert(source, tmp_path / "whole", **settings)
    steps = steps_of(lambda: convert(source, tmp_path / "count", **settings), monkeypatch)
    assert steps > 15
    for end in range(1, steps + 1):
        store = tmp_path / f"{end}"
        crashed(lambda: convert(source, store, **settings), monkeypatch, end)  # noqa: B023
        if not (store / "manifest.json").exists():
            with pytest.raises(VoxloomError):
                Store(store)
        convert(source, store, resume=True, **settings)
        assert same_tree(tmp_path / "whole", store), f"after a crash at step {end} of {steps}"
        shutil.rmtree(store)


@pytest.mark.usefixtures("unsynced")
def test_a_crash_while_a_store_is_replaced(tmp_path, monkeypatch, same_tree):
    source, settings = Slow(samples=3), {"format": "tar", "samples_per_shard": 2}
    old = tmp_path / "old"
    convert(Slow(samples=6), old, samples_per_shard=1)
    convert(source, tmp_path / "whole", **settings)

    def again(store):
        shutil.copytree(old, store)
        return lambda: convert(source, store, overwrite=True, **settings)

    steps = steps_of(again(tmp_path / "count"), monkeypatch)
    for end in range(1, steps + 1, 2):
        store = tmp_path / f"{end}"
        crashed(again(store), monkeypatch, end)
        how = {"overwrite": True} if end % 4 == 1 or (store / "manifest.json").exists() else {"resume": True}
        if "resume" in how and (plan := Journal(store).plan()) and plan[0].samples != 3:
            how = {"overwrite": True}
        convert(source, store, **how, **settings)
        assert same_tree(tmp_path / "whole", store), f"after a crash at step {end} of {steps}, {how}"
        shutil.rmtree(store)


def start(store, seconds, *settings):
    environment = {name: value for name, value in os.environ.items() if "RANK" not in name}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), str(store), str(seconds), *settings],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
    )  # fmt: skip


def wait_for(condition, process, limit=60):
    end = time.monotonic() + limit
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_at_any_time(tmp_path, same_tree, workers):
    convert(Slow(), tmp_path / "whole", samples_per_shard=2)
    store = tmp_path / "store"
    chance = random.Random(workers)
    for end in (1, 3, 5):
        process = start(store, 0.02, "resume=True", f"workers={workers}")
        wait_for(lambda: len(list(store.glob("journal/0*.json"))) >= end, process)  # noqa: B023
        time.sleep(chance.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (store / "manifest.json").exists()
        with pytest.raises(UnfinishedStoreError, match="--resume"):
            Store(store)
    report = convert(Slow(), store, resume=True, samples_per_shard=2)
    assert report.converted < SAMPLES
    assert same_tree(tmp_path / "whole", store)
    assert verify(store, against=Slow()).ok


def test_what_dead_processes_left_goes_and_what_living_ones_write_stays(tmp_path):
    store = tmp_path / "store"
    process = start(store, 0.05)
    wait_for(lambda: any(store.glob("journal/00000.*.tmp/*")), process)
    journal = Journal(store)
    journal.sweep()
    (left,) = store.glob("journal/*.tmp")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    journal.sweep()
    assert not left.exists()
    foreign = store / "journal" / "00000.0123456789ab.1.01234567.tmp"  # of another machine
    foreign.mkdir()
    journal.sweep()
    assert foreign.exists()
    os.utime(foreign, (0, 0))
    journal.sweep()
    assert not foreign.exists()


def test_ctrl_c_leaves_what_can_be_gone_on_from(tmp_path, same_tree):
    convert(Slow(), tmp_path / "whole", samples_per_shard=2)
    for workers in (0, 2):
        store = tmp_path / f"{workers}"
        process = start(store, 0.05, f"workers={workers}")
        wait_for(lambda: any(store.glob("journal/0*.json")), process)  # noqa: B023
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers too
        out, _ = process.communicate(timeout=20)
        assert time.monotonic() - began < 5
        assert process.returncode != 0
        assert "Interrupted: stopped" in out
        assert "--resume" in out
        assert out.count("Traceback") <= 2, out
        convert(Slow(), store, resume=True, samples_per_shard=2)
        assert same_tree(tmp_path / "whole", store)
