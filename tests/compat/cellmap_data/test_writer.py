"""Predictions: tiles that cover everything, one group a class."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from yaozarrs import validate_zarr_store

from voxloom.compat.cellmap_data import CellMapDatasetWriter, ImageWriter
from voxloom.errors import ConfigError, OutputExistsError, SchemaError
from voxloom.geometry import Box
from voxloom.volumes.volume import Volume

CUBE = {"shape": (16, 16, 16), "scale": (8, 8, 8)}
BOUNDS = {"z": [64, 264], "y": [0, 352], "x": [80, 208]}  # 25, 44 and 16 voxels


@pytest.fixture
def make(raw_path, tmp_path):
    def make(target="out.zarr", classes=("mito", "er"), bounds=BOUNDS, targets=None, **options):
        targets = targets or {"labels": CUBE}
        given = None if bounds is None else dict.fromkeys(targets, bounds)
        return CellMapDatasetWriter(
            raw_path(), str(tmp_path / target), list(classes), {"raw": CUBE}, targets, given, **options
        )

    return make


def written(path):
    volume = Volume.open(path)
    return volume.read(volume.bounding_box)[0]


def test_every_voxel_is_written(make, raw, tmp_path):
    writer = make()
    assert len(writer) == len(writer.writer_indices) == len(writer.blocks) == 2 * 3 * 1
    for batch in writer.loader(batch_size=4, num_workers=1, device="cpu"):
        both = torch.cat([batch["raw"].float(), batch["raw"].float() + 1], dim=1)
        writer[batch["idx"]] = {"labels": both, "raw": batch["raw"], "idx": batch["idx"]}
    cut = raw[8:33, 0:44, 10:26]
    assert (written(tmp_path / "out.zarr/mito") == cut).all()
    assert (written(tmp_path / "out.zarr/er") == cut + 1.0).all()


def test_what_is_written_is_a_valid_image(make, tmp_path):
    make()[0] = {"labels": 1}
    root = tmp_path / "out.zarr"
    assert json.loads((root / ".zgroup").read_text()) == {"zarr_format": 2}
    validate_zarr_store(str(root / "mito"))
    volume = Volume.open(root / "mito")
    assert volume.levels[0].grid.origin == (64, 0, 80)
    assert volume.levels[0].path == "s0"
    assert volume.dtype == np.float32


def test_nothing_is_made_before_it_is_written(make, tmp_path):
    writer = make()
    writer[0]
    list(writer.loader(device="cpu"))
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("shape", [(2, 16, 16, 16), (1, 2, 16, 16, 16)])
def test_one_tile_with_and_without_a_batch(make, shape):
    writer = make()
    values = torch.arange(2 * 16**3, dtype=torch.float32).reshape(shape)
    writer[3] = {"labels": values}
    back = [writer.target_array_writers["labels"][name][writer.get_center(3)] for name in ("mito", "er")]
    assert (torch.stack(back) == values.reshape(2, 16, 16, 16)).all()


def test_classes_by_name_and_single_values(make):
    writer = make(model_classes=["er", "nucleus", "mito"])
    one, center = torch.ones(16, 16, 16), writer.get_center(0)
    images = writer.target_array_writers["labels"]
    writer[0] = {"labels": {"mito": one * 2, "er": 5}}
    assert [float(images[name][center].mean()) for name in ("mito", "er")] == [2, 5]
    writer[0] = {"mito": one * 3}
    assert float(images["mito"][center].mean()) == 3
    writer[[0, 1]] = {"labels": torch.stack([one * n for n in range(6)]).reshape(2, 3, 16, 16, 16)}
    assert [float(images[name][center].mean()) for name in ("mito", "er")] == [2, 0]
    assert [float(images[name][writer.get_center(1)].min()) for name in ("mito", "er")] == [5, 3]


def test_several_targets_do_not_collide(make, tmp_path):
    small = {"shape": (8, 8, 8), "scale": (8, 8, 8)}
    writer = make(targets={"a": CUBE, "b": small}, classes=["mito"])
    assert len(writer) == 4 * 6 * 2
    writer[0] = {"a": 1, "b": 2}
    assert written(tmp_path / "out.zarr/a/mito").max() == 1
    assert written(tmp_path / "out.zarr/b/mito").max() == 2


def test_the_whole_image_without_bounds(make):
    writer = make(bounds=None)
    assert writer.bounding_box == {"z": [0, 320], "y": [0, 352], "x": [0, 384]}
    assert writer.bounding_box_shape == {"z": 40, "y": 44, "x": 48}
    assert len(writer) == 27
    assert writer.sampling_box["z"] == [60, 252]
    assert writer.center["z"] == 160
    assert writer.smallest_target_array["z"] == 128
    assert writer.smallest_voxel_sizes["z"] == 8
    assert writer.verify()


def test_what_is_there_is_kept(make):
    make()[0] = {"labels": 1}
    with pytest.raises(OutputExistsError, match="overwrite"):
        make()
    again = make(overwrite=True, empty_value=7)
    again[0] = {"labels": 1}
    assert float(again.target_array_writers["labels"]["er"][again.get_center(5)].mean()) == 7


def test_what_cannot_be_meant(make, raw_path, tmp_path):
    writer = make()
    for wrong in ({"labels": torch.ones(3, 16, 16, 16)}, {"label": 1}, {"mito": torch.ones(4, 4, 4)}):
        with pytest.raises(SchemaError):
            writer[0] = wrong
    with pytest.raises(IndexError):
        writer[6]
    with pytest.raises(ConfigError, match="none for b"):
        CellMapDatasetWriter(
            raw_path(),
            str(tmp_path / "x.zarr"),
            ["mito"],
            {"raw": CUBE},
            {"a": CUBE, "b": CUBE},
            {"a": BOUNDS},
        )
    with pytest.raises(ConfigError, match="each of z, y, x"):
        make(bounds={"z": [0, 100]})


def test_images_snap_and_crop(tmp_path):
    box = {axis: [0, 80] for axis in "zyx"}
    image = ImageWriter(str(tmp_path / "i.zarr/a"), "a", [8] * 3, box, [4] * 3, dtype=np.uint8, fill_value=9)
    image[{"z": 0, "y": 75, "x": 37}] = np.arange(64).reshape(4, 4, 4)
    voxels = Volume.open(image.path).read(Box((-4, -4, -4), (76, 76, 76)))[0]
    filled = np.argwhere(voxels != 9)
    assert filled.min(axis=0).tolist() == [0, 8, 3]
    assert filled.max(axis=0).tolist() == [2, 9, 6]
    assert voxels[0, 8, 3] == 16
    with pytest.raises(SchemaError, match="outside"):
        image[{"z": -100, "y": 0, "x": 0}] = 1
    assert image.array_path.endswith("/s0")
    assert image.chunk_shape == {"z": 4, "y": 4, "x": 4}
    assert image.world_shape["x"] == 80
    assert image.offset["x"] == 0
    assert image.full_coords["x"][-1] == 72
    assert image.array.shape == (1, 10, 10, 10)


def test_without_bounds_coarser_voxels_begin_at_the_edge_of_the_image(make, raw, tmp_path):
    coarse = {"labels": {"shape": (7, 8, 8), "scale": (24, 16, 16)}}
    writer = make(bounds=None, targets=coarse)
    for i in range(len(writer)):
        writer[i] = {"labels": 1}
    volume = Volume.open(tmp_path / "out.zarr/mito")
    grid = volume.levels[0].grid
    assert grid.origin == (8, 4, 4)
    assert grid.shape == tuple(-(-n // k) for n, k in zip(raw.shape, (3, 2, 2), strict=True))
    assert written(tmp_path / "out.zarr/mito").min() == 1
