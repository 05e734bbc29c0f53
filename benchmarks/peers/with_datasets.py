"""datasets (Hugging Face): Arrow files in a local folder, read in batches by index.

``array``: an Array3D feature in numpy's format. ``image``: an Image feature, which Pillow decodes.
``bytes``: binary values, which we copy, or decode by simplejpeg, into place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case
from datasets import Array3D, Dataset, Features, Image, Value, load_from_disk


def write(case: Case, folder: Path, variant: str) -> None:
    kinds = {"array": Array3D(case.shape, case.dtype), "image": Image(), "bytes": Value("binary")}
    features = Features({"image": kinds[variant], "id": Value("int64")})

    def rows() -> Iterator[dict[str, Any]]:
        for index in range(case.samples):
            image = case.stored(index)
            stored = image if variant == "array" else image.tobytes()
            yield {"image": {"bytes": stored, "path": None} if variant == "image" else stored, "id": index}

    cache = folder.with_suffix(".cache")
    made = Dataset.from_generator(rows, features=features, cache_dir=str(cache), writer_batch_size=100)
    made.save_to_disk(str(folder))
    shutil.rmtree(cache)


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    dataset = load_from_disk(str(folder))
    if variant == "array":
        # its numpy format makes int64 of all integers unless it is told otherwise
        dataset = dataset.with_format("numpy", ["image"], output_all_columns=True, dtype=case.dtype)

    def epoch(seed: int) -> Iterator[Any]:
        for index in case.batches(seed):
            rows = dataset[index]
            if variant == "bytes":
                yield rows["id"], case.batch_of(rows["image"])
            else:
                images = [np.asarray(image) for image in rows["image"]]
                yield rows["id"], torch.from_numpy(np.stack(images))

    return epoch
