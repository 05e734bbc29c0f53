"""In what several runs of one kind differ: configuration, data, and what they reached."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxloom.analysis.records import RunRecord
from voxloom.analysis.summary import METRICS

__all__ = [
    "SCORES",
    "Family",
    "Reached",
    "config_differences",
    "families",
    "flat",
    "has_validated",
    "higher_is_better",
    "leaked_between",
    "reached",
    "share_data",
]

SCORES = tuple(METRICS)
"""Values that mean the same whatever was trained."""

_FAMILIES = {
    "vae": "Autoencoders",
    "ldm": "Translators",
    "regression": "Translators",
    "pix2pix": "Translators",
}
_ABOUT_PLACES = ("run_dir", "resume_ckpt", "checkpoint_dir")  # where a run lies is no difference of a model
_DATA = ("data_base_dir", "val_dir")
_ABSENT = object()


@dataclass(frozen=True)
class Family:
    """Runs that can be compared, because they do the same thing.

    Attributes
    ----------
    title
        What they are.
    runs
        Name -> run, in the order that they were given in.
    """

    title: str
    runs: Mapping[str, RunRecord]

    @property
    def is_mixed(self) -> bool:
        """Whether they are of several tasks, so that their losses are not comparable."""
        return len({run.task for run in self.runs.values()}) > 1


@dataclass(frozen=True)
class Reached:
    """One value of one run: the last one, and the best where it is known which way is better."""

    last: float
    best: float
    step: int


def families(runs: Mapping[str, RunRecord]) -> list[Family]:
    """Return the groups of two or more runs that can be compared."""
    grouped: dict[str, dict[str, RunRecord]] = {}
    for name, run in runs.items():
        title = _FAMILIES.get(run.task, f"Runs of {run.task}")
        grouped.setdefault(title, {})[name] = run
    return [Family(title, members) for title, members in grouped.items() if len(members) > 1]


def config_differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the keys whose values differ, with the value of each configuration.

    Keys of nested tables are joined by points. A key that a configuration does not have counts as a
    difference, with None as its value. Where a run lies is left out.

    Examples
    --------
    >>> config_differences([{"seed": 1, "train": {"lr": 0.1}}, {"seed": 1, "train": {"lr": 0.2}}])
    {'train.lr': [0.1, 0.2]}
    """
    tables = [flat(config) for config in configs]
    keys = dict.fromkeys(key for table in tables for key in table if key not in _ABOUT_PLACES)
    rows = {key: [table.get(key, _ABSENT) for table in tables] for key in keys}
    return {
        key: [None if value is _ABSENT else value for value in values]
        for key, values in rows.items()
        if any(value != values[0] for value in values[1:])
    }


def flat(config: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Return a nested table as one of dotted keys.

    Examples
    --------
    >>> flat({"a": {"b": 1, "c": {"d": [2]}}, "e": {}})
    {'a.b': 1, 'a.c.d': [2], 'e': {}}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = (
            flat(value, f"{place}{key}.")
            if isinstance(value, Mapping) and value
            else {f"{place}{key}": value}
        )
        found.update(inner)
    return found


def has_validated(run: RunRecord) -> bool:
    """Return whether a run has reported a validation."""
    return any(row.get("split") == "validation" for row in run.rows)


def reached(run: RunRecord, split: str = "validation") -> dict[str, Reached]:
    """Return the last and the best of each value that a run reported in training or in validation.

    What is known to be better when it is large (PSNR, Dice) is told apart from losses; other values
    have no best one, which is NaN.
    """
    rows = [row for row in run.rows if row.get("split", "train") == split]
    names = dict.fromkeys(
        name for row in rows for name in row if name not in ("step", "epoch", "split", "time")
    )
    found = {name: _reached(name, rows) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def higher_is_better(name: str) -> bool | None:
    """Return which way a reported value is better, or None where that is not known."""
    if name in METRICS:
        return METRICS[name].higher_is_better
    return False if name == "loss" else None


def leaked_between(first: RunRecord, second: RunRecord) -> int:
    """Return how many keys one of two runs trains on and the other validates.

    They are the same samples where the runs share their data: see `share_data`.
    """
    (train_a, held_a), (train_b, held_b) = (
        [set(run.split.get(part, ())) for part in ("train", "validation")] for run in (first, second)
    )
    return len(train_a & held_b) + len(train_b & held_a)


def share_data(first: RunRecord, second: RunRecord) -> bool:
    """Return whether two runs name the same data, so that keys that are alike are the same samples.

    Two that do not say where their data lie count as sharing them.
    """
    places = [
        [os.path.normpath(str(run.config.get(name) or ".")) for name in _DATA] for run in (first, second)
    ]
    return places[0] == places[1]


def _reached(name: str, rows: Iterable[Mapping[str, Any]]) -> Reached | None:
    values = [(float(row[name]), row.get("step")) for row in rows if _is_number(row.get(name))]
    if not values:
        return None
    direction = higher_is_better(name)
    if direction is None:
        return Reached(values[-1][0], math.nan, 0)
    best, step = (max if direction else min)(values, key=lambda pair: pair[0])
    return Reached(values[-1][0], best, step if isinstance(step, int) else 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
