"""TorchIO: a subject of an image and five label maps in memory, turned about three axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchio as tio

TURN = 30


def reader(case: str, data: Path) -> Any:  # noqa: ARG001 - arrays come from memory: no chunk is read
    torch.set_num_threads(1)
    size = (1, 128, 128, 128)
    images = {"raw": tio.ScalarImage(tensor=torch.randint(0, 256, size, dtype=torch.uint8))}
    for k in range(5):
        images[f"class{k}"] = tio.LabelMap(tensor=(torch.rand(size) > 0.9).to(torch.uint8))
    subject = tio.Subject(images)
    turn = tio.RandomAffine(scales=(1, 1), degrees=(-TURN, TURN) * 3)

    def item(_: Any) -> Any:
        turned = turn(subject)
        return {name: turned[name].data for name in images}

    return item
