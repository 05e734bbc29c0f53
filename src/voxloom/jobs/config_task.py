"""Which task a configuration file is of."""

from __future__ import annotations

import json
from pathlib import Path

from voxloom.config import TASKS, Task
from voxloom.config.files import read_file
from voxloom.errors import ConfigError
from voxloom.registry import did_you_mean

__all__ = ["task_of"]


def task_of(path: Path, task: str | None = None) -> Task:
    """Return the task of a configuration: the one asked for, that of the run it lies in, or of its settings.

    Parameters
    ----------
    path
        The file.
    task
        What the caller has said; None to find it.

    Raises
    ------
    ConfigError
        If the task is unknown, or the file has settings of several.
    """
    if task is not None:
        if task not in TASKS:
            raise ConfigError(f"task {task!r}. Known: {', '.join(TASKS)}.{did_you_mean(task, TASKS)}")
        return task
    values = read_file(path)
    if own := _of_run(path):
        return own
    found: list[Task] = [name for name, section in TASKS.items() if section in values or name in values]
    if values.get("segmentation_data") is not None:  # a run of another task writes it as null
        found = ["segmentation"]
    if len(found) > 1:
        raise ConfigError(
            f"{path} has settings of {', '.join(found)}, so that its task cannot be told. Say which one: "
            f"--task {found[0]}, or another."
        )
    return found[0] if found else "vae"


def _of_run(path: Path) -> Task | None:
    """Return the task of the run whose configuration this is."""
    beside = path.with_name("run.json")
    if path.name != "config.json" or not beside.is_file():
        return None
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    task = told.get("task") if isinstance(told, dict) else None
    return task if task in TASKS else None
