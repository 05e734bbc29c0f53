"""grain over array_record: records of one sample each, read by its MapDataset.

A variant is its number of threads, or ``bare``: the records of a batch asked of array_record at once.
"""
# ruff: noqa: ARG001 - all scripts have the same two functions

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grain
from array_record.python.array_record_module import ArrayRecordWriter
from case import Case

ID_BYTES = 8


def write(case: Case, folder: Path, variant: str) -> None:
    folder.mkdir(parents=True)
    writer = ArrayRecordWriter(str(folder / "data.array_record"), "group_size:1,uncompressed")
    for index, image in case.records():
        writer.write(index.to_bytes(ID_BYTES, "little") + image)
    writer.close()


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    source = grain.sources.ArrayRecordDataSource(str(folder / "data.array_record"))

    def together(records: Sequence[bytes]) -> tuple[Any, Any]:
        ids = [int.from_bytes(record[:ID_BYTES], "little") for record in records]
        return ids, case.batch_of([memoryview(record)[ID_BYTES:] for record in records])

    def bare(seed: int) -> Any:
        for index in case.batches(seed):
            yield together(source.__getitems__(index.tolist()))

    if variant == "bare":
        return bare
    options = grain.ReadOptions(num_threads=int(variant), prefetch_buffer_size=4 if int(variant) else 0)

    def epoch(seed: int) -> Any:
        order = grain.MapDataset.source(source).shuffle(seed=seed)
        return order.batch(case.batch_size, batch_fn=together).to_iter_dataset(options)

    return epoch
