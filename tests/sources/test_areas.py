import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.geometry import Box, PatchSpec
from voxloom.sources.areas import centers_in, voxels_in
from voxloom.sources.tiles import Tiled
from voxloom.sources.volume_dataset import Dataset
from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume
from voxloom.volumes.labels import Labels
from voxloom.volumes.volume import Volume

NM = (16.0, 8.0, 8.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Raw of 20 x 40 x 40 voxels, of which the labels cover some."""
    root = tmp_path_factory.mktemp("areas")
    raw = write_volume(root / "em.zarr", phantom((20, 40, 40)), spacing=NM, form=VolumeForm(levels=2))
    mask = np.ones((8, 20, 30), np.uint8)
    gt = write_classes(root / "gt", {"mito": mask}, spacing=NM, origin=(64.0, 80.0, 80.0))
    volume = Volume.open(raw)
    return Dataset("a", {"raw": volume, "far": volume}, Labels.open(gt))


def spec(*shape, spacing=NM):
    return PatchSpec(shape=shape, spacing=spacing)


def raw_only(dataset):
    return Dataset("b", {"raw": dataset.raw["raw"]})


def test_tiles_cover_what_raw_and_labels_share(dataset):
    assert voxels_in(raw_only(dataset), spec(4, 4, 4)) == dataset.raw["raw"].levels[0].grid
    assert voxels_in(dataset, spec(4, 4, 4)) == dataset.labels.volumes[0].levels[0].grid
    coarse = voxels_in(raw_only(dataset), spec(4, 4, 4, spacing=(32, 16, 16)), name="raw")
    assert coarse == dataset.raw["raw"].levels[1].grid


def test_voxels_of_no_level_fill_the_same_box(dataset):
    grid = voxels_in(raw_only(dataset), spec(4, 4, 4, spacing=(32, 20, 20)))
    assert (grid.shape, grid.box.low) == ((10, 16, 16), dataset.raw["raw"].bounding_box.low)
    whole = voxels_in(raw_only(dataset), spec(1, 4, 4, spacing=(1000, 8, 8)))
    assert (whole.shape[0], whole.box.center[0]) == (1, dataset.raw["raw"].bounding_box.center[0])


def test_labels_thinner_than_a_voxel_have_one(dataset):
    assert voxels_in(dataset, spec(1, 4, 4, spacing=(300, 8, 8))).shape == (1, 20, 30)


patches = st.tuples(*[st.integers(1, 24)] * 3)


@settings(max_examples=60, deadline=None)
@given(patches, patches, st.sampled_from([NM, (32.0, 16.0, 16.0)]))
def test_each_array_lies_within_and_the_finest_on_voxels(dataset, near, far, spacing):
    inputs = {"raw": spec(*near), "far": spec(*far, spacing=spacing)}
    targets = {"labels": spec(*near)}
    boxes = [dataset.raw["raw"].bounding_box] * 2 + [dataset.labels.box]
    sizes = [inputs["raw"].size, inputs["far"].size, inputs["raw"].size]
    grid = centers_in(dataset, inputs, targets)
    origin = dataset.raw["raw"].levels[0].grid.index(inputs["raw"].grid(grid.origin).origin)
    assert np.allclose(origin, np.round(origin), atol=1e-6)
    for axis in range(3):
        ends = [grid.origin[axis], grid.world([n - 1 for n in grid.shape])[axis]]
        room = [box.size[axis] - size[axis] for box, size in zip(boxes, sizes, strict=True)]
        low = max(b.low[axis] + s[axis] / 2 for b, s in zip(boxes, sizes, strict=True))
        high = min(b.high[axis] - s[axis] / 2 for b, s in zip(boxes, sizes, strict=True))
        if low <= high and high - low >= NM[axis]:
            assert low - 1e-6 <= ends[0] < low + NM[axis]
            assert high - NM[axis] < ends[1] <= high + 1e-6
        elif min(room) < 0:
            assert ends[0] == ends[1]


def test_what_does_not_fit_is_centred_or_refused(dataset):
    inputs, targets = {"raw": spec(4, 8, 8)}, {"labels": spec(10, 8, 8)}
    grid = centers_in(dataset, inputs, targets)
    assert grid.shape == (1, 13, 23)
    assert abs(grid.origin[0] - dataset.labels.box.center[0]) <= NM[0] / 2
    with pytest.raises(SchemaError, match=r"no centre along z.*labels of 160 nm in 56 to 184"):
        centers_in(dataset, inputs, targets, smaller="refuse")
    assert centers_in(raw_only(dataset), inputs, targets).shape == (17, 33, 33)
    with pytest.raises(SchemaError, match="at least one"):
        centers_in(dataset, {})


def test_tiles_of_a_dataset_cover_its_labels(dataset):
    tiles = Tiled([voxels_in(dataset, spec(3, 7, 30))], spec(3, 7, 30))
    assert len(tiles) == 9
    covered = [Box.around(tiles.at(0, index).center, tiles.spec.size) for index in range(9)]
    low, high = zip(*((box.low, box.high) for box in covered), strict=True)
    assert tuple(np.min(low, 0)) == dataset.labels.box.low
    assert tuple(np.max(high, 0)) == dataset.labels.box.high


def test_the_last_half_voxel_of_an_odd_volume_is_covered(tmp_path):
    """Whether there is a level of the tiles' spacing, or not."""
    for levels in (1, 2):
        path = write_volume(tmp_path / f"{levels}", phantom((21, 8, 8)), form=VolumeForm(levels=levels))
        dataset = Dataset("a", {"raw": Volume.open(path)})
        grid = voxels_in(dataset, spec(4, 4, 4, spacing=(16, 16, 16)))
        assert (grid.shape, grid.box.low) == ((11, 4, 4), dataset.raw["raw"].bounding_box.low)
