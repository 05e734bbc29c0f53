"""A segmentation so small that it trains in a second: volumes, their split, and a configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.config import Config, load_config
from voxloom.testing.volumes import write_classes, write_volume

__all__ = ["small_segmentation", "write_segmentation", "write_split"]

SMALL: dict[str, Any] = {
    "num_workers": 0,
    "device": "cpu",
    "trackers": ["jsonl"],
    "segmentation_data": {
        "inputs": {"raw": {"shape": [8, 8, 8], "spacing": [8, 8, 8]}},
        "classes": ["mito", "er"],
        "drawing": {"length": 8},
        "validation_patches": 4,
    },
    "segmenter_def": {"channels": [4, 8], "num_res_units": 1},
    "segmentation_train": {"batch_size": 2, "max_epochs": 2, "log_every": 1, "lr": 1e-2},
}
"""Plain values, as a file holds them; the split and the run folder are missing."""


def write_split(folder: str | os.PathLike[str], *, shape: tuple[int, int, int] = (16, 20, 24)) -> Path:
    """Write three volumes with labels and a split of them, two to learn from; return the CSV's path.

    What is bright is ``mito`` and what is dark ``er``. The second volume has no annotation of ``er``.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> write_split(mkdtemp()).read_text().splitlines()[2]
    'train,2/em.zarr,"2/gt.zarr/[mito]"'
    """
    folder, lines = Path(folder), ["split,raw,gt"]
    for number, part in ((1, "train"), (2, "train"), (3, "validate")):
        raw = np.random.default_rng(number).integers(0, 255, shape).astype(np.uint8)
        masks = {"mito": (raw > 150).astype(np.uint8), "er": (raw < 60).astype(np.uint8)}
        if number == 2:
            del masks["er"]
        write_volume(folder / f"{number}/em.zarr", raw)
        write_classes(folder / f"{number}/gt.zarr", masks)
        lines.append(f'{part},{number}/em.zarr,"{number}/gt.zarr/[{",".join(masks)}]"')
    path = folder / "split.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def small_segmentation(
    split: str | os.PathLike[str],
    run_dir: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Return the small configuration.

    Parameters
    ----------
    split
        What `write_split` returned.
    run_dir
        Folder of the run.
    overrides
        Other values by dotted key.

    Examples
    --------
    >>> small_segmentation("split.csv", "run", {"seed": 1}).segmenter(channels=1).out_channels
    2
    """
    places = {"segmentation_data.split": os.fspath(split), "run_dir": os.fspath(run_dir)}
    return load_config("segmentation", overrides={**SMALL, **places, **(overrides or {})})


def write_segmentation(path: str | os.PathLike[str], split: str | os.PathLike[str], **values: Any) -> Path:
    """Write the small configuration as JSON, with other values at its top level, and return its path.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = write_segmentation(Path(mkdtemp()) / "small.json", "split.csv", seed=1)
    >>> json.loads(path.read_text())["segmentation_data"]["split"]
    'split.csv'
    """
    path = Path(path)
    data = {**SMALL["segmentation_data"], "split": os.fspath(split)}
    path.write_text(json.dumps({**SMALL, "segmentation_data": data, **values}, indent=1))
    return path
