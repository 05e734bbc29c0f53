"""Predictions whose processes are killed, or many at once: what is left is what one call leaves."""

import errno
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from slow_network import make_raw, predict, task_of

from voxloom.errors import Interrupted, SaveError
from voxloom.inference import line
from voxloom.inference.tiling import VolumeTask, predict_volume


@pytest.fixture(scope="module")
def processes():
    """Real processes; they begin with torch loaded, and TensorStore unused."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["voxloom.inference.tiling", "numba"])
    return context


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("input") / "raw.zarr")
    make_raw(path)
    return path


@pytest.fixture(scope="module")
def whole(raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "p.zarr"
    assert predict(raw, str(output)).is_finished
    return files(output)


def files(output):
    return {
        str(path.relative_to(output)): path.read_bytes() for path in Path(output).rglob("*") if path.is_file()
    }


def units(output):
    return list(Path(f"{output}.prediction").glob("units/*-0*[0-9]"))


def wait_for(condition, process):
    end = time.monotonic() + 30
    while not condition():
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.002)


def test_kill_at_any_time(processes, raw, whole, tmp_path):
    output, chance = str(tmp_path / "p.zarr"), random.Random(0)
    for number in (0, 7, 18):
        process = processes.Process(target=predict, args=(raw, output, 0.002))
        process.start()
        wait_for(lambda: len(units(output)) >= number, process)  # noqa: B023
        time.sleep(chance.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    missing = 27 - len(units(output))
    report = predict(raw, output)
    assert report.done == missing < 27
    assert files(output) == whole


def test_four_processes_at_once(processes, raw, whole, tmp_path):
    for name, ranks in {"shares": range(4), "all": [0] * 4}.items():
        output = str(tmp_path / name / "p.zarr")
        world = 4 if name == "shares" else 1
        at_work = [
            processes.Process(target=predict, args=(raw, output, 0.001, (index, world))) for index in ranks
        ]
        for process in at_work:
            process.start()
        for process in at_work:
            process.join()
        assert [process.exitcode for process in at_work] == [0] * 4
        assert VolumeTask(*task_of(raw, output)).markers.is_finished
        assert files(output) == whole


def test_ctrl_c_says_how_to_go_on(raw, whole, tmp_path):
    output = str(tmp_path / "p.zarr")
    model, volume, output, options = task_of(raw, output)
    calls = []

    def stop(done, total):
        calls.append((done, total))
        if done == 60:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped: \d+ of 27 units .* Give the same command again"):
        predict_volume(model, volume, output, options=options, progress=stop)
    assert calls == [(n, 216) for n in range(1, 61)]
    assert 0 < len(units(output)) < 27
    predict(raw, output)
    assert files(output) == whole


def test_a_full_disk_can_be_gone_on_from(raw, whole, tmp_path, monkeypatch):
    output = str(tmp_path / "p.zarr")
    model, volume, output, options = task_of(raw, output)
    real, written = line.Line._write, []

    def full(self, filled):
        written.append(1)
        if len(written) == 5:
            raise SaveError(f"could not write {output}: {os.strerror(errno.ENOSPC)}")
        return real(self, filled)

    with monkeypatch.context() as patch:
        patch.setattr(line.Line, "_write", full)
        with pytest.raises(SaveError, match="No space left"):
            predict_volume(model, volume, output, options=options)
    assert len(units(output)) == 4
    predict(raw, output)
    assert files(output) == whole
