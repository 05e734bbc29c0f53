"""voxloom's own stores, through its Loader and through a bare gather a batch.

A variant is FORMAT[+ENCODING]:WAY: ``loader`` reads a batch when it is asked for, ``thread`` reads ahead in
one thread, ``gather`` does without a Loader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case

from voxloom.conversion import convert
from voxloom.formats.store import Store
from voxloom.loading import Loader, Order
from voxloom.sample import Cell, Field, Sample, Schema
from voxloom.source import Source


class CaseSource(Source):
    """A case as a source: pixels of one shape, or the bytes of JPEG files."""

    def __init__(self, case: Case) -> None:
        self.case = case
        axes = "yxc" if len(case.shape) == 3 else "yx"
        shape = None if case.is_jpeg else case.shape
        image = Field(name="image", axes=axes, dtype=case.dtype, shape=shape)
        self._schema = Schema([image, Field(name="id", kind="class", axes="", dtype="int64", shape=())])

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        return [f"{index:08d}" for index in range(self.case.samples)]

    def __len__(self) -> int:
        return self.case.samples

    def cells(self, index: int) -> Mapping[str, Cell]:
        image = self.case.stored(index)
        return {"image": bytes(image) if self.case.is_jpeg else image, "id": np.array(index)}

    def read(self, index: int) -> Sample:
        cells = dict(self.cells(index))
        if self.case.is_jpeg:
            cells["image"] = self.case.batch_of([cells["image"]])[0].numpy()
        return Sample(f"{index:08d}", self._schema, cells)


def write(case: Case, folder: Path, variant: str) -> None:
    name, _, encoding = variant.partition(":")[0].partition("+")
    settings: dict[str, Any] = {"encoding": encoding} if encoding else {}
    # One shard, as the references have one file; over several, a batch is put together sample by sample.
    convert(CaseSource(case), folder, format=name, shard_bytes=2**30, **settings)


def reader(case: Case, folder: Path, variant: str) -> Callable[[int], Any]:
    store = Store(folder)
    way = variant.partition(":")[2]
    return through_gather(case, store) if way == "gather" else through_loader(case, store, way == "thread")


def through_loader(case: Case, store: Store, reads_ahead: bool) -> Callable[[int], Any]:
    order = Order(length=len(store), batch_size=case.batch_size)
    loader = Loader(store, None, order=order, seed=0, num_workers=int(reads_ahead))
    # each iteration is an epoch, in an order of its own
    return lambda seed: ((batch["id"], batch["image"]) for batch in loader)  # noqa: ARG005


def through_gather(case: Case, store: Store) -> Callable[[int], Any]:
    def epoch(seed: int) -> Any:
        for index in case.batches(seed):
            arrays = store.gather(index)
            yield arrays["id"], torch.from_numpy(arrays["image"])

    return epoch
