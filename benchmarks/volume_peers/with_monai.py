"""MONAI: a dictionary of an image and five label maps in memory, turned about three axes."""

from __future__ import annotations

from math import radians
from pathlib import Path
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from monai.transforms import RandAffined

TURN = radians(30)


def reader(case: str, data: Path) -> Any:  # noqa: ARG001 - arrays come from memory: no chunk is read
    torch.set_num_threads(1)
    return _blending() if case == "writing" else _turning()


def _blending() -> Any:
    coarse = torch.rand(1, 5, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    made = torch.nn.functional.interpolate(coarse, size=(128,) * 3, mode="trilinear")
    inferer = SlidingWindowInferer((128,) * 3, sw_batch_size=1, overlap=0.25, mode="gaussian")
    whole = torch.zeros(1, 1, 256, 256, 256)

    def item(_: Any) -> Any:
        return inferer(whole, lambda _: made)

    return item


def _turning() -> Any:
    size = (1, 128, 128, 128)
    arrays = {"raw": torch.randint(0, 256, size).float()}
    for k in range(5):
        arrays[f"class{k}"] = (torch.rand(size) > 0.9).float()
    modes = ["bilinear", *["nearest"] * 5]
    turn = RandAffined(
        list(arrays), prob=1, rotate_range=[(-TURN, TURN)] * 3, mode=modes, padding_mode="zeros"
    )

    def item(_: Any) -> Any:
        return turn(dict(arrays))

    return item
