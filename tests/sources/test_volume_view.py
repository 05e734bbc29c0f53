import json

import numpy as np
import pytest

import voxloom
from voxloom.errors import ConfigError, MissingDataError
from voxloom.geometry import PatchSpec
from voxloom.sources.volume_view import slices, tiles
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes.volume import Volume

ARRAY = phantom((5, 12, 9))


@pytest.fixture(params=["0.4", "0.5"])
def path(request, tmp_path):
    form = VolumeForm(version=request.param, levels=2)
    return write_volume(tmp_path / "em.zarr", ARRAY, spacing=(40, 4, 4), origin=(100, 0, 0), form=form)


@pytest.mark.parametrize("layout", ["auto", "volume"])
def test_the_one_door_gives_slices(path, layout):
    source = voxloom.open(path, layout=layout)
    np.testing.assert_array_equal(np.stack([sample["image"][0] for sample in source]), ARRAY)
    assert source.schema["image"].axes == "cyx"
    assert source.schema["image"].spacing == (4, 4)
    assert source.keys[1] == "em.zarr/000001_z140_y22_x16"


def test_a_url_is_a_volume(path):
    assert len(voxloom.open(path.as_uri())) == 5


def test_what_is_no_image(path, tmp_path):
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(MissingDataError, match="group"):
        voxloom.open(tmp_path / "group")
    with pytest.raises(ConfigError, match="volume"):
        voxloom.open(path, layout="volum")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_across_any_axis_and_level(path, axis):
    volume = Volume.open(path)
    source = slices(volume, "zyx"[axis])
    assert len(source) == ARRAY.shape[axis]
    np.testing.assert_array_equal(source[2]["image"][0], np.take(ARRAY, 2, axis))
    coarse = slices(volume, "zyx"[axis], level=1)
    expected = volume.array(1).read().result()[0]
    np.testing.assert_array_equal(coarse[1]["image"][0], np.take(expected, 1, axis))


def test_tiles_cover_every_voxel(path):
    volume = Volume.open(path)
    source = tiles(volume, PatchSpec(shape=(2, 5, 4), spacing=(40, 4, 4)))
    covered = np.zeros(ARRAY.shape, bool)
    for index in range(len(source)):
        middle = volume.levels[0].grid.index(source.location(index).center)
        place = tuple(
            slice(round(c - (n - 1) / 2), round(c + (n + 1) / 2))
            for c, n in zip(middle, (2, 5, 4), strict=True)
        )
        np.testing.assert_array_equal(source[index]["image"][0], ARRAY[place])
        covered[place] = True
    assert covered.all()


def test_labels_keep_their_ids(tmp_path):
    ids = np.array([[[0, 0, 9, 9]]], np.uint16)
    volume = Volume.open(write_volume(tmp_path, ids, classes={9: "a"}))
    source = tiles(volume, PatchSpec(shape=(1, 1, 8), spacing=(8, 8, 4)))
    assert set(np.unique(source[0]["image"])) == {0, 9}


@pytest.mark.parametrize("extent", [(24, 24, 24), (21, 23, 22)])
@pytest.mark.parametrize("translated", [True, False])
def test_tiles_of_a_level_are_its_voxels(tmp_path, extent, translated):
    """Many pyramids have levels without translations, and most have odd extents somewhere."""
    path = write_volume(tmp_path / "em", phantom(extent), form=VolumeForm(levels=2))
    if not translated:
        metadata = json.loads((path / "zarr.json").read_text())
        for level in metadata["attributes"]["ome"]["multiscales"][0]["datasets"]:
            level["coordinateTransformations"] = level["coordinateTransformations"][:1]
        (path / "zarr.json").write_text(json.dumps(metadata))
    volume = Volume.open(path)
    level = volume.array(1).read().result()[0]
    source = tiles(volume, PatchSpec(shape=(6, *level.shape[1:]), spacing=(16, 16, 16)))
    assert len(source) == -(-level.shape[0] // 6)
    for index in range(len(source)):
        start = min(6 * index, level.shape[0] - 6)
        np.testing.assert_array_equal(source[index]["image"][0], level[start : start + 6])


def test_tiles_without_a_level_cover_the_last_half_voxel(tmp_path):
    volume = Volume.open(write_volume(tmp_path / "em", np.full((7, 7, 7), 200, np.uint8)))
    source = tiles(volume, PatchSpec(shape=(2, 4, 4), spacing=(16, 16, 16)))
    assert len(source) == 2
    assert all((sample["image"] == 200).all() for sample in source)
