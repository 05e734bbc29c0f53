"""What lies on disk of runs, predictions and evaluations, read with patience.

A report is written of unfinished and interrupted work too: what is missing or cut short becomes a
remark, not an error. Only a folder that is not there at all, or is something else, is refused.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxloom.analysis.listing import images_by_name
from voxloom.analysis.summary import METRICS
from voxloom.errors import MissingDataError
from voxloom.registry import did_you_mean

__all__ = ["EvaluationRecord", "PredictionRecord", "RunRecord"]

_GIVEN = ("condition", "original")  # what a prediction was made from
_LISTED = 6  # runs in a folder that is none
_ROLES = (*_GIVEN, "target", "prediction", "deviation")


@dataclass(frozen=True)
class RunRecord:
    """One training run.

    Attributes
    ----------
    folder
        Where it lies.
    facts, config
        Content of ``run.json`` and ``config.json``; empty where they are missing.
    rows
        The reports of ``metrics.jsonl`` that can be read.
    remarks
        What is missing, in sentences.
    split
        Keys of the samples of each part, from ``split.json``; empty where it is missing, or says it in
        another way, as that of volumes does.
    skipped
        Number of samples that were left out.
    """

    folder: Path
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    remarks: tuple[str, ...]
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: int = 0

    @classmethod
    def read(cls, folder: str | Path) -> RunRecord:
        """Read a run folder.

        Raises
        ------
        MissingDataError
            When the folder holds none of a run's files.
        """
        folder = Path(folder)
        names = ("run.json", "config.json", "metrics.jsonl")
        if not any((folder / name).is_file() for name in names):
            raise MissingDataError(_no_run(folder, names))
        remarks: list[str] = []
        facts, config = (_json(folder / name, remarks) for name in names[:2])
        rows = _rows(folder / names[2], remarks)
        if rows and not any(row.get("split") == "validation" for row in rows):
            remarks.append("The run has not validated yet.")
        split = _keys(_json(folder / "split.json", []))
        return cls(
            folder, facts, config, rows, tuple(remarks), split, len(_json(folder / "skipped.json", []))
        )

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.folder.resolve().name

    @property
    def status(self) -> str:
        """What the run says of itself: finished, interrupted, failed, running, or unknown."""
        return str(self.facts.get("status", "unknown"))

    @property
    def task(self) -> str:
        """What was trained, for instance ``ldm``."""
        return str(self.facts.get("task", "unknown task"))

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to predict with: the best one, else the last; None where there is none."""
        paths = (self.folder / "checkpoints" / f"{name}.pt" for name in ("best", "last", "final"))
        return next((path for path in paths if path.is_file()), None)


def _no_run(folder: Path, names: Sequence[str]) -> str:
    """Say what is there in the place of a run."""
    if not folder.is_dir():
        near = did_you_mean(folder.name, [each.name for each in _folders(folder.parent)])
        return f"no such run: {folder}.{near} Name the run_dir of a training."
    said = f"{folder} is not a run: expected a folder with {', '.join(names)}. "
    below = [each for each in _folders(folder) if any((each / name).is_file() for name in names)]
    if not below:
        return f"{said}Name the run_dir of a training."
    return f"{said}There are runs in it: {' '.join(map(str, below[:_LISTED]))}"


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


