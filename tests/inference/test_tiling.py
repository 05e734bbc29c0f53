"""A network over a volume: right on the voxels, whatever the split."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from voxloom.errors import ConfigError, OutputExistsError, SchemaError
from voxloom.geometry import Box, PatchSpec
from voxloom.inference.tiling import VolumeTask, predict_volume
from voxloom.inference.volume_model import Planes, VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.ranks import Rank
from voxloom.volumes import Volume
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.writing import downsample, write

SHAPE, SPACING = (20, 37, 50), (16.0, 8.0, 8.0)
TILE = PatchSpec(shape=(8, 16, 16), spacing=SPACING)
UNIT = (16, 16, 32)


@pytest.fixture
def raw(tmp_path):
    path = str(tmp_path / "raw.zarr")
    layout = VolumeLayout(spacing=SPACING, origin=(32.0, 800.0, -80.0), dtype="uint8", chunk=(16, 16, 16),
                          shard=None, levels=2)  # fmt: skip
    create(path, shape=SHAPE, layout=layout)
    volume = Volume.open(path)
    write(volume, volume.bounding_box, np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8))
    downsample(volume)
    return volume


def identity(tiles):
    return tiles


def three(tiles):
    return torch.cat([tiles, 255 - tiles, tiles * 0 + 100], 1) / 255


THREE = VolumeModel(three, TILE, ("mito", "er", "nucleus"), digest="three")
AS_IS = VolumeModel(identity, TILE, ("value",), digest="identity")


def options(**given):
    return TiledOptions(**{"unit": UNIT, **given})


def read(path, level=0):
    return Volume.open(str(path)).array(level).read().result()


def test_a_network_that_changes_nothing_gives_the_volume_back(raw, tmp_path):
    report = predict_volume(
        AS_IS, raw, str(tmp_path / "p.zarr"), options=options(write=("values",), dtype="uint8")
    )
    made = Volume.open(report.output)
    assert report.is_finished
    assert report.done == report.units == 2 * 3 * 2
    assert np.array_equal(read(report.output), raw.array(0).read().result())
    assert made.levels[0].grid == raw.levels[0].grid
    assert made.channels == ("value",)


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_values_of_other_types(raw, tmp_path, dtype):
    report = predict_volume(
        AS_IS, raw, str(tmp_path / "p.zarr"), options=options(write=("values",), dtype=dtype)
    )
    assert read(report.output).dtype == dtype
    assert np.array_equal(read(report.output), raw.array(0).read().result())


def test_probabilities_labels_and_masks(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    report = predict_volume(
        THREE, raw, path, options=options(write=("probabilities", "labels", "masks"), threshold=0.5)
    )
    values = raw.array(0).read().result()[0]
    made = Volume.open(path)
    assert made.channels == ("mito", "er", "nucleus")
    assert made.dtype == np.uint8
    assert np.array_equal(read(path), np.stack([values, 255 - values, np.full_like(values, 100)]))
    assert set(made.label_names) == {"segmentation", "mito", "er", "nucleus"}
    labels = made.label("segmentation")
    assert dict(labels.classes) == {1: "mito", 2: "er", 3: "nucleus"}
    assert np.array_equal(read(labels.path)[0], np.where(values > 127, 1, 2))
    assert np.array_equal(read(made.label("mito").path)[0], values > 127)
    assert len(labels.levels) == len(made.levels)
    assert report.volumes == (
        path,
        *(f"{path}/labels/{n}" for n in ("segmentation", "mito", "er", "nucleus")),
    )


def test_a_background_is_the_id_0(raw, tmp_path):
    model = VolumeModel(three, TILE, ("background", "er", "nucleus"), digest="three")
    path = str(tmp_path / "both.zarr")
    predict_volume(model, raw, path, options=options(write=("probabilities", "masks")))
    values = raw.array(0).read().result()[0]
    assert np.array_equal(read(path), np.stack([255 - values, np.full_like(values, 100)]))
    assert set(Volume.open(path).label_names) == {"er", "nucleus"}
    assert np.array_equal(read(f"{path}/labels/er")[0], values < 128)
    report = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=options(write=("labels",)))
    assert np.array_equal(read(report.output)[0], np.where(values > 127, 0, 1))
    assert dict(Volume.open(report.output).classes) == {1: "er", 2: "nucleus"}


def test_labels_below_an_image_that_is_there(raw):
    report = predict_volume(
        THREE, raw, f"{raw.path}/labels/cells", options=options(write=("labels",), version="0.5")
    )
    assert Volume.open(raw.path).label("cells").path == report.output
    assert len(Volume.open(report.output).levels) == 2


def test_the_pyramid_is_that_of_downsample(raw, tmp_path):
    for unit in (UNIT, (16, 48, 64)):
        path = str(tmp_path / f"{unit[1]}.zarr")
        predict_volume(THREE, raw, path, options=options(unit=unit))
        for each in (path, f"{path}/labels/segmentation"):
            before = [read(each, level) for level in range(len(Volume.open(each).levels))]
            downsample(Volume.open(each))
            assert all(np.array_equal(a, read(each, level)) for level, a in enumerate(before))


class Smooth(nn.Module):
    """A fixed network with a receptive field."""

    def __init__(self, dimensions=3):
        super().__init__()
        torch.manual_seed(0)
        self.conv = (nn.Conv2d if dimensions == 2 else nn.Conv3d)(1, 2, 3, padding=1)

    def forward(self, tiles):
        return self.conv(tiles / 255)


SMOOTH = VolumeModel(Smooth(), TILE, ("background", "cell"), activation="softmax")


def test_neither_units_nor_ranks_nor_batches_change_a_value(raw, tmp_path):
    chosen = {"write": ("values",), "dtype": "float32"}
    whole = predict_volume(
        SMOOTH, raw, str(tmp_path / "a.zarr"), options=options(unit=(64, 64, 64), **chosen)
    )
    expected = read(whole.output)
    for name, given in {"b": {}, "c": {"batch_size": 5}, "d": {"unit": (64, 16, 16)}}.items():
        made = predict_volume(
            SMOOTH, raw, str(tmp_path / f"{name}.zarr"), options=options(**{**chosen, **given})
        )
        np.testing.assert_allclose(read(made.output), expected, atol=1e-6)
    for index in range(3):
        path = str(tmp_path / "ranks.zarr")
        made = predict_volume(SMOOTH, raw, path, options=options(**chosen), rank=Rank(index, 3))
        assert made.is_finished is (index == 2)
        assert made.done == 4
    np.testing.assert_allclose(read(path), expected, atol=1e-6)


def test_the_context_is_left_out(raw, tmp_path):
    """With a context as large as its reach, a network gives what it gives of the whole volume."""
    values = torch.from_numpy(raw.array(0).read().result()[None]).float()
    with torch.no_grad():
        expected = Smooth()(values).softmax(1)[0]
    chosen = options(context=(1, 1, 1), overlap=0, write=("values",))
    made = predict_volume(SMOOTH, raw, str(tmp_path / "a.zarr"), options=chosen)
    inner = (slice(None), *[slice(1, -1)] * 3)
    np.testing.assert_allclose(read(made.output)[inner], expected[inner], atol=1e-5)
    valid = Smooth()
    valid.conv.padding = (0, 0, 0)
    cut = predict_volume(
        VolumeModel(valid, TILE, ("background", "cell"), activation="softmax"),
        raw, str(tmp_path / "b.zarr"), options=chosen,
    )  # fmt: skip
    np.testing.assert_allclose(read(cut.output), read(made.output), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_along_any_axis(raw, tmp_path, axis):
    shape = tuple(1 if a == axis else n for a, n in enumerate((16, 16, 16)))
    model = VolumeModel(
        Planes(Smooth(2), axis), PatchSpec(shape=shape, spacing=SPACING), ("background", "cell"),
        activation="softmax",
    )  # fmt: skip
    chosen = options(write=("values",), batch_size=8)
    made = predict_volume(model, raw, str(tmp_path / "p.zarr"), options=chosen)
    values = torch.from_numpy(raw.array(0).read().result()).float().movedim(axis + 1, 0)
    with torch.no_grad():
        expected = Smooth(2)(values).softmax(1).movedim(0, axis + 1)
    # one tile alone lies there, at the volume's own edge
    inner = tuple(slice(0, 4) if a != axis else slice(None) for a in range(3))
    np.testing.assert_allclose(
        read(made.output)[(slice(None), *inner)], expected[(slice(None), *inner)], atol=1e-5
    )


def test_wider_patches_lie_around_the_same_centre(raw, tmp_path):
    wide = PatchSpec(shape=TILE.shape, spacing=(16.0, 8.0, 16.0))
    seen = []

    def network(tiles):
        seen.append(tiles)
        return tiles[:, 1:]

    model = VolumeModel(network, TILE, ("value",), wider=(wide,), digest="wide")
    predict_volume(model, raw, str(tmp_path / "p.zarr"), options=options(write=("values",)))
    (first, *_) = seen
    center = raw.levels[0].grid.world((3.5, 7.5, 7.5))
    how = Reading(outside="mirror")
    expected = [begin_patch(raw, spec, center, how=how).result() for spec in (TILE, wide)]
    assert np.array_equal(first[0].numpy(), np.concatenate(expected))


def test_another_spacing_is_read_and_written_at_that_of_the_model(raw, tmp_path):
    coarse = VolumeModel(identity, PatchSpec(shape=(8, 16, 16), spacing=(16, 16, 16)), ("value",), digest="i")
    chosen = options(write=("values",), dtype="uint8")
    made = Volume.open(predict_volume(coarse, raw, str(tmp_path / "a.zarr"), options=chosen).output)
    assert made.levels[0].grid == raw.levels[1].grid
    assert np.array_equal(read(made.path), raw.array(1).read().result())
    odd = VolumeModel(identity, PatchSpec(shape=(8, 16, 16), spacing=(10, 10, 10)), ("value",), digest="i")
    made = Volume.open(predict_volume(odd, raw, str(tmp_path / "b.zarr"), options=chosen).output)
    assert made.levels[0].grid.spacing == (10, 10, 10)
    assert made.levels[0].grid.box.low == raw.bounding_box.low
    assert made.levels[0].grid.shape == (32, 30, 40)


def test_the_same_call_again_has_nothing_to_do(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    predict_volume(THREE, raw, path, options=options())
    again = predict_volume(THREE, raw, path, options=options(batch_size=3))
    assert again.done == 0
    assert again.is_finished


def test_another_model_or_geometry_is_not_mixed_in(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    predict_volume(THREE, raw, path, options=options(), rank=Rank(0, 2))
    other = VolumeModel(three, TILE, THREE.channels, digest="newer")
    with pytest.raises(OutputExistsError, match=r"model was 'three', now 'newer'.*--overwrite"):
        predict_volume(other, raw, path, options=options())
    with pytest.raises(OutputExistsError, match=r"overlap was 0\.25, now 0\.5"):
        predict_volume(THREE, raw, path, options=options(overlap=0.5))
    report = predict_volume(other, raw, path, options=options(overwrite=True))
    assert report.done == report.units
    with pytest.raises(ConfigError, match="at once"):
        predict_volume(other, raw, path, options=options(overwrite=True), rank=Rank(0, 2))


def test_what_others_wrote_is_not_touched(raw, tmp_path):
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / "mine.txt").write_text("keep")
    for given in ({}, {"overwrite": True}):
        with pytest.raises(OutputExistsError):
            predict_volume(THREE, raw, str(tmp_path / "p.zarr"), options=options(**given))
    for path in (raw.path, f"{raw.path}/p.zarr", str(tmp_path)):
        with pytest.raises(OutputExistsError, match="the input"):
            predict_volume(THREE, raw, path, options=options(overwrite=True))
    assert (tmp_path / "p.zarr" / "mine.txt").read_text() == "keep"
    assert Volume.open(raw.path).read(Box((0, 0, 0), (16, 8, 8))).shape == (1, 1, 1, 1)


def test_networks_that_do_not_fit(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    with pytest.raises(SchemaError, match=r"expected \(1, 2, z, y, x\)"):
        predict_volume(VolumeModel(three, TILE, ("a", "b"), digest=""), raw, path, options=options())
    small = VolumeModel(lambda t: t[..., 1:], TILE, ("a",), digest="")
    with pytest.raises(SchemaError, match="Set context"):
        predict_volume(small, raw, str(tmp_path / "q.zarr"), options=options(write=("values",)))
    with pytest.raises(ConfigError, match="digest"):
        predict_volume(VolumeModel(identity, TILE, ("a",)), raw, path, options=options(write=("values",)))


def test_links_do_not_hide_the_input(raw, tmp_path):
    before = raw.array(0).read().result()
    (tmp_path / "link.zarr").symlink_to("raw.zarr")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "raw.zarr" / "labels").mkdir()
    (tmp_path / "raw.zarr" / "labels" / "cells").symlink_to(tmp_path / "raw.zarr" / "s0")
    for path in ("link.zarr", "folder/raw.zarr", "folder", "link.zarr/p.zarr", "link.zarr/labels/cells"):
        with pytest.raises(OutputExistsError, match="the input"):
            predict_volume(
                THREE, raw, str(tmp_path / path), options=options(overwrite=True, write=("labels",))
            )
    assert np.array_equal(read(raw.path), before)
    assert predict_volume(
        THREE, raw, str(tmp_path / "link.zarr/labels/new"), options=options(write=("labels",))
    ).is_finished


def test_a_removed_output_is_predicted_again(raw, tmp_path):
    path = tmp_path / "p.zarr"
    chosen = options(write=("values",), dtype="uint8")
    predict_volume(AS_IS, raw, str(path), options=chosen)
    shutil.rmtree(path)
    report = predict_volume(AS_IS, raw, str(path), options=chosen)
    assert (report.is_finished, report.done) == (True, report.units)
    assert np.array_equal(read(path), read(raw.path))


def test_shares_after_a_stop_are_even(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    task = VolumeTask(THREE, raw, path, options())
    task.begin()
    list(task.run(range(6)))
    done = [predict_volume(THREE, raw, path, options=options(), rank=Rank(i, 3)).done for i in range(3)]
    assert done == [2, 2, 2]


def test_an_overwriting_job_that_is_started_again_comes_to_its_end(raw, tmp_path):
    path = str(tmp_path / "p.zarr")
    anew = options(overwrite=True)
    predict_volume(THREE, raw, path, options=anew)
    task = VolumeTask(THREE, raw, path, anew)
    task.begin()
    assert len(task.missing()) == 12
    list(task.run(range(5)))
    report = predict_volume(THREE, raw, path, options=anew)
    assert (report.done, report.is_finished) == (7, True)
