"""Small configurations of every task, which train on `write_pairs` in a second."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxloom.config import Config, Task, load_config

__all__ = ["SMALL", "small_config", "write_recipe"]

_TRAIN = {"patch_size": [16, 16], "batch_size": 2, "max_epochs": 2, "log_every": 1, "lr": 1e-3}

SMALL: dict[str, Any] = {
    "num_workers": 0,
    "device": "cpu",
    "trackers": ["jsonl"],
    "train_split": 0.75,
    "latent_channels": 2,
    "preparation": {"normalization": {"name": "range", "low": 0, "high": 255}},
    "autoencoder_def": {
        "channels": [8, 8],
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False,
    },
    "discriminator_def": {"channels": 8, "num_layers_d": 2},
    "autoencoder_train": {**_TRAIN, "adv_from_epoch": 1},
    "diffusion_def": {
        "channels": [8, 8],
        "attention_levels": [False, False],
        "num_head_channels": 8,
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "cross_attention_dim": 8,
    },
    "diffusion_train": {**_TRAIN, "val_interval": 1, "ema_decay": 0.9, "augment_variants": 2},
    "sampling": {"steps": 2},
    "translator_def": {"channels": [8, 8], "num_res_units": 1, "norm_num_groups": 4},
    "regression_train": _TRAIN,
    "pix2pix_train": _TRAIN,
}
"""Plain values, as a file holds them; data and run folder are missing."""


def small_config(
    task: Task,
    data: str | os.PathLike[str],
    run_dir: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Return the small configuration of a task.

    Parameters
    ----------
    task
        Whose it is.
    data
        Folder that `write_pairs` filled.
    run_dir
        Folder of the run.
    overrides
        Other values by dotted key.

    Examples
    --------
    >>> config = small_config("ldm", "data", "runs/ldm", {"diffusion_train.max_epochs": 3})
    >>> config.settings("ldm").max_epochs, config.settings("ldm").patch_size
    (3, (16, 16))
    """
    places = {"data_base_dir": os.fspath(data), "run_dir": os.fspath(run_dir)}
    return load_config(task, overrides={**copy.deepcopy(SMALL), **places, **(overrides or {})})


def write_recipe(path: str | os.PathLike[str], data: str | os.PathLike[str], **values: Any) -> Path:
    """Write the small configuration as JSON, with other values at its top level, and return its path.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = write_recipe(Path(mkdtemp()) / "small.json", "data", seed=1)
    >>> json.loads(path.read_text())["seed"]
    1
    """
    path = Path(path)
    path.write_text(json.dumps({**SMALL, "data_base_dir": os.fspath(data), **values}, indent=1))
    return path
