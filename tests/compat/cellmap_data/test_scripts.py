"""Scripts as the older documents have them, run as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume

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
            env={**os.environ, "VOXLOOM_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)},
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


TORCHVISION = """
class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        for transform in self.transforms:
            x = transform(x)
        return x


class ToDtype:
    def __init__(self, dtype, scale=False):
        self.dtype, self.scale = dtype, scale

    def __call__(self, x):
        return x.to(self.dtype) / (255 if self.scale else 1)
"""


def test_the_readme(run, tmp_path):
    """What it says of torchvision is stood in for: as much of that as it uses."""
    for part in ("torchvision", "torchvision/transforms"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").touch()
    (tmp_path / "torchvision/transforms/v2.py").write_text(TORCHVISION)
    rng = np.random.default_rng(0)
    for raw, labels in [("data", "labels"), ("path1/raw", "path1/gt"), ("path2/raw", "path2/gt")]:
        write_volume(tmp_path / f"{raw}.zarr", phantom((32, 32, 32)), form=VolumeForm(version="0.4"))
        masks = {
            n: (rng.random((32, 32, 32)) > 0.7).astype("uint8") for n in ("mitochondria", "er", "nucleus")
        }
        write_classes(tmp_path / f"{labels}.zarr", masks, form=VolumeForm(version="0.4"))
    (tmp_path / "datasplit.csv").write_text(
        'train,path1,raw.zarr,path1,"gt.zarr/[mitochondria,er]"\nvalidate,path2/raw.zarr,path2/gt.zarr\n'
    )
    assert run("readme").stdout.splitlines() == [
        "(4, 1, 24, 24, 24) (4, 3, 24, 24, 24) 183",
        "1 46",
        "4 CellMapDataSplit of 1 and 1 datasets",
        "[-1.0, 0.0]",
        "[(1, 48, 48, 48), (1, 24, 24, 24)]",
        "4",
    ]
