"""pylance: one Lance dataset, rows taken by number, a batch at a time."""
# ruff: noqa: ARG001 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import torch
from case import Case

ROWS = 256
"""Rows handed to the writer at once."""


def write(case: Case, folder: Path, variant: str) -> None:
    kind = pa.binary() if case.is_jpeg else pa.list_(pa.uint8(), case.nbytes)
    schema = pa.schema({"image": kind, "id": pa.int64()})

    def parts() -> Iterator[pa.RecordBatch]:
        for start in range(0, case.samples, ROWS):
            ids = range(start, min(start + ROWS, case.samples))
            if case.is_jpeg:
                images = pa.array([case.stored(i).tobytes() for i in ids], kind)
            else:
                pixels = np.ascontiguousarray(case.images[ids.start : ids.stop]).view(np.uint8).reshape(-1)
                images = pa.FixedSizeListArray.from_arrays(pa.array(pixels), case.nbytes)
            yield pa.record_batch([images, pa.array(ids, pa.int64())], schema=schema)

    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, parts()), str(folder))


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    dataset = lance.dataset(str(folder))

    def epoch(seed: int) -> Iterator[Any]:
        for index in case.batches(seed):
            table = dataset.take(index.tolist())
            column = table["image"]
            if case.is_jpeg:
                images = case.batch_of([memoryview(image.as_buffer()).cast("B") for image in column])
            else:
                pixels = column.combine_chunks().flatten().to_numpy(zero_copy_only=True)
                images = torch.from_numpy(pixels.view(case.dtype).reshape(-1, *case.shape))
            yield table["id"].to_numpy(), images

    return epoch
