"""Reads of a store at random, by threads and processes, equal those of one process in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from voxloom.formats import FORMATS
from voxloom.formats.store import Store
from voxloom.loading import Loader, Order, by_class, labels_of
from voxloom.source import Concat, Source
from voxloom.testing.stores import Counting, write_store

COUNT, SHAPE = 61, (3, 5, 2)


class Ragged(Counting):
    """Its images have no shape in the schema, and are stored one by one."""

    @property
    def schema(self):
        image = super().schema["image"].model_copy(update={"shape": None})
        return super().schema.replace(image)


@pytest.fixture(scope="module", params=sorted(FORMATS))
def format(request):
    return request.param


@pytest.fixture(scope="module", params=[Counting, Ragged])
def store(request, format, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / format
    return Store(write_store(folder, request.param(COUNT, SHAPE), format=format, samples_per_shard=17))


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """Stores of all formats one after the other; in each second one images are stored one by one."""
    base, stores = tmp_path_factory.mktemp("stores"), []
    for number, name in enumerate(sorted(FORMATS)):
        source = (Counting, Ragged)[number % 2](COUNT, SHAPE)
        stores.append(Store(write_store(base / name, source, format=name, samples_per_shard=17)))
    return Concat(stores)


def check(sample_or_batch, image, index):
    assert int(image.max()) == int(image.min()) == index % COUNT, (sample_or_batch, index)


def check_batches(source: Source, **options):
    order = Order(length=len(source), batch_size=7, seed=3)
    loader = Loader(source, None, order=order, seed=3, num_workers=4, **options)
    seen = []
    for batch in [*loader, *loader]:  # all of them held at once
        assert batch.keys == [source.keys[i] for i in batch.indices]
        for image, label, index in zip(batch["image"], batch["label"], batch.indices, strict=True):
            check(batch, image.numpy(), index)
            assert int(label) == index % COUNT % 3
        seen += batch.indices
    loader.close()
    assert sorted(seen) == sorted([*range(len(source))] * 2)


def test_many_reads_in_threads(store):
    def read(seed):
        indices = np.random.default_rng(seed).integers(0, COUNT, 100)
        for index in indices[:50]:
            check(seed, store[index]["image"], index)
        for image, index in zip(store.gather(indices)["image"], indices, strict=True):
            check(seed, image, index)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(8)))


def test_batches_from_threads(store):
    check_batches(store, workers="thread")


def test_batches_from_forked_processes_beside_live_threads(store):
    order = Order(length=len(store), batch_size=7, seed=3)
    threaded = iter(Loader(store, None, order=order, seed=3, num_workers=2))
    next(threaded)
    check_batches(store, workers="process", start_method="fork")
    assert len(list(threaded)) == 8


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
def test_batches_of_all_formats_from_processes(every, start_method):
    check_batches(every, workers="process", start_method=start_method)


def test_classes_are_chosen_by_the_column_of_labels(store, monkeypatch):
    monkeypatch.setattr(Store, "read", None)
    assert labels_of(store).tolist() == [i % 3 for i in range(COUNT)]
    part = by_class(store, ["class2", 0])
    assert part.indices.tolist() == [i for i in range(COUNT) if i % 3 != 1]
    assert labels_of(part).tolist() == [i % 3 for i in range(COUNT) if i % 3 != 1]
