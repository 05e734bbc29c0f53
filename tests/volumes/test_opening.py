import os
import time
from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import DataError, MissingDataError, VolumeMetadataError, VolumeReadError
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes.volume import Volume

DATA = Path(__file__).parent / "data"
NEUROGLANCER = DATA / "neuroglancer"


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("version", ["4", "5"])
def test_a_2d_image_is_as_thick_as_its_pixels_are_high(version):
    volume = Volume.open(NEUROGLANCER / f"simple_0.{version}")
    grids = [level.grid for level in volume.levels]
    assert [grid.spacing for grid in grids] == [(4, 4, 30), (4, 8, 60), (4, 16, 120)]
    assert [grid.origin for grid in grids] == [(0, 0, 0), (0, 2, 15), (0, 6, 45)]
    assert volume.bounding_box.low == (-2, -2, -15)
    np.testing.assert_array_equal(volume.array(0).read().result()[0, 0], np.arange(100).reshape(10, 10))


def test_the_same_image_in_both_versions():
    old, new = (Volume.open(DATA / "viv" / f"blobs_image_v0{v}.ome.zarr", unit="um") for v in (4, 5))
    assert old.shape == new.shape == (3, 1, 12, 12)
    assert old.levels[0].grid == new.levels[0].grid
    np.testing.assert_array_equal(old.read(old.bounding_box), new.read(new.bounding_box))
    assert old.read(old.bounding_box).std() > 0


@pytest.mark.parametrize(
    ("name", "spacing", "origin"),
    [
        ("scale", (4000, 3000, 2000), (0, 0, 0)),
        ("sequenceScaleTranslation", (4000, 3000, 2000), (32000, 21000, 10000)),
        ("affine", (4000, 3000, 2000), (32000, 21000, 10000)),
        # whose image is also turned into a second system; ours is the one that the levels lead to
        ("anisotropic_rotation", (2000, 500, 250), (0, 0, 0)),
    ],
)
def test_coordinate_systems_of_0_6(name, spacing, origin):
    grid = Volume.open(NEUROGLANCER / "v06" / f"{name}.zarr").levels[0].grid
    assert (grid.shape, grid.spacing, grid.origin) == ((27, 226, 186), spacing, origin)


def test_a_turned_grid_is_refused():
    with pytest.raises(VolumeMetadataError, match=r"rotation\.zarr: transformation of type 'rotation'"):
        Volume.open(NEUROGLANCER / "v06" / "rotation.zarr")


def test_labels_and_channels_of_images_without_chunks():
    image = Volume.open(DATA / "ngio" / "v04_tczyx.zarr")
    assert (image.channels, image.label_names) == (("channel_0", "channel_1"), ("label",))
    assert not image.is_labels
    labels = image.label("label")
    assert labels.is_labels
    assert labels.shape == (1, 10, 64, 64)
    assert labels.levels[1].grid.spacing == (1000, 1000, 1000)
    assert not labels.read(labels.bounding_box).any()
    strict = Volume.open(DATA / "ngio" / "v05_c1yx.zarr", strict=True)
    with pytest.raises(VolumeReadError, match=r"v05_c1yx\.zarr: level 0.*is missing. Without strict=True"):
        strict.read(strict.bounding_box)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("ome_zarr_examples/valid/plate-01.zarr", r"a plate with the wells A/1, A/2, B/1, B/2.*A/1/0$"),
        ("ome_zarr_examples/valid/plate-01.zarr/A/2", r"a well with the fields 0: open one.*A/2/0$"),
        ("ome_zarr_examples/valid/plate-01.zarr/A/3/0", r"nothing is there\. .*plate-01\.zarr/A holds 1, 2"),
        ("fiji_java/bf2raw_dataset_v5.ome.zarr", r"a bioformats2raw group with the images 0, 1: open one"),
        ("ngio/v04_tczyx.zarr/labels", r"a group of the label images label: open one"),
        ("ngio/v04_tczyx.zar", r"nothing is there\. .*ngio holds .*Did you mean 'v04_tczyx\.zarr'\?"),
        ("ngio/v04_tczyx.zarr/7", r"nothing is there\. .*v04_tczyx\.zarr holds 0, 1, labels"),
        ("n5_zarr/dimensionOrder.zarr", r"without multiscales metadata, which holds c-order, f-order"),
        ("ome_zarr_examples/invalid/image-01.zarr", r"without multiscales metadata, which holds nothing"),
        (
            "ome_zarr_examples/invalid/image-03.zarr",
            r"level '0': the metadata name it, and no array is there",
        ),
        ("SOURCE.txt", r"SOURCE\.txt: a file\. Expected a folder of OME-Zarr or N5"),
    ],
)
def test_what_is_no_image_says_what_is_there(path, message):
    with pytest.raises(MissingDataError, match=message):
        Volume.open(DATA / path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("invalid/image-02.zarr", r"image-02\.zarr: multiscales \[\]: expected a list"),
        ("invalid/image-04.zarr", r"level '1' of shape \(32, 32\): expected 3 axes"),
        ("warning/image-01.zarr", r"level '1' .* has type float64: expected int64"),
    ],
)
def test_invalid_images_are_refused(path, message):
    with pytest.raises(VolumeMetadataError, match=message):
        Volume.open(DATA / "ome_zarr_examples" / path)


