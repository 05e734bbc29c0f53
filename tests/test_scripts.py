"""The older commands: doors into the command line."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import voxloom.cli
from voxloom.sources import write_image

SCRIPTS = Path(__file__).parents[1] / "scripts"

TINY = {
    "_comment": "an older file, as small as it can be",
    "run_dir": "runs/vae",
    "data_source": "edente",
    "latent_channels": 4,
    "autoencoder_def": {"channels": [8, 16], "num_res_blocks": 1, "norm_num_groups": 4},
    "autoencoder_train": {"batch_size": 2, "patch_size": [32, 32], "max_epochs": 1, "val_interval": 1},
    "wandb": {"enabled": True},
}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a script in a folder of its own, and return what it says to the command line."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return sys.argv[1:]

    return run


@pytest.fixture
def only_asked(monkeypatch):
    """Have the command line do nothing."""
    monkeypatch.setattr(voxloom.cli, "main", lambda: None)


CONFIGS = ("./config/environment_tif.json", "./config/config_train_16g_cond.json")


@pytest.mark.parametrize(
    ("script", "given", "asked"),
    [
        ("train_vae.py", [], ["train", "vae", "-c", "./config/vae_config.json"]),
        (
            "train_vae.py",
            ["--config-file=a.json", "-g", "4", "--lr", "0.001", "--seed", "0"],
            ["train", "vae", "-c", "a.json", "-g", "4", "--lr", "0.001", "--seed", "0"],
        ),
        ("train_ldm.py", [], ["train", "ldm", "-e", CONFIGS[0], "-c", CONFIGS[1]]),
        ("train_ldm.py", ["-e", "e.json", "-c", "c.json"], ["train", "ldm", "-e", "e.json", "-c", "c.json"]),
        (
            "inference_vae.py",
            ["--checkpoint", "w/checkpoint_epoch7.pth", "--input-dir", "in", "--num-samples", "5"],
            [
                *("predict", "vae", "--checkpoint", "w/checkpoint_epoch7.pth"),
                *(
                    "--output-dir",
                    "inference_vae_checkpoint_epoch7",
                    "--input-dir",
                    "in",
                    "--num-samples",
                    "5",
                ),
            ],
        ),
        (
            "inference_ldm.py",
            ["--checkpoint", "best.pt"],
            [
                *("predict", "ldm", "--num-samples", "10", "--batch-size", "1"),
                *("--checkpoint", "best.pt", "--output-dir", "inference_best"),
            ],
        ),
        (
            "inference_ldm.py",
            ["--checkpoint", "best.pt", "--output-dir", "o", "--num-samples", "3", "--steps", "4"],
            [
                *("predict", "ldm", "--num-samples", "10", "--batch-size", "1"),
                *("--checkpoint", "best.pt", "--output-dir", "o", "--num-samples", "3", "--steps", "4"),
            ],
        ),
        (
            "inference_ldm.py",
            ["-e", "e.json", "-c", "c.json", "--checkpoint", "old.pth"],
            [
                *("predict", "ldm", "--num-samples", "10", "--batch-size", "1"),
                *("--checkpoint", "old.pth", "--output-dir", "inference_old", "-c", "e.json", "-c", "c.json"),
            ],
        ),
    ],
)
def test_the_older_flags_and_defaults(run, only_asked, script, given, asked):
    assert run(script, *given) == asked


@pytest.mark.parametrize("script", ["train_vae.py", "train_ldm.py", "inference_vae.py", "inference_ldm.py"])
def test_help_is_that_of_the_command(run, script, capsys):
    run(script, "--help")
    assert "--batch-size" in capsys.readouterr().out


@pytest.mark.parametrize("script", ["inference_vae.py", "inference_ldm.py"])
def test_a_checkpoint_is_asked_for(run, script, capsys):
    with pytest.raises(SystemExit) as caught:
        run(script)
    assert caught.value.code == 2
    assert "--checkpoint" in capsys.readouterr().err


def test_torchrun_trains_on_the_ranks_that_it_started(run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for number in range(6):
        write_image(tmp_path / "data" / "edente" / f"{number}.tif", rng.random((40, 40), np.float32))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "vae_config.json").write_text(json.dumps(TINY))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    # Seen once in six full runs: torchrun failed beside other process groups. Twice is a fault.
    for _ in range(2):
        done = subprocess.run(
            [*torchrun, str(SCRIPTS / "train_vae.py"), "-g", "2", "--num-workers", "0", "--overwrite"],
            cwd=tmp_path,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs" / "vae" / "run.json").read_text())
    assert (record["status"], record["processes"]) == ("finished", 2)
    assert done.stderr.count("'wandb'") <= 2

    best = tmp_path / "runs" / "vae" / "checkpoints" / "best.pt"
    run("inference_vae.py", "--checkpoint", str(best), "--input-dir", "data/edente", "--num-samples", "2")
    assert len(list((tmp_path / "inference_vae_best" / "prediction").glob("*.tif"))) == 2
    assert torch.load(best, weights_only=True)["task"] == "vae"
