"""The examples, run as a user runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import voxloom

EXAMPLES = Path(__file__).parents[1] / "examples"
SLURM = EXAMPLES / "imagenet_slurm"


def run(*words, cwd, **more):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **more}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name, brightness in (("bright", 200), ("dark", 60)):
            (root / part / name).mkdir(parents=True)
            for number in range(7):
                pixels = rng.normal(brightness, 30, (30 + number, 40, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.jpg")
    return root


def test_a_class_folder(tmp_path):
    told = run(sys.executable, EXAMPLES / "class_folder.py", cwd=tmp_path)
    assert "48 samples" in told
    assert int(told.splitlines()[-1].removesuffix(" of 48 right")) > 40
    assert not list(tmp_path.iterdir())


def test_a_class_folder_of_ones_own(photos, tmp_path):
    run(sys.executable, EXAMPLES / "class_folder.py", photos / "val", "store", cwd=tmp_path)
    assert voxloom.open(tmp_path / "store").schema["image"].shape == (32, 32, 3)


def test_dense_masks(tmp_path):
    told = run(sys.executable, EXAMPLES / "dense_masks.py", cwd=tmp_path)
    assert "values [0, 1, 2]" in told
    assert "(4, 3, 32, 48)" in told


def test_older_names(photos, tmp_path):
    script = EXAMPLES / "older_names.py"
    paths = ("--input_path", photos / "train", "--output_path", "store")
    told = run(sys.executable, "-m", "voxloom.compat", script, *paths, cwd=tmp_path)
    assert told.splitlines() == [
        "14 images of 3 channels, {'bright': 0, 'dark': 1}",
        "(8, 3, 32, 48) torch.int64",
    ]


@pytest.mark.parametrize("script", sorted(SLURM.glob("*.sbatch")), ids=lambda path: path.name)
def test_batch_scripts_are_bash(script):
    subprocess.run(["bash", "-n", script], check=True)


SRUN = """#!/bin/bash
# What srun does, one task after the other.
tasks=3
while [[ $1 == --* ]]; do [[ $1 == --ntasks=1 ]] && tasks=1; shift; done
for ((rank = tasks - 1; rank >= 0; rank--)); do
    SLURM_PROCID=$rank SLURM_NTASKS=$tasks SLURM_STEP_ID=0 "$@" || exit
done
"""


@pytest.fixture(scope="module")
def stores(photos, tmp_path_factory):
    """Run the batch script with a stand-in for srun."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "srun").write_text(SRUN)
    (folder / "srun").chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    run("bash", SLURM / "convert.sbatch", cwd=folder, PATH=path, IMAGES=str(photos), STORES=str(folder))
    return folder


def test_the_batch_script_converts(photos, stores):
    store = voxloom.open(stores / "train")
    assert store.get(9, "image", "bytes") == (photos / "train" / store.keys[9]).read_bytes()


def test_training_goes_on_where_it_stopped(stores, tmp_path):
    words = (
        SLURM / "train.py",
        stores / "train",
        "--size",
        "16",
        "--batch-size",
        "4",
        "--checkpoint",
        "a.pt",
    )
    first = run(sys.executable, *words, "--epochs", "1", cwd=tmp_path)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    rest = run(*torchrun, *words, "--epochs", "2", cwd=tmp_path)
    assert [line.partition(":")[0] for line in (first + rest).splitlines()] == ["epoch 0", "epoch 1"]


@pytest.fixture
def em_crop(tmp_path):
    return shutil.copytree(EXAMPLES / "em_crop", tmp_path / "em_crop", ignore=shutil.ignore_patterns("runs"))


def test_a_crop_of_electron_microscopy(em_crop):
    def voxloom_(*words):
        return run(sys.executable, "-m", "voxloom", *words, cwd=em_crop)

    small = {
        "segmentation_data.inputs.raw.shape": "[8,32,32]",
        "segmentation_data.drawing.length": "4",
        "segmentation_data.validation_patches": "1",
        "segmentation_train.max_epochs": "1",
    }
    settings = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    voxloom_("train", "segmentation", "-c", "segmentation.yaml", *settings)
    words = ("--checkpoint", "runs/em_crop", "--input", "em.zarr", "--output", "pred.zarr", "--overlap", "0")
    voxloom_("predict", "segmentation", *words)
    told = run(sys.executable, "measure.py", "pred.zarr", cwd=em_crop).splitlines()
    assert [line.partition(":")[0] for line in told] == ["boundary", "inside"]


def test_the_crop_is_small_and_says_where_it_is_from():
    files = [path for path in (EXAMPLES / "em_crop").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 700_000
    assert "CC BY 3.0 US" in (EXAMPLES / "em_crop/README.md").read_text()
