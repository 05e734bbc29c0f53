"""mosaicml-streaming: MDS shards in a local folder, no remote.

``own`` stores arrays of one shape, or JPEG that Pillow decodes; ``bytes`` stores bytes, which we copy, or
decode by simplejpeg, into place.
"""
# ruff: noqa: ARG005 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case
from streaming import MDSWriter, StreamingDataset
from torch.utils.data import DataLoader


def write(case: Case, folder: Path, variant: str) -> None:
    kind = "bytes"
    if variant == "own" and not case.is_jpeg:
        kind = f"ndarray:{case.dtype}:{','.join(map(str, case.shape))}"
    with MDSWriter(out=str(folder), columns={"image": kind, "id": "int"}) as out:
        for index in range(case.samples):
            image = case.stored(index)
            out.write({"image": image.tobytes() if kind == "bytes" else np.array(image), "id": index})


class Decoded(StreamingDataset):
    """Decodes JPEG as the encoding ``jpeg`` of MDS does, whose writer would encode it anew."""

    def __getitem__(self, at: Any) -> Any:
        from streaming.base.format.mds.encodings import JPEG

        sample = super().__getitem__(at)
        return sample | {"image": np.asarray(JPEG().decode(sample["image"]))}


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    def together(samples: list[dict[str, Any]]) -> tuple[Any, Any]:
        images = [sample["image"] for sample in samples]
        batch = case.batch_of(images) if variant == "bytes" else torch.from_numpy(np.stack(images))
        return [sample["id"] for sample in samples], batch

    kind = Decoded if case.is_jpeg and variant == "own" else StreamingDataset
    dataset = kind(local=str(folder), shuffle=True, batch_size=case.batch_size, num_canonical_nodes=1)
    loader = DataLoader(dataset, batch_size=case.batch_size, collate_fn=together)
    return lambda seed: loader
