"""A set of pairs, as ``--data`` of `translation.py` names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.config import TASKS
from voxloom.sources import list_images, read_image

HELD_OUT = 0.25
"""Share of the pairs that only measures."""


@dataclass(frozen=True)
class Data:
    """One set of pairs."""

    name: str
    folder: Path
    target: str
    condition: str
    low: float
    high: float
    group: str | None

    @classmethod
    def parse(cls, text: str) -> Data:
        name, _, rest = text.partition("=")
        folder, target, condition, span, group = (rest.split(":", 4) + [""] * 5)[:5]
        if not name or not folder:
            raise SystemExit(f"--data {text!r}: expected NAME=DIR[:target:condition[:LOW..HIGH[:group]]].")
        target, condition = target or "target", condition or "condition"
        low, high = map(float, span.split("..")) if span else _type_range(Path(folder) / target)
        return cls(name, Path(folder), target, condition, low, high, group or None)

    def settings(self, size: Sequence[int]) -> dict[str, Any]:
        """Return what a configuration says of the data."""
        return {
            "data_base_dir": self.folder,
            "target": self.target,
            "condition": self.condition,
            "group": self.group,
            "train_split": 1 - HELD_OUT,
            "preparation.normalization": {"name": "range", "low": self.low, "high": self.high},
            **{f"{section}.patch_size": list(size) for section in TASKS.values()},
        }


def _type_range(folder: Path) -> tuple[float, float]:
    kind = read_image(list_images(folder)[0]).dtype
    if kind.kind not in "iu":
        raise SystemExit(f"images in {folder} are {kind}: state their range, --data NAME=DIR:a:b:LOW..HIGH.")
    return float(np.iinfo(kind).min), float(np.iinfo(kind).max)
