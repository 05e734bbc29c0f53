"""Several crops of one block: read once, and the same as read one by one."""

import numpy as np
import pytest

from voxloom.geometry import PatchSpec
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patch_reads import PatchTask, begin_block
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


class Watched:
    """A fill that notes how many had begun when it was called."""

    def __init__(self, fill, begun, left):
        self.fill, self.begun, self.left, self.nbytes = fill, begun, left, fill.nbytes

    def __call__(self, arrays):
        self.left.append(len(self.begun))
        self.fill(arrays)


def begun_first(source, indices, monkeypatch):
    """How many patches have begun when the first is waited for."""
    begun, left = [], []
    begin = PatchTask.begin

    def counted(task):
        fill = begin(task)
        begun.append(task)
        return Watched(fill, begun, left)

    monkeypatch.setattr(PatchTask, "begin", counted)
    source.gather(indices)
    return left[0]


@pytest.mark.parametrize(("limit", "expected"), [(0, 1), (3000, 4), (10**9, 24)])
def test_what_is_in_flight_is_bounded(datasets, monkeypatch, limit, expected):
    monkeypatch.setattr("voxloom.sources.patches._IN_FLIGHT", limit)
    now = blocked(datasets[:1])
    source = PatchSource(
        datasets[:1],
        inputs={"raw": SPEC},
        targets=now.targets,
        classes=now.classes,
        locations=now.locations.inner,
    )
    assert source._task(0).begin().nbytes == 2 * 6 * 8 * 10
    assert begun_first(source, [*range(6)] * 4, monkeypatch) == expected


def coarse(dataset, factor, name="raw"):
    """Patches so many times coarser than the finest level."""
    spec = PatchSpec(shape=(2, 2, 2), spacing=(8 * factor,) * 3)
    centers = centers_of(dataset.raw["raw"].levels[0].grid, SPEC)
    inner = Dataset("a", {name: dataset.raw["raw"]})
    return PatchSource([inner], inputs={name: spec}, locations=Random([centers], length=8))


def test_what_counts_is_what_is_read_and_not_the_patch(datasets, monkeypatch, caplog):
    source = coarse(datasets[0], 8)
    assert source._task(0).begin().nbytes > 20 * source.gather([0])["raw"].nbytes
    monkeypatch.setattr("voxloom.sources.patches._IN_FLIGHT", 20 * 8)
    assert begun_first(source, range(8), monkeypatch) == 1


def test_what_a_block_holds_counts(datasets, monkeypatch):
    source = blocked(datasets[:1], spread=(12, 24, 24))
    fills = begin_block([source._task(index) for index in range(4)])
    assert sum(fill.nbytes for fill in fills) > 1.5 * source._task(0).begin().nbytes


def test_patches_much_coarser_than_any_level_are_told_once(datasets, caplog):
    for factor, told in ((2, 0), (4, 0), (16, 1), (16, 1)):
        coarse(datasets[0], factor, name="told").gather([0, 1])
        assert caplog.text.count("told: patches of") == told
