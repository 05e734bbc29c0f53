"""litdata: an optimized dataset in a local folder, read by its StreamingDataLoader.

``own`` stores tensors; ``bytes`` stores bytes, which we copy, or decode by simplejpeg, into place: its own
decoder of JPEG is torchvision's. Shuffled by chunks. Left alone it decodes the neighbours of each sample
with it, which a shuffle throws away: hence ``batch_decode=0``.
"""
# ruff: noqa: ARG001, ARG005 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from case import Case
from litdata import StreamingDataLoader, StreamingDataset
from litdata.streaming import Cache


def write(case: Case, folder: Path, variant: str) -> None:
    is_bytes = case.is_jpeg or variant == "bytes"
    cache = Cache(str(folder), chunk_bytes="64MB")
    for index in range(case.samples):
        image = case.stored(index)
        cache[index] = {
            "image": image.tobytes() if is_bytes else torch.from_numpy(image.copy()),
            "id": index,
        }
    cache.done()
    cache.merge()


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    def together(samples: list[dict[str, Any]]) -> tuple[Any, Any]:
        ids = [sample["id"] for sample in samples]
        images = [sample["image"] for sample in samples]
        return ids, torch.stack(images) if torch.is_tensor(images[0]) else case.batch_of(images)

    settings = {"batch_decode": 0, "item_shuffle_window": "full"}
    dataset = StreamingDataset(str(folder), shuffle=True, drop_last=False, **settings)
    loader = StreamingDataLoader(dataset, batch_size=case.batch_size, collate_fn=together)
    return lambda seed: loader  # each epoch has an order of its own
