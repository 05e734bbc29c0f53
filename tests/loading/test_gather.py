from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from voxloom.errors import SchemaError
from voxloom.loading import Loader, Order
from voxloom.loading.gather import gathers
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Select, Source, Subset


class Rows(Source):
    """Images that lie in one array; counts what is asked of it."""

    def __init__(self, length=11, shape=(4, 6, 3), *, is_told=True):
        self.images = np.arange(length, dtype="uint16").reshape(-1, 1, 1, 1) + np.zeros(shape, "uint16")
        self.is_told = is_told
        self.key_reads, self.given = 0, []

    @property
    def schema(self):
        shape = self.images.shape[1:] if self.is_told else None
        return Schema(
            [
                Field(name="image", axes="yxc", dtype="uint16", shape=shape),
                Field(name="label", kind="class", axes="", dtype="uint8", shape=()),
                Field(name="note", kind="text", axes="", dtype="str"),
            ]
        )

    @property
    def keys(self):
        self.key_reads += 1
        return [f"k{i:02}" for i in range(len(self))]

    def __len__(self):
        return len(self.images)

    def read(self, index):
        raise AssertionError("one sample was read")

    def gather(self, indices, *, out=None):
        out = out or {}
        self.given.append({name: array.ctypes.data for name, array in out.items()})
        images = np.take(self.images, indices, axis=0, out=out.get("image"), mode="clip")
        labels = np.take(np.arange(len(self), dtype="uint8"), indices, out=out.get("label"), mode="clip")
        return {"image": images, "label": labels, "note": np.array([f"no. {i}" for i in indices])}


class Ragged(Rows):
    """Its images are larger from sample 6 on."""

    def gather(self, indices, *, out=None):
        shapes = {(4 + 2 * (i >= 6), 6, 3) for i in indices}
        if len(shapes) > 1 or any("image" in out and out["image"].shape[1:] != s for s in shapes):
            raise SchemaError("shapes differ")
        self.given.append(out.keys())
        (shape,) = shapes
        return {"image": np.full((len(indices), *shape), indices[0], "uint16")}


def load(source=None, *, batch_size=4, shuffle=True, **options):
    source = source or Rows()
    order = Order(length=len(source), batch_size=batch_size, seed=1, shuffle=shuffle)
    return Loader(source, None, order=order, seed=1, **options)


def contents(batches):
    return [(b.indices, b.keys, b["image"].numpy().tobytes(), b["label"].tolist(), b.texts) for b in batches]


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 0},
        {"num_workers": 1},
        {"num_workers": 3, "prefetch": 1},
        {"num_workers": 1, "workers": "process"},
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_batches_that_are_all_kept_hold_their_samples(options, is_told):
    loader = load(Rows(is_told=is_told), **options)
    batches = [batch for _ in range(5) for batch in loader]
    assert len(batches) == 15
    for batch in batches:
        assert batch["image"].dtype == torch.uint16
        assert batch["image"].shape == (len(batch), 3, 4, 6)
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        assert batch["image"].to(torch.int64).amax((1, 2, 3)).tolist() == batch.indices
        assert batch["label"].dtype == torch.int64
        assert batch["label"].tolist() == batch.indices
        assert batch.keys == [f"k{i:02}" for i in batch.indices]
        assert batch.texts == {"note": [f"no. {i}" for i in batch.indices]}
    again = load(num_workers=0)
    assert contents(batches) == contents([batch for _ in range(5) for batch in again])


@pytest.mark.parametrize("num_workers", [0, 1])
def test_memory_goes_round_and_keys_are_not_read(num_workers):
    source = Rows(length=400)
    loader = load(source, num_workers=num_workers)
    for batch in loader:
        assert batch["image"].to(torch.int64)[:, 0, 0, 0].tolist() == batch.indices
    assert len({given["image"] for given in source.given}) <= 5 < len(source.given)
    assert source.key_reads == 0


def test_a_shape_that_the_schema_does_not_tell_is_learned():
    source = Rows(length=40, is_told=False)
    list(load(source, num_workers=0))
    assert ["image" in given for given in source.given] == [False, *[True] * 9]


def test_a_batch_of_another_shape_ends_the_learning():
    source = Ragged(12, is_told=False)
    batches = list(load(source, batch_size=3, shuffle=False))
    assert [tuple(batch["image"].shape) for batch in batches] == [(3, 3, 4, 6)] * 2 + [(3, 3, 6, 6)] * 2
    assert [batch["image"].to(torch.int64).max().item() for batch in batches] == [0, 3, 6, 9]
    with pytest.raises(SchemaError, match="shapes differ"):
        list(load(Ragged(12, is_told=False), batch_size=4, shuffle=False))


def test_a_part_of_a_source_gathers_too():
    part = Subset(Subset(Rows(), range(1, 11)), [9, 0, 4])
    (batch,) = load(part, shuffle=False)
    assert (batch["label"].tolist(), batch.keys) == ([10, 1, 5], ["k10", "k01", "k05"])


class Plain(Source):
    schema = Schema([Field(name="image")])
    keys = ("a",)

    def read(self, index):
        return Sample("a", self.schema, {"image": np.zeros((1, 1, 1))})


def test_only_a_source_with_a_way_of_its_own_gathers():
    assert [gathers(s) for s in (Rows(), Subset(Rows(), [1]), Plain(), Subset(Plain(), [0]))] == [
        True,
        True,
        False,
        False,
    ]
    assert not gathers(Select(Plain(), ["image"]))


def test_threads_are_what_raw_data_gets_and_processes_what_transforms_get():
    def workers(source, transform=None, **options):
        order = Order(length=len(source), batch_size=1, seed=1)
        return Loader(source, transform, order=order, seed=1, num_workers=1, **options)._in_processes

    assert not workers(Rows())
    assert workers(Rows(), workers="process")
    assert workers(Rows(), cache_rate=0.5)
    assert workers(Plain())
    assert not workers(Plain(), workers="thread")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_loader_with_threads_goes_on_in_a_forked_process():
    loader = load(num_workers=2)
    half = iter(loader)
    next(half)
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        os._exit([len(batch) for batch in loader] != [4, 3])
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(half)) == 2


def test_an_epoch_goes_on_with_other_batches_and_ranks():
    loader = load(Rows(23), num_workers=1)
    seen = [i for _, batch in zip(range(2), loader, strict=False) for i in batch.indices]
    state = loader.state_dict()
    for rank in range(3):
        order = Order(length=23, batch_size=1, seed=1, rank=rank, world=3)
        other = Loader(Rows(23), None, order=order, seed=1, num_workers=1)
        other.load_state_dict(state)
        seen += [i for batch in other for i in batch.indices]
        assert other.epoch == 1
    assert sorted(seen) == list(range(23))
