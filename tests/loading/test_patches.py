"""Patches of volumes through the Loader: the same whoever reads them, and after a fork a clear word."""

import functools
import pickle

import numpy as np
import pytest
import torch

from voxloom.errors import LoadingError
from voxloom.geometry import PatchSpec
from voxloom.loading import Loader, Order
from voxloom.source import Map, Subset
from voxloom.sources import patches
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patch_reads import begin_block
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.volume_split import Dataset
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.transforms import Compose
from voxloom.transforms.pose import SpatialAugment
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels
from voxloom.volumes.volume import Volume

SHAPE = (16, 24, 24)
SPEC = PatchSpec(shape=(4, 8, 8), spacing=(8, 8, 8))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    datasets = []
    for name in ("a", "b", "c"):
        raw = phantom(SHAPE, seed=ord(name))
        volume = Volume.open(write_volume(folder / name / "raw", raw))
        path = write_classes(folder / name / "labels", {"mito": (raw > 100).astype(np.uint8)})
        datasets.append(Dataset(name, {"raw": volume}, Labels.open(path)))
    centers = [centers_of(dataset.raw["raw"].levels[0].grid, SPEC) for dataset in datasets]
    return PatchSource(
        datasets,
        inputs={"raw": SPEC},
        targets={"labels": SPEC},
        classes=Classes(names=("mito", "er"), excludes={"mito": ("er",)}),
        locations=Blocks(Random(centers, length=6), crops=4, spread=(4, 8, 8)),
        options=PatchOptions(augment=SpatialAugment(rotation=20)),
    )


def epochs(source, *, shuffle=True, resume_at=None, number=2, **options):
    """All that two epochs give, on the way once resumed from a state."""
    order = Order(length=len(source), batch_size=5, shuffle=shuffle)
    loader = Loader(source, None, order=order, seed=0, **options)
    seen = []
    for _ in range(number):
        for batch in loader:
            seen.append((batch.keys, {name: tensor.clone() for name, tensor in batch.fields.items()}))
            if len(seen) == resume_at:
                state = loader.state_dict()
                loader.close()
                loader = Loader(source, None, order=order, seed=0, **options)
                loader.load_state_dict(state)
                seen += epochs_of(loader, number)
                return seen
    loader.close()
    return seen


def epochs_of(loader, number):
    seen = []
    while loader.epoch < number:
        for batch in loader:
            seen.append((batch.keys, {name: tensor.clone() for name, tensor in batch.fields.items()}))
    loader.close()
    return seen


@pytest.mark.parametrize("options", [{}, {"num_workers": 3}])
def test_a_block_that_batches_share_is_read_once(source, options, monkeypatch):
    begun = []

    def counted(tasks):
        begun.append(len(tasks))
        return begin_block(tasks)

    monkeypatch.setattr(patches, "begin_block", counted)
    expected = epochs(source, shuffle=False)
    assert len(begun) == 2 * 9  # 6 blocks of 4 crops an epoch, in batches of 5
    begun.clear()
    same(expected, epochs(pickle.loads(pickle.dumps(keeping(source))), shuffle=False, **options))
    assert begun == [4] * 12


def test_fields_that_are_chosen_do_not_share_blocks(source):
    kept = keeping(source)
    chosen = kept.select("raw")
    assert np.array_equal(kept[1]["raw"], chosen[1]["raw"])
    assert {*kept.at_epoch(1)[2]} == {*source.schema}
    assert np.array_equal(kept.at_epoch(1)[2]["raw"], source.at_epoch(1)[2]["raw"])


def keeping(source):
    return PatchSource(
        source.datasets,
        inputs=source.inputs,
        targets=source.targets,
        classes=source.classes,
        locations=source.locations,
        options=source.options.model_copy(update={"keep_blocks": 4}),
    )


def same(one, other):
    assert [keys for keys, _ in one] == [keys for keys, _ in other]
    for (_, fields), (_, others) in zip(one, other, strict=True):
        for name, tensor in fields.items():
            assert torch.equal(tensor, others[name]), name


@functools.lru_cache
def expected(source, shuffle):
    return epochs(source, shuffle=shuffle)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "options", [{"num_workers": 1}, {"num_workers": 3}, {"num_workers": 2, "resume_at": 3}, {"resume_at": 7}]
)
def test_the_same_for_any_number_of_threads_and_after_a_resume(source, options, shuffle):
    same(epochs(source, shuffle=shuffle, **options), expected(source, shuffle))


def test_epochs_differ(source):
    keys = [key for keys, _ in expected(source, False) for key in keys]
    assert keys[: len(source)] != keys[len(source) :]


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_processes_that_start_afresh_read_the_same(source, start_method):
    read = epochs(source, number=1, num_workers=1, workers="process", start_method=start_method)
    same(read, expected(source, True)[: len(read)])


def test_a_fork_after_reading_is_refused(source):
    source[0]
    with pytest.raises(LoadingError, match=r"forked from .* start_method='spawn' or 'forkserver'"):
        epochs(source, number=1, num_workers=1, workers="process", start_method="fork")


def test_the_memory_of_batches_is_used_again(source):
    loader = Loader(source, None, order=Order(length=len(source), batch_size=4), seed=0)
    places = set()
    for batch in loader:
        places.add(batch["raw"].data_ptr())
        del batch
    assert len(places) < len(loader)


def test_threads_read_where_transforms_change_samples(source):
    source[0]  # a fork could not go on from here
    steps = Compose(transforms=({"name": "range", "low": 0, "high": 255},))
    for wrapped in (source, Subset(source, range(8)), Map(source, _as_it_is), source.select("raw")):
        loader = Loader(wrapped, steps, order=Order(length=len(wrapped), batch_size=4), seed=0, num_workers=1)
        assert next(iter(loader))["raw"].dtype == torch.float32
        loader.close()


def _as_it_is(sample):
    return sample
