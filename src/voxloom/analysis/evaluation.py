"""What an evaluation found, and how it is written."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom import __version__
from voxloom.analysis.foreground import MaskRule
from voxloom.analysis.summary import METRICS, Bootstrap, summarize
from voxloom.atomic import replacing, write_json
from voxloom.errors import OutputExistsError

__all__ = ["MODEL", "Evaluation", "Failure", "Row", "check_output"]

MODEL = "prediction"
"""The method that is judged; all others are baselines."""

Values = npt.NDArray[np.float64]

_FILES = ("summary.json", "per_image.csv")


@dataclass(frozen=True)
class Row:
    """What was measured of one image: a value for each of `METRICS`, NaN where there is none."""

    method: str
    name: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """An image that could not be measured, and why."""

    method: str
    name: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Predictions, and baselines where there are any, measured against targets.

    Attributes
    ----------
    folders
        Folder of each method and of the target.
    data_range
        Largest minus smallest possible value, the same for every image.
    data_range_origin
        How it was found, in words.
    mask
        What foreground means.
    rows
        One a method and image.
    failures
        What could not be measured.
    unmatched
        For each folder the names without a partner.
    """

    folders: Mapping[str, str]
    data_range: float
    data_range_origin: str
    mask: MaskRule
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    unmatched: Mapping[str, tuple[str, ...]]

    @property
    def methods(self) -> list[str]:
        """The names of what was measured: ``prediction`` first, then the baselines."""
        return [method for method in self.folders if method != "target"]

    def values(self, metric: str, method: str = MODEL) -> Values:
        """Return one metric of one method, (N,) in the order of the names."""
        return np.array([row.values[metric] for row in self.rows if row.method == method], dtype=np.float64)

    def summary(self, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
        """Return all that is known as plain values, with means and confidence intervals."""
        bootstrap = bootstrap or Bootstrap()
        return {
            "kind": "voxloom-evaluation",
            "format_version": 1,
            "voxloom": __version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "folders": dict(self.folders),
            "data_range": self.data_range,
            "data_range_origin": self.data_range_origin,
            "mask": self.mask.describe(self.data_range),
            "bootstrap": bootstrap.model_dump(mode="json"),
            "measured": {method: len(self.values("psnr", method)) for method in self.methods},
            "methods": {method: self._summary_of(method, bootstrap) for method in self.methods},
            "failed": len(self.failures),
            "failures": [asdict(failure) for failure in self.failures],
            "unmatched": {role: list(names) for role, names in self.unmatched.items()},
        }

    def save(
        self, output: str | Path, *, bootstrap: Bootstrap | None = None, overwrite: bool = False
    ) -> dict[str, Any]:
        """Write ``summary.json`` and ``per_image.csv`` into a folder and return the summary.

        In the JSON a value that is not a number is null, an infinite one the string ``"inf"``.

        Raises
        ------
        OutputExistsError
            When the folder exists and `overwrite` is False, or lies in a folder of the data.
        """
        output = check_output(output, self.folders.values(), overwrite=overwrite)
        summary = self.summary(bootstrap)
        with replacing(output / "per_image.csv") as file:
            file.write(self._csv().encode())
        write_json(output / "summary.json", _plain(summary))
        return summary

    def _summary_of(self, method: str, bootstrap: Bootstrap) -> dict[str, Any]:
        names = [row.name for row in self.rows if row.method == method]
        return {metric: summarize(self.values(metric, method), names, bootstrap) for metric in METRICS}

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["method", "name", *METRICS, "failure"])
        for row in self.rows:
            writer.writerow([row.method, row.name, *(row.values[metric] for metric in METRICS), ""])
        for failure in self.failures:
            writer.writerow([failure.method, failure.name, *[""] * len(METRICS), failure.reason])
        return text.getvalue()


def check_output(output: str | Path, data_folders: Iterable[str | Path], *, overwrite: bool) -> Path:
    """Return the output folder as a path, or refuse it before any work is done.

    Raises
    ------
    OutputExistsError
        When it lies in one of the data folders, or holds something and `overwrite` is False.

    Examples
    --------
    >>> check_output("data/targets/evaluation", ["data/targets"], overwrite=True)
    Traceback (most recent call last):
    voxloom.errors.OutputExistsError: output folder data/targets/evaluation lies in the data folder
    data/targets, into which nothing is written. Name another output folder.
    """
    output = Path(output)
    for folder in data_folders:
        if output.resolve().is_relative_to(Path(folder).resolve()):
            raise OutputExistsError(
                f"output folder {output} lies in the data folder {folder}, into which nothing is written. "
                "Name another output folder."
            )
    if not overwrite and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputExistsError(
            f"output folder {output} exists already. Replace its {' and '.join(_FILES)} with --overwrite, "
            "or name another output folder."
        )
    return output


def _plain(value: Any) -> Any:
    """Return the value with what JSON cannot hold replaced: NaN by null, infinity by a string."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
