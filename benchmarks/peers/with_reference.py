"""The floors: one gather a batch from a mapped array, and JPEG decoded from one mapped blob into place."""
# ruff: noqa: ARG001 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case


def write(case: Case, folder: Path, variant: str) -> None:
    """Do nothing: the references read the case's own files."""


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    return {"raw": ref_raw, "jpeg": ref_jpeg}[variant](case)


def ref_raw(case: Case) -> Callable[[int], Any]:
    images, ids = case.images, case.ids

    def epoch(seed: int) -> Any:
        for index in case.batches(seed):
            yield ids[index], torch.from_numpy(images[index])

    return epoch


def ref_jpeg(case: Case) -> Callable[[int], Any]:
    import simplejpeg

    blob, offsets, ids = memoryview(case.blob), case.offsets.tolist(), case.ids

    def epoch(seed: int) -> Any:
        for index in case.batches(seed):
            batch = np.empty((len(index), *case.shape), case.dtype)
            for i, place in zip(index.tolist(), batch, strict=True):
                simplejpeg.decode_jpeg(blob[offsets[i] : offsets[i + 1]], "RGB", buffer=place)
            yield ids[index], torch.from_numpy(batch)

    return epoch