@dataclass(frozen=True)
class PredictionRecord:
    """A folder of predictions.

    Attributes
    ----------
    folder
        Where it lies.
    facts
        Content of ``predict.json``; empty where it is missing.
    images
        Role -> name -> file, for the roles condition, original, target, prediction, deviation.
    remarks
        What is missing, in sentences.
    """

    folder: Path
    facts: Mapping[str, Any]
    images: Mapping[str, Mapping[str, Path]]
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, folder: str | Path) -> PredictionRecord:
        """Read the layout that ``voxloom predict`` writes.

        Raises
        ------
        MissingDataError
            When there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise MissingDataError(
                f"no such folder of predictions: {folder}. Name the output of voxloom predict."
            )
        remarks: list[str] = []
        facts = _json(folder / "predict.json", remarks)
        images = {role: _images(folder / role) for role in _ROLES if (folder / role).is_dir()}
        if not images.get("prediction"):
            remarks.append(f"There are no predictions in {folder / 'prediction'}.")
        return cls(folder, facts, images, tuple(remarks))

    @property
    def names(self) -> list[str]:
        """The names of the predictions."""
        return list(self.images.get("prediction", {}))

    @property
    def truth(self) -> Mapping[str, Path]:
        """What predictions are compared with: targets, or the originals of a reconstruction."""
        return self.images.get("target") or self.images.get("original") or {}

    def row(self, name: str) -> list[tuple[str, Path]]:
        """Return role and file of what is shown side by side: condition, target, prediction."""
        return [(r, self.images[r][name]) for r in _ROLES[:4] if name in self.images.get(r, {})]


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation that was saved.

    Attributes
    ----------
    folder
        Where it lies.
    summary
        Content of ``summary.json``.
    images
        For each predicted image its name and values, from ``per_image.csv``.
    remarks
        What is missing, in sentences.
    """

    folder: Path
    summary: Mapping[str, Any]
    images: Mapping[str, Mapping[str, float]]
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, folder: str | Path) -> EvaluationRecord:
        """Read what ``voxloom evaluate`` wrote.

        Raises
        ------
        MissingDataError
            When there is no ``summary.json``.
        """
        folder = Path(folder)
        if not (folder / "summary.json").is_file():
            raise MissingDataError(
                f"{folder} is not an evaluation: it has no summary.json. Name the output of voxloom evaluate."
            )
        remarks: list[str] = []
        summary = _json(folder / "summary.json", remarks)
        return cls(folder, summary, _values(folder / "per_image.csv", remarks), tuple(remarks))

    @property
    def measured(self) -> Path | None:
        """The folder of predictions that was measured, as the evaluation names it."""
        folders = self.summary.get("folders")
        named = folders.get("prediction") if isinstance(folders, dict) else None
        return Path(named) if isinstance(named, str) else None


def _images(folder: Path) -> dict[str, Path]:
    try:
        return images_by_name(folder)
    except MissingDataError:
        return {}


def _json(path: Path, remarks: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remarks.append(f"There is no {path.name}.")
        return {}
    except ValueError:
        remarks.append(f"{path.name} cannot be read as JSON.")
        return {}
    except OSError as error:
        remarks.append(f"{path.name} cannot be read: {error.strerror}.")
        return {}
    if not isinstance(value, dict):
        remarks.append(f"{path.name} holds no entries, as if it were another file.")
        return {}
    return value


def _keys(split: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    parts = {name: split.get(name) for name in ("train", "validation", "test")}
    return {name: tuple(map(str, keys)) for name, keys in parts.items() if isinstance(keys, list)}


def _rows(path: Path, remarks: list[str]) -> tuple[dict[str, Any], ...]:
    if not path.is_file():
        remarks.append(f"There is no {path.name}: the run has reported nothing yet.")
        return ()
    rows, broken = [], 0
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        remarks.append(f"{path.name} cannot be read: {error.strerror}.")
        return ()
    for line in filter(str.strip, lines):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken += 1
    if broken:
        remarks.append(f"Lines of {path.name} that were cut short and are left out: {broken}.")
    return tuple(rows)


def _values(path: Path, remarks: list[str]) -> dict[str, dict[str, float]]:
    if not path.is_file():
        remarks.append(f"There is no {path.name}: the images are shown in the order of their names.")
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row.get("method") == "prediction" and row.get("name") and not row.get("failure")
        ]
    return {row["name"]: _numbers(row) for row in rows}


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    """Return the metrics of a line; what is no number, as in a line that was cut short, is left out."""
    numbers = {}
    for name in METRICS:
        with suppress(TypeError, ValueError, KeyError):
            numbers[name] = float(row[name])
    return numbers
