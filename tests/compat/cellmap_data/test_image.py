"""One image: patches, levels, what lies outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voxloom.compat.cellmap_data import CellMapImage, EmptyImage
from voxloom.errors import ConfigError, MissingDataError, VolumeReadError
from voxloom.geometry import Pose
from voxloom.testing.volumes import phantom, write_volume


@pytest.fixture
def make(raw_path):
    def make(scale=(8, 8, 8), shape=(4, 4, 4), **options):
        return CellMapImage(raw_path(), "raw", scale, shape, **options)

    return make


def test_a_patch_around_a_centre(make, raw):
    image = make()
    center = {"z": 76, "y": 84, "x": 92}  # between voxels 9 and 10, 10 and 11, 11 and 12
    assert (image[center].numpy() == raw[8:12, 9:13, 10:14]).all()
    image.set_spatial_transforms({"mirror": ["x"]})
    assert (image[center].numpy() == raw[8:12, 9:13, 10:14][..., ::-1]).all()
    image.set_spatial_transforms(Pose(permutation=(1, 0, 2)))
    assert (image[center].numpy() == raw[8:12, 9:13, 10:14].transpose(1, 0, 2)).all()
    image.set_spatial_transforms(None)
    image.value_transform = lambda x: x.float() * 2
    assert image.to("cpu")[center].dtype == torch.float32


def test_coordinates_along_each_axis(make, raw):
    found = make()[{"z": np.arange(3) * 8.0, "y": np.array([80.0]), "x": np.arange(5) * 16.0}]
    assert (found.numpy() == raw[:3, 10, :10:2]).all()


def test_levels_are_never_coarser_than_asked(make):
    for scale, level in [(8, "s0"), (15.9, "s0"), (16, "s1"), (100, "s1"), (2, "s0")]:
        assert make(scale=(scale,) * 3).scale_level == level
        assert make().find_level(dict.fromkeys("zyx", scale)) == level
    assert make(scale=(16,) * 3).translation == {"z": 4, "y": 4, "x": 4}
    assert make(scale=(16,) * 3).array.shape == (1, 20, 22, 24)
    assert make().array_path.endswith("fibsem-uint8/s0")


def test_where_it_lies(make):
    image = make()
    assert image.shape == {"z": 40, "y": 44, "x": 48}
    assert image.bounding_box["z"] == [0, 312]
    assert image.sampling_box["z"] == [12, 300]
    assert image.center == {"z": 156, "y": 172, "x": 188}
    assert image.full_coords["x"][[0, -1]].tolist() == [0, 376]
    assert image.get_center(0) == {"z": 12, "y": 12, "x": 12}
    assert image.get_center(46) == {"z": 12, "y": 20, "x": 20}
    assert image.total_voxels == 40 * 44 * 48
    assert image.output_size == {"z": 32, "y": 32, "x": 32}
    assert make(axis_order="xyz", shape=(2, 4, 8)).output_shape == {"x": 2, "y": 4, "z": 8}


def test_outside(make, raw):
    corner = dict.fromkeys("zyx", 0.0)
    with pytest.raises(VolumeReadError):
        make()[corner]
    unknown = make(pad=True, shape=(3, 3, 3))[corner]
    assert unknown.dtype == torch.float32
    assert unknown[0].isnan().all()
    assert (unknown[1:, 1:, 1:].numpy() == raw[:2, :2, :2]).all()
    filled = make(pad=True, pad_value=7, shape=(3, 3, 3))[corner]
    assert filled.dtype == torch.uint8
    assert (filled[0] == 7).all()
    assert make(pad=True).__getitem__(dict.fromkeys("zyx", 5000.0)).isnan().all()


def test_channels_come_first(tmp_path):
    voxels = phantom((3, 8, 8, 8))
    image = CellMapImage(str(write_volume(tmp_path / "c", voxels)), "raw", (8,) * 3, (4,) * 3)
    assert (image[dict.fromkeys("zyx", 12.0)].numpy() == voxels[:, :4, :4, :4]).all()


def test_counts(gt_path, mito):
    path = gt_path().rpartition("/")[0] + "/mito"
    image = CellMapImage(path, "mito", (8,) * 3, (4,) * 3)
    assert image.class_counts == (mito > 0).sum() * 512
    assert image.bg_count == (mito == 0).sum() * 512


def test_what_cannot_be_meant(make, tmp_path):
    with pytest.raises(ConfigError, match="axis_order"):
        make(axis_order="zyy")
    with pytest.raises(ConfigError, match="each of z, y, x"):
        make()[{"z": 0, "y": 0}]
    with pytest.raises(MissingDataError):
        CellMapImage(str(tmp_path), "raw", (8,) * 3, (4,) * 3).shape  # noqa: B018


def test_an_empty_image_shares_nothing():
    image = EmptyImage("er", (8, 8, 8), (2, 2, 2), empty_value=float("nan"))
    first = image[{}]
    first[:] = 0
    assert image[{}].isnan().all()
    assert image.class_counts == image.bg_count == 0
    assert image.bounding_box is image.sampling_box is None
    assert image.total_voxels == 8
    image.set_spatial_transforms({"mirror": True})
    assert image.to("cpu") is image
    store = torch.ones(2, 2)
    assert (EmptyImage(target_class="er", scale=(8, 8), voxel_shape=(2, 2), store=store)[{}] == store).all()
