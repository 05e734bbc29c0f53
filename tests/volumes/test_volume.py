import json
import pickle
import shutil
from itertools import permutations

import numpy as np
import pytest
import tensorstore as ts
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import MissingDataError, VolumeMetadataError, VolumeReadError
from voxloom.geometry import Box, Grid
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes.description import Description, Level, Options
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.place import Place
from voxloom.volumes.volume import Volume

EXTENT = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}
SPACING = {"t": 1.0, "c": 1.0, "z": 40.0, "y": 8.0, "x": 4.0}


def value(t=0, c=0, z=0, y=0, x=0):
    """Tell by its value where a voxel lies."""
    return (((t * 3 + c) * 4 + z) * 5 + y) * 6 + x


def write_axes(path, axes, *, names=None):
    """Write an image of 0.4 whose axes lie in any order."""
    shape = [EXTENT[axis] for axis in axes]
    array = value(**dict(zip(axes, np.indices(shape), strict=True))).astype("uint16")
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{path}/0/"}}
    metadata = {"chunks": [2] * len(axes), "dimension_separator": "/"}
    ts.open({**spec, "metadata": metadata}, create=True, dtype="uint16", shape=shape).result()[...] = array
    kinds = {"t": "time", "c": "channel"}
    listed = [
        {"name": a, "type": kinds.get(a, "space"), **({"unit": "nm"} if a in "zyx" else {})} for a in axes
    ]
    scale = [{"type": "scale", "scale": [SPACING[a] for a in axes]}]
    image = {"axes": listed, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    omero = {"omero": {"channels": [{"label": name} for name in names]}} if names else {}
    (path / ".zattrs").write_text(json.dumps({"multiscales": [image], **omero}))
    return path


ORDERS = ["yx", "zyx", "cyx", "tyx", "czyx", "tzyx", "tcyx", "tczyx", "xy", "zyxc", "yxc", "ctzyx", "xzytc"]


@pytest.mark.parametrize("axes", [*ORDERS, *map("".join, permutations("zyx"))])
def test_any_axes_in_any_order_are_shown_as_c_z_y_x(tmp_path, axes):
    volume = Volume.open(write_axes(tmp_path, axes))
    shape = tuple(EXTENT[a] if a in axes else 1 for a in "czyx")
    assert volume.shape == shape
    assert volume.levels[0].grid.spacing == ((40.0 if "z" in axes else 8.0), 8.0, 4.0)
    assert volume.levels[0].chunk == tuple(2 if a in axes else 1 for a in "zyx")
    view = volume.array(0)
    assert (view.shape, view.domain.inclusive_min, view.domain.labels) == (shape, (0,) * 4, ("",) * 4)
    c, z, y, x = np.indices(shape)
    np.testing.assert_array_equal(view.read().result(), value(0, c, z, y, x))
    np.testing.assert_array_equal(volume.read(volume.bounding_box), value(0, c, z, y, x))


@pytest.mark.parametrize("axes", ["tczyx", "xzytc", "ctzyx"])
def test_channels_and_a_time_are_chosen(tmp_path, axes):
    path = write_axes(tmp_path, axes, names=["DAPI", "mito", "er"])
    assert Volume.open(path).channels == ("DAPI", "mito", "er")
    volume = Volume.open(path, channels=["er", 0], time=1)
    assert (volume.channels, volume.shape[0]) == (("er", "DAPI"), 2)
    found = volume.read(volume.bounding_box)
    assert [int(found[i, 0, 0, 0]) for i in range(2)] == [value(1, 2), value(1, 0)]
    assert volume.array(0)[1, 3, 4, 5].read().result() == value(1, 0, 3, 4, 5)


def test_channels_without_names_are_numbered(tmp_path):
    assert Volume.open(write_axes(tmp_path, "czyx", names=["only one"])).channels == ("0", "1", "2")


def test_boxes_are_read_in_world_units(tmp_path):
    array = phantom((6, 10, 12), "uint16")
    path = write_volume(tmp_path / "em.zarr", array, spacing=(40, 8, 4), origin=(100, 16, 0))
    volume = Volume.open(path)
    assert volume.bounding_box == Box((80, 12, -2), (320, 92, 46))
    aligned = volume.read(Box((120, 20, 2), (200, 36, 10)))
    np.testing.assert_array_equal(aligned, array[None, 1:3, 1:3, 1:3])
    coarse = volume.read(volume.bounding_box, (40, 16, 8))
    np.testing.assert_allclose(coarse[0, 0, 0, 0], array[0, :2, :2].mean(), atol=1)
    assert coarse.shape == (1, 6, 5, 6)


def test_what_lies_outside(tmp_path):
    array = phantom((4, 4, 4))
    volume = Volume.open(write_volume(tmp_path / "em.zarr", array, spacing=(8, 8, 8)))
    box = Box((-20, -4, -4), (28, 28, 28))
    assert (volume.read(box, fill=9)[0, :2] == 9).all()
    np.testing.assert_array_equal(volume.read(box, outside="mirror")[0, :4], array[[1, 0, 0, 1]])
    with pytest.raises(VolumeReadError, match=r"em\.zarr"):
        volume.read(box, outside="refuse")
    assert (volume.read(Box((1e6, 0, 0), (1e6 + 8, 8, 8))) == 0).all()


def described(spacings):
    levels = [
        Level(f"s{k}", Grid((8, 8, 8), spacing, (0, 0, 0)), (8, 8, 8), (8, 8, 8), np.dtype("u1"))
        for k, spacing in enumerate(spacings)
    ]
    place = Place.of("/nowhere")
    return Volume(Description(place, "x", tuple(levels), "zyx", "zarr3", (0,), ("0",), False, {}, Options()))


def test_the_coarsest_level_that_is_fine_enough_is_chosen():
    volume = described([(4, 4, 4), (8, 8, 8), (16, 16, 16)])
    asked = [(4, 4, 4), (8, 8, 8), (15, 16, 16), (16, 16, 16.0000001), (99, 99, 99), (2, 2, 2), (2, 8, 8)]
    assert [volume.level_for(spacing) for spacing in asked] == [0, 1, 1, 2, 2, 0, 0]


def test_an_axis_that_no_level_has_finer_does_not_hold_back_the_others():
    volume = described([(40, 4, 4), (40, 8, 8), (40, 16, 16), (80, 32, 32)])
    assert [volume.level_for((s, s, s)) for s in (4, 8, 16, 32, 80)] == [0, 1, 2, 2, 3]


steps = st.tuples(*[st.sampled_from([1, 2, 4])] * 3)


@given(st.lists(steps, min_size=1, max_size=4), st.tuples(*[st.floats(0.5, 100)] * 3))
def test_a_level_is_never_coarser_than_asked_where_a_finer_one_is(factors, asked):
    spacings = [tuple(map(float, p)) for p in np.cumprod([(1, 1, 1), *factors], axis=0) * (4.0, 2.0, 3.0)]
    level = described(spacings).level_for(asked)
    for axis in range(3):
        assert spacings[level][axis] <= max(asked[axis], spacings[0][axis]) * 1.00001


def test_levels_by_path(tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((8, 8, 8)), form=VolumeForm(levels=2))
    assert Volume.open(path).level_index("s1") == 1
    with pytest.raises(MissingDataError, match=r"no level 's2'. There are: s0, s1"):
        Volume.open(path).level_index("s2")


def test_a_volume_is_small_and_survives_pickling(tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((8, 8, 8)), form=VolumeForm(levels=3))
    volume = Volume.open(path)
    box = volume.bounding_box
    expected = volume.read(box)
    data = pickle.dumps(volume)
    assert len(data) < 3000
    copy = pickle.loads(data)
    assert (copy.levels, copy.path, repr(copy)) == (volume.levels, volume.path, repr(volume))
    np.testing.assert_array_equal(copy.read(box), expected)
    assert repr(volume).endswith("em.zarr: 1 x 8 x 8 x 8 uint8, 8 x 8 x 8 nm, 3 levels")


def test_label_images(tmp_path):
    image = write_volume(tmp_path / "em.zarr", phantom((4, 4, 4)))
    ids = np.zeros((4, 4, 4), np.uint32)
    ids[1:] = 7
    write_volume(image / "labels" / "cells", ids, classes={7: "mito"})
    attributes = {"ome": {"version": "0.5", "labels": ["cells"]}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (image / "labels" / "zarr.json").write_text(json.dumps(group))
    volume = Volume.open(image)
    assert volume.label_names == ("cells",)
    labels = volume.label("cells")
    assert (labels.is_labels, labels.classes, labels.name) == (True, {7: "mito"}, "cells")
    # a label image is never averaged
    assert set(np.unique(labels.read(labels.bounding_box, (6, 6, 6)))) <= {0, 7}
    with pytest.raises(
        MissingDataError, match=r"no label image 'cell'. There are: cells. Did you mean 'cells'"
    ):
        volume.label("cell")


def test_a_spacing_stated_for_the_image_is_that_of_labels_of_its_size(tmp_path):
    image = write_volume(tmp_path / "em.zarr", phantom((4, 4, 4)))
    write_volume(image / "labels" / "same", phantom((4, 4, 4)), classes={})
    write_volume(image / "labels" / "half", phantom((2, 2, 2)), classes={})
    volume = Volume.open(image, spacing=(5, 5, 5))
    assert volume.label("same").levels[0].grid.spacing == (5, 5, 5)
    with pytest.raises(VolumeMetadataError, match=r"label image 'half'.*with its own spacing"):
        volume.label("half")


def test_what_is_created_and_written_is_read_at_once(tmp_path):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", chunk=(8, 8, 8), shard=(16, 16, 16), levels=2)
    volume = Volume.create(tmp_path / "out.zarr", shape=(16, 16, 16), layout=layout)
    other = Volume.open(volume.path)
    assert not other.read(other.bounding_box).any()
    volume.write(volume.bounding_box, np.full((16, 16, 16), 3, np.uint8))
    volume.downsample()
    for each in (volume, other, Volume.open(volume.path)):
        assert (each.read(each.bounding_box) == 3).all()
        assert (each.read(each.bounding_box, (16, 16, 16)) == 3).all()


def test_a_store_that_is_deleted_while_it_is_read(tmp_path):
    volume = Volume.open(write_volume(tmp_path / "em.zarr", phantom((8, 8, 8))))
    volume.read(volume.bounding_box)
    shutil.rmtree(tmp_path / "em.zarr")
    with pytest.raises(VolumeReadError, match=r"em\.zarr: level 0, .*was removed or moved"):
        volume.read(volume.bounding_box)
    with pytest.raises(VolumeReadError, match=r"em\.zarr: level 0 \('s0'\) cannot be opened"):
        pickle.loads(pickle.dumps(volume)).array(0)


@pytest.mark.parametrize("shard", [None, (16, 16, 16)])
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\7" * 999]
)
def test_damaged_chunks_are_an_error_with_volume_level_and_box(tmp_path, shard, damage):
    form = VolumeForm(chunk=(8, 8, 8), shard=shard)
    path = write_volume(tmp_path / "em.zarr", phantom((16, 16, 16)), form=form)
    chunk = path / "s0" / "c" / "0" / "0" / "0"
    chunk.write_bytes(damage(chunk.read_bytes()))
    volume = Volume.open(path)
    with pytest.raises(VolumeReadError, match=r"em\.zarr: level 0, voxels \[0:16, .*damaged: copy them anew"):
        volume.read(volume.bounding_box)


def test_missing_chunks_have_the_fill_value_or_are_refused(tmp_path):
    array = phantom((16, 8, 8)) | 1
    path = write_volume(tmp_path / "em.zarr", array, form=VolumeForm(chunk=(8, 8, 8)))
    (path / "s0" / "c" / "1" / "0" / "0").unlink()
    volume = Volume.open(path)
    found = volume.read(volume.bounding_box)[0]
    assert found[:8].all()
    assert not found[8:].any()
    strict = Volume.open(path, strict=True)
    assert strict.read(Box((0, 0, 0), (32, 32, 32))).all()
    with pytest.raises(VolumeReadError, match=r"is missing\. Without strict=True"):
        strict.read(strict.bounding_box)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64"])
def test_every_type_of_number_is_read(tmp_path, dtype):
    array = np.arange(64).reshape(4, 4, 4).astype(dtype)
    volume = Volume.open(write_volume(tmp_path / "em.zarr", array))
    assert volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(volume.bounding_box)[0], array)


@pytest.mark.parametrize("extent", [101, 103])
def test_the_whole_of_an_odd_volume_is_the_whole_of_its_levels(tmp_path, extent):
    path = write_volume(tmp_path / "a.zarr", phantom((extent, 8, 8)), form=VolumeForm(levels=2))
    volume = Volume.open(path)
    read = volume.read(volume.bounding_box, np.array([16.0, 16.0, 16.0]))
    np.testing.assert_array_equal(read, volume.array(1).read().result())
