"""A VAE and pairs on volumes so small that they train in a second."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.testing.volumes import VolumeForm, write_volume

__all__ = ["write_raw", "write_volume_recipe"]

SMALL: dict[str, Any] = {
    "num_workers": 0,
    "device": "cpu",
    "trackers": ["jsonl"],
    "latent_channels": 2,
    "volume_data": {"length": 4, "validation_patches": 2},
    "autoencoder_def": {
        **{"channels": [4, 4], "num_res_blocks": 1, "norm_num_groups": 2},
        **{"with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False},
    },
    "discriminator_def": {"channels": 4, "num_layers_d": 1},
    "diffusion_def": {
        **{"channels": [4, 4], "attention_levels": [False, False], "num_head_channels": 4},
        **{"num_res_blocks": 1, "norm_num_groups": 2},
    },
    "translator_def": {"channels": [4, 4], "num_res_units": 1, "norm_num_groups": 2},
    "sampling": {"steps": 2},
}
"""Plain values, as a file holds them; the volume and the run's folder are missing."""

TRAIN = {"patch_size": [12, 16], "batch_size": 2, "max_epochs": 2, "log_every": 1, "lr": 1e-3}


def write_raw(path: str | os.PathLike[str], *, dtype: str = "uint8", levels: int = 1) -> Path:
    """Write a small volume without symmetry, of voxels of 16 x 8 x 8 nm, and return its path.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> write_raw(Path(mkdtemp()) / "raw.zarr").name
    'raw.zarr'
    """
    top = np.iinfo(dtype).max
    slope = sum((axis + 1) * index for axis, index in enumerate(np.indices((14, 20, 28))))
    values = (slope * 2 + np.random.default_rng(0).integers(0, 40, slope.shape)) / 300 * top
    return write_volume(
        path, values.astype(dtype), spacing=(16, 8, 8), origin=(100, 0, 50), form=VolumeForm(levels=levels)
    )


def write_volume_recipe(path: str | os.PathLike[str], base: str | os.PathLike[str], **values: Any) -> Path:
    """Write the small configuration on what lies at `base`, with other values, and return its path.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = write_volume_recipe(Path(mkdtemp()) / "small.json", "raw.zarr", spatial_dims=3)
    >>> json.loads(path.read_text())["autoencoder_train"]["patch_size"]
    [12, 12, 12]
    """
    path = Path(path)
    size = {"patch_size": [12, 12, 12]} if values.get("spatial_dims") == 3 else {}
    sections = ("autoencoder_train", "diffusion_train", "regression_train", "pix2pix_train")
    made: dict[str, Any] = {**SMALL, **{name: dict(TRAIN) for name in sections}}
    made["autoencoder_train"] |= {"adv_from_epoch": 1, **size}
    for name, value in values.items():
        made[name] = {**made[name], **value} if isinstance(made.get(name), dict) else value
    path.write_text(json.dumps({**made, "data_base_dir": os.fspath(base)}, indent=1))
    return path
