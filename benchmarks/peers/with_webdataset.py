"""webdataset: tar files, whose order is shuffled, through a buffer of 1000 samples.

``own`` decodes JPEG by its own decoder (Pillow); ``bytes`` leaves bytes, which we copy, or decode by
simplejpeg, into place.
"""
# ruff: noqa: ARG001 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from case import Case


def write(case: Case, folder: Path, variant: str) -> None:
    folder.mkdir(parents=True)
    with wds.ShardWriter(str(folder / "%05d.tar"), maxsize=64e6, maxcount=10**9, verbose=0) as out:
        for index, image in case.records():
            out.write({"__key__": f"{index:08d}", _suffix(case): image})


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    urls = sorted(str(path) for path in folder.glob("*.tar"))

    def together(samples: list[tuple[str, Any]]) -> tuple[Any, Any]:
        keys, images = zip(*samples, strict=True)
        batch = torch.from_numpy(np.stack(images)) if variant == "own" else case.batch_of(images)
        return [int(key) for key in keys], batch

    def epoch(seed: int) -> Any:
        dataset = wds.WebDataset(urls, shardshuffle=len(urls), seed=seed).shuffle(1000)
        if variant == "own":
            dataset = dataset.decode("rgb8")
        dataset = dataset.to_tuple("__key__", _suffix(case))
        return dataset.batched(case.batch_size, partial=True, collation_fn=together)

    return epoch


def _suffix(case: Case) -> str:
    return "jpg" if case.is_jpeg else "bin"
