"""The parts of a run's own split, opened again to be looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voxloom.config import Config
from voxloom.errors import ConfigError, DataError
from voxloom.jobs.data import OF_TASK
from voxloom.jobs.inspection_parts import Part
from voxloom.jobs.volume_rows import names_volumes
from voxloom.sources import Parts, Split

__all__ = ["parts_of_run"]


def parts_of_run(path: Path) -> dict[str, Part]:
    """Open what a run trains and validates on, as its own split has it.

    Raises
    ------
    ConfigError
        If it was made of what is no list of images: patches of volumes.
    DataError
        If the run or its data cannot be read.
    """
    try:
        told = json.loads((path / "run.json").read_text(encoding="utf-8"))
        config = Config.model_validate(json.loads((path / "config.json").read_text(encoding="utf-8")))
        task = told["task"]
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise DataError(f"{path}: a run that cannot be read ({error}). Name its data instead.") from error
    kind: Any = "images" if OF_TASK.get(task) == "images" else "pairs"
    if task == "segmentation" or names_volumes(config):
        raise ConfigError(
            f"{path}: a run on volumes, which has no list of images. Name the volumes or the split's CSV."
        )
    split = Split.load(path / "split.json")
    try:
        parts = Parts(config.layout, kind, config.seed, split=split)
        return {"train": Part(parts.train), "validation": Part(parts.validation)}
    except DataError as error:
        raise DataError(
            f"{path}: the data of this run are not where they were ({error}) Give the command in the folder "
            "where the run was trained, or name its data."
        ) from error
