"""Scripts as the older documents have them, run as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts Python anew

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def run(tmp_path):
    def run(name, *arguments):
        script = tmp_path / "job" / f"{name}.py"
        script.parent.mkdir(exist_ok=True)
        shutil.copy(SCRIPTS / f"{name}.txt", script)
        done = subprocess.run(
            [sys.executable, "-m", "voxloom.compat", script, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "VOXLOOM_CACHE": str(tmp_path / "cache")},
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_quick_start(run, raw_path, gt_path):
    done = run("quick_start", raw_path(), gt_path())
    assert done.stdout.splitlines() == [
        "(4, 1, 16, 16, 16) (4, 3, 16, 16, 16) torch.float32 True",
        "[0.0, 1.0] False 3",
    ]


def test_training_on_a_split(run, split_csv):
    done = run("train_on_a_split", split_csv)
    assert done.stdout.splitlines() == [
        "2 1 3",
        "(1, 16, 16) True ['er', 'mito']",
        "96",  # 24 sections of 2 x 2 tiles
    ]


def test_writing_predictions(run, raw_path, tmp_path):
    done = run("write_predictions", raw_path(), tmp_path)
    assert done.stdout.splitlines() == ["27 True", "27 True"]
