"""What the kind of a network and of its classes means for a prediction."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from voxloom.errors import ConfigError, OutputExistsError
from voxloom.geometry import PatchSpec
from voxloom.inference.segmentation import seen_beyond
from voxloom.inference.tiling import VolumeTask, predict_volume
from voxloom.inference.volume_model import Planes, VolumeModel
from voxloom.inference.volume_plan import TiledOptions, grid_at
from voxloom.volumes import Volume
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import downsample, write

SHAPE = (10, 16, 24)
TILE = PatchSpec(shape=(8, 16, 16), spacing=(40, 8, 8))


@pytest.fixture
def raw(tmp_path):
    path = str(tmp_path / "raw.zarr")
    create(path, shape=SHAPE, layout=VolumeLayout(spacing=TILE.spacing, dtype="uint8", levels=2))
    volume = Volume.open(path)
    write(volume, volume.bounding_box, np.random.default_rng(0).integers(0, 2, SHAPE, dtype=np.uint8) * 200)
    downsample(volume)
    return volume


def read(path):
    return Volume.open(str(path)).array(0).read().result()


def two(tiles):
    """0.8 and 0.7 where the volume is bright, else 0.1 and 0.2."""
    bright = tiles > 100
    return torch.cat([torch.where(bright, 0.8, 0.1), torch.where(bright, 0.7, 0.2)], 1)


BOTH, FIRST = ("mito", "er"), ("background", "er")


@pytest.mark.parametrize(
    ("channels", "threshold", "bright", "dark"),
    [(BOTH, None, 1, 0), (BOTH, 0.85, 0, 0), (BOTH, 0, 1, 2), (FIRST, None, 0, 1), (FIRST, 0.5, 0, 0)],
)
def test_where_no_class_is_likely_there_is_no_label(raw, tmp_path, channels, threshold, bright, dark):
    model = VolumeModel(two, TILE, channels, digest="two")
    chosen = TiledOptions(write=("labels",), threshold=threshold)
    path = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen).output
    assert np.array_equal(read(path), np.where(read(raw.path) > 100, bright, dark))


def test_one_class_is_where_it_reaches_a_half(raw, tmp_path):
    model = VolumeModel(lambda tiles: tiles / 255, TILE, ("cell",), digest="one")
    path = predict_volume(model, raw, str(tmp_path / "p.zarr")).output
    assert np.array_equal(read(f"{path}/labels/segmentation"), read(raw.path) > 100)


def test_a_module_in_training_mode_predicts_as_after_eval(raw, tmp_path):
    network = nn.Sequential(nn.Conv3d(1, 1, 1), nn.BatchNorm3d(1), nn.Dropout(0.5)).train()
    network[2].eval()
    model = VolumeModel(network, TILE, ("cell",), activation="sigmoid")
    before, chosen = model.identity, TiledOptions(write=("values",))
    made = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen).output
    assert model.identity == before
    assert [part.training for part in network] == [True, True, False]
    network.eval()
    assert predict_volume(model, raw, made, options=chosen).done == 0
    again = predict_volume(model, raw, str(tmp_path / "q.zarr"), options=chosen).output
    assert np.array_equal(read(made), read(again))


def test_voxels_are_read_as_the_training_did(raw, tmp_path):
    seen = set()

    def network(tiles):
        seen.update(tiles.unique().tolist())
        return tiles

    fine = PatchSpec(shape=(8, 16, 16), spacing=(40, 6, 6))
    model = VolumeModel(network, fine, ("value",), digest="seen")
    chosen = TiledOptions(write=("values",), interpolation="nearest")
    path = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen).output
    assert seen == {0, 200}
    with pytest.raises(OutputExistsError, match="interpolation was 'nearest', now 'linear'"):
        predict_volume(model, raw, path, options=TiledOptions(write=("values",)))


@pytest.mark.parametrize("given", [{}, {"interpolation": "nearest"}])
def test_how_voxels_are_read_is_known_from_the_checkpoint(given):
    data = {"inputs": {"raw": {"shape": (8, 16, 16)}}, **given}
    trained = SimpleNamespace(task="segmentation", config={"segmentation_data": data}, facts={})
    assert TiledOptions(**seen_beyond(trained)).interpolation == given.get("interpolation", "linear")


@pytest.mark.parametrize("channels", [("mito", "a b/c"), ("mito", ".er"), ("mito", "segmentation")])
def test_names_that_no_label_image_can_have_are_refused_before_anything_is_made(raw, tmp_path, channels):
    model = VolumeModel(two, TILE, channels, digest="two")
    chosen = TiledOptions(write=("probabilities", "labels", "masks"))
    with pytest.raises(ConfigError, match=f"{channels[1]!r}"):
        VolumeTask(model, raw, str(tmp_path / "p.zarr"), chosen)
    assert [path.name for path in tmp_path.iterdir()] == ["raw.zarr"]
    assert predict_volume(model, raw, str(tmp_path / "p.zarr"), options=TiledOptions()).is_finished


def test_masks_alone_say_what_to_type():
    with pytest.raises(ValidationError, match="--write probabilities --write masks"):
        TiledOptions(write=("masks",))


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((1, 16, 16), (8, 8, 8), (40, 8, 8)),
        ((1, 16, 16), (400, 8, 8), (40, 8, 8)),
        ((1, 16, 16), (40, 16, 16), (40, 16, 16)),
        ((1, 16, 16), (8, 4, 4), (40, 4, 4)),
        ((8, 1, 16), (40, 50, 8), (40, 8, 8)),
        ((8, 16, 16), (8, 8, 8), (8, 8, 8)),
    ],
)
def test_planes_are_those_of_the_volume(raw, shape, spacing, expected):
    grid = grid_at(raw, PatchSpec(shape=shape, spacing=spacing))
    assert grid.spacing == expected
    assert grid.box.size == pytest.approx(raw.bounding_box.size)


def test_a_network_of_planes_predicts_each_plane_once(raw, tmp_path):
    planes = PatchSpec(shape=(1, 16, 16), spacing=(8, 8, 8))
    model = VolumeModel(Planes(nn.Identity()), planes, ("value",), digest="planes")
    chosen = TiledOptions(write=("values",), dtype="uint8")
    path = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen).output
    assert np.array_equal(read(path), read(raw.path))


def test_an_input_that_was_written_since_is_told(raw, tmp_path, caplog):
    model, path = VolumeModel(two, TILE, ("mito", "er"), digest="two"), str(tmp_path / "p.zarr")
    predict_volume(model, raw, path)
    write(raw, raw.bounding_box, np.full(SHAPE, 7, np.uint8))
    assert predict_volume(model, raw, path).done == 0
    assert "was written since it was begun. What is finished is kept" in caplog.text
    assert predict_volume(model, raw, path, options=TiledOptions(overwrite=True)).done == 1


def test_the_work_at_the_faces_of_units_is_told(raw, tmp_path, caplog):
    tile = PatchSpec(shape=(4, 4, 4), spacing=(40, 8, 8))
    model = VolumeModel(lambda tiles: tiles, tile, ("value",), digest="as it is")
    chosen = TiledOptions(write=("values",), unit=(8, 8, 8))
    with caplog.at_level("INFO", logger="voxloom"):
        for _ in range(2):
            predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen)
        predict_volume(model, raw, str(tmp_path / "q.zarr"), options=TiledOptions(write=("values",)))
    [told] = [record.getMessage() for record in caplog.records if "places" in record.getMessage()]
    assert told.startswith("240 tiles are predicted for 120 places, 2.0 times as many")
    assert "--shard 16 16 16) would take 1.1 times" in told
