"""Trackers watch a run: they are told what happened and own none of it."""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from tqdm import tqdm

from voxloom.atomic import replacing
from voxloom.errors import MissingExtraError
from voxloom.registry import Registry

__all__ = [
    "TRACKERS",
    "JsonlTracker",
    "LogTracker",
    "PreviewTracker",
    "ProgressTracker",
    "TensorBoardTracker",
    "Tracker",
]

logger = logging.getLogger(__name__)

Row = dict[str, Any]

_SCORES = ("psnr", "dice")
"""Of a validation's values, those that tell at a glance how well a run does."""


class Tracker(Protocol):
    """Told of every report and every preview.

    A report is a row with ``step``, ``epoch``, ``split`` (train or validation), ``time`` in
    seconds since the run began, and one float a metric.
    """

    def log(self, row: Row) -> None:
        """Take a report."""

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """Take a picture of uint8 RGB, with the row that says when it was made."""

    def close(self) -> None:
        """Finish writing."""


class JsonlTracker:
    """Appends each report to ``metrics.jsonl``; on a resume, rows past the checkpoint are dropped.

    Parameters
    ----------
    folder
        The run's folder.
    step
        Step that the run goes on from.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "metrics.jsonl"
        kept = [row for row in read_rows(path) if row["step"] <= step and step > 0]
        with replacing(path) as file:
            file.write("".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = path.open("a", encoding="utf-8")

    def log(self, row: Row) -> None:
        """Append a line."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """Pictures are not rows."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PreviewTracker:
    """Writes each picture to ``previews/epoch_0012_<name>.png``."""

    def __init__(self, folder: Path, step: int) -> None:  # noqa: ARG002 - the trackers' one signature
        self._folder = folder / "previews"

    def log(self, row: Row) -> None:
        """Reports are not pictures."""

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """Write a PNG."""
        self._folder.mkdir(exist_ok=True)
        Image.fromarray(image_HW3).save(self._folder / f"epoch_{row['epoch']:04d}_{name}.png")

    def close(self) -> None:
        """Nothing is open."""


class TensorBoardTracker:
    """Writes scalars and pictures for TensorBoard below ``tensorboard/``.

    Raises
    ------
    MissingExtraError
        When the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "TensorBoard is not installed: pip install 'voxloom[tensorboard]', "
                "or leave it out of the configuration's trackers."
            ) from error
        # Events past the step that a run resumes from are hidden by TensorBoard itself.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def log(self, row: Row) -> None:
        """Write each metric as ``split/name``."""
        for name, value in row.items():
            if name not in ("step", "epoch", "split", "time"):
                self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """Write the picture as it is."""
        self._writer.add_image(name, image_HW3, row["step"], dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class ProgressTracker:
    """A bar in the terminal with the loss, images a second and the time left."""

    def __init__(self, total_steps: int, step: int) -> None:
        self._bar = tqdm(total=total_steps, initial=step, unit="step", dynamic_ncols=True, mininterval=0.5)
        self._shown: dict[str, str] = {}

    def log(self, row: Row) -> None:
        """Move the bar to the row's step."""
        if row["split"] == "train":
            self._bar.update(row["step"] - self._bar.n)
            if "loss" in row:  # patches of which nothing is known have none
                self._shown["loss"] = f"{row['loss']:.4f}"
            self._shown["samples/s"] = f"{row.get('images_per_second', 0):.1f}"
        else:
            self._shown["val"] = f"{row['loss']:.4f}"
            self._shown |= {name: f"{row[name]:#.4g}" for name in _SCORES if name in row}
        self._bar.set_description(f"epoch {row['epoch']}", refresh=False)
        self._bar.set_postfix(self._shown)

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """A terminal shows no pictures."""

    def close(self) -> None:
        """Leave the finished bar."""
        self._bar.close()


class LogTracker:
    """A line in the log at each validation, where there is no terminal to draw a bar in."""

    def __init__(self, total_steps: int, step: int) -> None:
        self._total, self._first, self._began = total_steps, step, time.monotonic()
        self._train: Row = {}

    def log(self, row: Row) -> None:
        """Say how far the run is and how well it does."""
        if row["split"] == "train":
            self._train = row
            return
        done = row["step"] - self._first
        left = (time.monotonic() - self._began) * (self._total - row["step"]) / max(1, done)
        scores = {name: row.get(name) for name in _SCORES}
        values = {"loss": self._train.get("loss"), "validation": row["loss"], **scores}
        said = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)
        rate = self._train.get("images_per_second", 0.0)
        logger.info(
            "epoch %d, step %d of %d: %s; %.1f samples/s, %s left",
            *(row["epoch"], row["step"], self._total, said, rate, timedelta(seconds=round(left))),
        )

    def image(self, name: str, row: Row, image_HW3: np.ndarray[Any, Any]) -> None:
        """A log shows no pictures."""

    def close(self) -> None:
        """Nothing is open."""


TRACKERS = Registry(
    "tracker",
    {
        "jsonl": "voxloom.training.tracking:JsonlTracker",
        "previews": "voxloom.training.tracking:PreviewTracker",
        "tensorboard": "voxloom.training.tracking:TensorBoardTracker",
    },
)
"""Name -> class with the signature ``(run folder, step)``."""


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a metrics file; a last line that a crash cut short is left out."""
    if not path.is_file():
        return []
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
