"""Several crops of one block: read once, and the same as read one by one."""

import numpy as np
import pytest

from voxloom.geometry import PatchSpec
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patch_reads import PatchTask
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.volume_split import Dataset
from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume
from voxloom.transforms.pose import Elastic, SpatialAugment
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels
from voxloom.volumes.volume import Volume

SHAPE = (24, 40, 44)
SPEC = PatchSpec(shape=(6, 8, 10), spacing=(8, 8, 8))
WIDE = PatchSpec(shape=(2, 4, 6), spacing=(32, 16, 16))


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    made = []
    for name, spacing in (("fine", (8, 8, 8)), ("thick", (16, 8, 8))):
        folder = tmp_path_factory.mktemp(name)
        raw = write_volume(folder / "raw", phantom(SHAPE), spacing=spacing, form=VolumeForm(levels=2))
        mask = (phantom(SHAPE) > 120).astype(np.uint8)
        path = write_classes(
            folder / "labels", {"a": mask[4:]}, spacing=spacing, origin=(4 * spacing[0], 0, 0)
        )
        volume = Volume.open(raw)
        made.append(Dataset(name, {"raw": volume, "wide": volume}, Labels.open(path)))
    return made


def blocked(datasets, spread=(6, 8, 8), **options):
    centers = [centers_of(d.raw["raw"].levels[0].grid, SPEC) for d in datasets[:1]] * len(datasets)
    places = Blocks(Random(centers, length=6), crops=4, spread=spread)
    return PatchSource(
        datasets,
        inputs={"raw": SPEC, "wide": WIDE},
        targets={"labels": SPEC},
        classes=Classes(names=("a", "b")),
        locations=places,
        options=PatchOptions(**options),
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"augment": SpatialAugment(transpose=("z", "y", "x"))},
        {"augment": SpatialAugment(rotation=180), "fill": 3},
        {"augment": SpatialAugment(elastic=Elastic(spacing=60, sd=15, probability=1)), "outside": "mirror"},
        {"augment": SpatialAugment(rotation=180), "outside": "mirror"},
    ],
)
def test_crops_of_a_block_are_what_they_are_alone(datasets, options):
    source = blocked(datasets, **options)
    together = source.gather(range(len(source)))
    for index in range(len(source)):
        for name, array in source[index].items():
            np.testing.assert_array_equal(together[name][index], array, err_msg=f"{name} of {index}")


def test_one_read_a_block_and_volume(datasets, monkeypatch):
    source = blocked(datasets[:1])
    asked = []
    array = Volume.array
    monkeypatch.setattr(Volume, "array", lambda volume, level: asked.append(level) or array(volume, level))
    source.gather(range(8))
    assert len(asked) == 2 * 3  # 2 blocks of raw at two levels, and of labels


def test_a_batch_may_hold_parts_of_blocks(datasets):
    source = blocked(datasets)
    some = [3, 4, 5, 11, 2, 0]
    for name, array in source.gather(some).items():
        np.testing.assert_array_equal(array, np.stack([source[index][name] for index in some]))


@pytest.mark.parametrize(("limit", "begun_first"), [(0, 1), (3000, 4), (10**9, 24)])
def test_what_is_in_flight_is_bounded(datasets, monkeypatch, limit, begun_first):
    monkeypatch.setattr("voxloom.sources.patches._IN_FLIGHT", limit)
    now = blocked(datasets)
    source = PatchSource(
        datasets,
        inputs={"raw": SPEC},
        targets=now.targets,
        classes=now.classes,
        locations=now.locations.inner,
    )
    assert source._task(0).nbytes == 2 * 6 * 8 * 10
    begun, left = [], []
    begin = PatchTask.begin

    def counted(task):
        fill = begin(task)
        begun.append(task)

        def finish(arrays):
            left.append(len(begun))
            fill(arrays)

        return finish

    monkeypatch.setattr(PatchTask, "begin", counted)
    source.gather([*range(6)] * 4)
    assert left[0] == begun_first