def test_a_field_of_a_plate_and_an_image_of_a_series_open_by_their_paths():
    assert Volume.open(DATA / "ome_zarr_examples/valid/plate-01.zarr/B/2/0").shape == (1, 1, 1000, 1000)
    series = [Volume.open(DATA / "fiji_java/bf2raw_dataset_v5.ome.zarr" / n, unit="nm") for n in "01"]
    assert [volume.name for volume in series] == ["image 0", "image 1"]


@pytest.mark.parametrize("order", ["c-order", "f-order"])
def test_a_plain_array_opens_with_its_spacing(order):
    path = DATA / "n5_zarr/dimensionOrder.zarr" / order
    with pytest.raises(VolumeMetadataError, match=r"no scale\. State .*spacing=\(z, y, x\)"):
        Volume.open(path)
    volume = Volume.open(path, spacing=(40, 8, 4))
    assert (volume.shape, volume.levels[0].grid.spacing) == ((1, 3, 4, 5), (40, 8, 4))
    found = volume.read(volume.bounding_box)[0]
    np.testing.assert_array_equal(found, Volume.open(path.parent / "c-order", spacing=(1, 1, 1)).array(0)[0])
    assert len(np.unique(found)) > 2


@pytest.mark.parametrize("name", ["3d.chunked.mixed.i2.F", "3d.chunked.mixed.compressed.sharded.i2"])
def test_transposed_and_sharded_arrays(name):
    volume = Volume.open(NEUROGLANCER / name, spacing=(1, 1, 1))
    level = volume.levels[0]
    assert (level.chunk, level.shard) == ((3, 3, 1), (3, 3, 1 if name.endswith("F") else 3))
    np.testing.assert_array_equal(volume.array(0)[0], np.arange(27).reshape(3, 3, 3))


def test_a_level_opens_by_its_own_path(tmp_path):
    image = write_volume(tmp_path / "em.zarr", phantom((8, 8, 8)), form=VolumeForm(levels=2))
    whole, coarse = Volume.open(image), Volume.open(image / "s1")
    assert coarse.levels[0].grid == whole.levels[1].grid
    assert coarse.path == str(image / "s1")
    np.testing.assert_array_equal(coarse.array(0)[...], whole.array(1)[...])
    assert Volume.open(coarse.path).levels == coarse.levels


def test_opening_creates_nothing_and_reading_writes_nothing(tmp_path):
    image = write_volume(tmp_path / "em.zarr", phantom((8, 8, 8)))
    before = files_of(tmp_path)
    volume = Volume.open(image)
    volume.read(volume.bounding_box)
    assert volume.label_names == ()
    for path in (tmp_path / "none.zarr", image / "labels" / "mito"):
        with pytest.raises(MissingDataError):
            Volume.open(path)
    assert files_of(tmp_path) == before


def test_metadata_that_are_no_json_or_no_object(tmp_path):
    for text, message in (("{", "not JSON"), ("[1]", "holds list, expected an object"), ("", "not JSON")):
        (tmp_path / "zarr.json").write_text(text)
        with pytest.raises(VolumeMetadataError, match=message):
            Volume.open(tmp_path)
    (tmp_path / "zarr.json").write_text('{"node_type": "array", "shape": [4, 4]}')
    with pytest.raises(VolumeMetadataError, match="metadata of a zarr3 array: KeyError"):
        Volume.open(tmp_path)


def test_many_open_at_once_and_each_tells_its_own_error(tmp_path):
    images = [write_volume(tmp_path / f"{k}.zarr", phantom((4, 4, 4))) for k in range(3)]
    wrong = tmp_path / "9.zarr"
    with pytest.raises(MissingDataError, match=r"9\.zarr"):
        Volume.open_many([*images, wrong])
    found = Volume.open_each([images[0], wrong, images[2]])
    assert [type(each) for each in found] == [Volume, MissingDataError, Volume]
    assert Volume.open_many([]) == []


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_300_volumes_open_in_under_a_second_and_50_mb(tmp_path):
    first = write_volume(tmp_path / "0.zarr", phantom((32, 32, 32)), form=VolumeForm(levels=3))
    paths = [tmp_path / f"{k}.zarr" for k in range(300)]
    for path in paths[1:]:
        os.symlink(first, path)
    Volume.open_many(paths[:3])  # what is made once for a process
    resident, began, start = _resident(), time.process_time(), time.perf_counter()
    volumes = Volume.open_many(paths)
    seconds = min(time.process_time() - began, time.perf_counter() - start)
    assert {len(volume.levels) for volume in volumes} == {3}
    assert seconds < 1
    assert _resident() - resident < 50e6


def _resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_options_that_do_not_fit():
    path = DATA / "ngio" / "v04_tczyx.zarr"
    with pytest.raises(DataError, match=r"channel 'chanel_1': expected one of .*Did you mean 'channel_1'"):
        Volume.open(path, channels=["chanel_1"])
    with pytest.raises(DataError, match="channel 2: expected one of"):
        Volume.open(path, channels=[2])
    with pytest.raises(DataError, match=r"time 9 of \d: expected"):
        Volume.open(path, time=9)
    with pytest.raises(VolumeMetadataError, match=r"spacing \(8\.0, 0\.0, 8\.0\): expected"):
        Volume.open(path, spacing=(8, 0, 8))
    with pytest.raises(DataError, match=r"expected a path, or a URL .* begins with file, s3, gs, http"):
        Volume.open("ftp://host/a.zarr")
