"""A run is a folder: the resolved configuration, the split, metrics, previews and checkpoints.

::

    <run>/run.json          what it is, how it stands, with which versions
    <run>/config.json       the resolved configuration
    <run>/split.json        which samples train and which validate
    <run>/metrics.jsonl     one row a report
    <run>/checkpoints/      last.pt, best.pt, final.pt, epoch_0012.pt ...
    <run>/previews/         pictures, by epoch
    <run>/tensorboard/      the same for TensorBoard
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from voxloom.atomic import replacing, write_json
from voxloom.errors import CheckpointError, MissingDataError, OutputExistsError, SaveError
from voxloom.models.checkpoint import CHECKPOINT_KIND

__all__ = ["Run", "versions"]

FORMAT_VERSION = 1

WRITTEN = (
    "run.json",
    "config.json",
    "split.json",
    "skipped.json",
    "metrics.jsonl",
    "checkpoints",
    "previews",
    "tensorboard",
)
"""All that a run writes into its folder."""


class Run:
    """One training run on disk.

    Parameters
    ----------
    folder
        The run's folder. Nothing is created before `create`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"

    @property
    def exists(self) -> bool:
        """Whether the folder holds anything."""
        return self.folder.is_dir() and any(self.folder.iterdir())

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return (self.checkpoints / "last.pt").is_file()

    @property
    def _has_begun(self) -> bool:
        """Whether anything came of it: what ended before its first report may be tried anew."""
        rows = self.folder / "metrics.jsonl"
        has_rows = rows.is_file() and rows.stat().st_size > 0
        has_ended = self.read("run.json").get("status") in ("failed", "interrupted")
        return not has_ended or has_rows or any(self.checkpoints.glob("*.pt"))

    def check_free(self, *, overwrite: bool = False) -> None:
        """Check that a new run may begin here, before any work is done.

        Raises
        ------
        OutputExistsError
            When the folder holds something and `overwrite` is False, or holds something that is no
            run, which is never touched.
        """
        if not self.exists:
            return
        is_run = (self.folder / "run.json").is_file()
        if overwrite and not is_run:
            raise OutputExistsError(
                f"{self.folder} holds files that are not a run (no run.json), so it is not replaced. "
                "Name another run_dir, or empty the folder yourself."
            )
        if not overwrite and (not is_run or self._has_begun):
            raise OutputExistsError(
                f"run folder {self.folder} exists already. "
                "Go on with it (--resume), replace it (--overwrite), or name another run_dir."
            )

    def create(self, task: str, config: dict[str, Any], *, overwrite: bool = False) -> None:
        """Make the folder and write what the run is; of an older run, only what a run writes is removed.

        Raises
        ------
        OutputExistsError
            As `check_free` does.
        SaveError
            When the folder cannot be made.
        """
        self.check_free(overwrite=overwrite)
        if self.exists:
            for name in WRITTEN:
                _remove(self.folder / name)
        try:
            self.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise SaveError(
                f"could not make the run folder {self.folder}: {error.strerror}. Name another run_dir."
            ) from error
        self.update(kind="voxloom-run", format_version=FORMAT_VERSION, task=task, started=_now(), seconds=0.0)
        write_json(self.folder / "config.json", config)

    def read(self, name: str) -> Any:
        """Return the content of one of the run's JSON files.

        Raises
        ------
        MissingDataError
            When the folder is no run, or the file is not there.
        """
        path = self.folder / name
        if not path.is_file():
            raise MissingDataError(f"{path} does not exist: expected a run folder that holds {name}.")
        return json.loads(path.read_text(encoding="utf-8"))

    def update(self, **facts: Any) -> None:
        """Change entries of ``run.json``."""
        path = self.folder / "run.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write_json(path, {**before, **facts, "versions": versions()})

    def save(self, name: str, state: dict[str, Any]) -> Path:
        """Write a checkpoint atomically; on a full disk the older one of that name survives."""
        path = self.checkpoints / f"{name}.pt"
        # Through memory, since torch hides a full disk in an error of its own.
        content = BytesIO()
        torch.save({"kind": CHECKPOINT_KIND, "format_version": FORMAT_VERSION, **state}, content)
        with replacing(path) as file:
            file.write(content.getbuffer())
        return path

    def link(self, name: str, path: Path) -> None:
        """Give a saved checkpoint a second name, without writing it again where links work."""
        temporary = self.checkpoints / f".{name}.link"
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, temporary)
        temporary.replace(self.checkpoints / f"{name}.pt")

    def retain(self, number: int) -> None:
        """Delete all but the newest `number` of the checkpoints that carry an epoch."""
        epochs = sorted(self.checkpoints.glob("epoch_*.pt"))
        for path in epochs[: max(0, len(epochs) - number)]:
            path.unlink()

    def latest(self) -> Path:
        """Return the checkpoint to resume from.

        Raises
        ------
        CheckpointError
            When the run has none yet.
        """
        path = self.checkpoints / "last.pt"
        if not self.has_checkpoint:
            raise CheckpointError(
                f"{self.folder} has no checkpoint to resume from ({path} does not exist): it was stopped "
                "before its first one. Start it anew with --overwrite."
            )
        return path

    def tidy(self) -> None:
        """Remove what a process that was killed has left half written."""
        for path in [*self.folder.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")]:
            path.unlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("voxloom", "torch", "monai", "numpy")}
    return {"python": platform.python_version(), **packages}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
