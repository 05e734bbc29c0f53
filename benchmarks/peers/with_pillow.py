"""A folder of files in class folders, Pillow, and torch's DataLoader: the loop that needs no conversion.

JPEG files as they are; pixels as PNG files.
"""
# ruff: noqa: ARG001 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case
from PIL import Image
from torch.utils.data import DataLoader, Dataset


def write(case: Case, folder: Path, variant: str) -> None:
    for index in range(case.samples):
        path = folder / f"{index % 10:03d}" / f"{index:08d}.{'jpg' if case.is_jpeg else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if case.is_jpeg:
            path.write_bytes(case.stored(index))
        else:
            Image.fromarray(np.ascontiguousarray(case.stored(index))).save(path, compress_level=1)


class Files(Dataset[Any]):
    def __init__(self, folder: Path, dtype: str) -> None:
        self.paths = [str(path) for path in sorted(folder.rglob("*.*g"))]
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        path = self.paths[index]
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB") if self.dtype == "uint8" else image)
        return int(path[-12:-4]), torch.from_numpy(pixels.astype(self.dtype))


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    return lambda seed: DataLoader(
        Files(folder, case.dtype),
        batch_size=case.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )
