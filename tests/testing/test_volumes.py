import json

import numpy as np
import pytest
import zarr

from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume


@pytest.mark.parametrize(
    "form",
    [
        VolumeForm(),
        VolumeForm(version="0.4"),
        VolumeForm(chunk=(4, 4, 4), shard=(8, 8, 8)),
        VolumeForm(levels=2),
    ],
)
@pytest.mark.parametrize("shape", [(9, 12, 10), (3, 9, 12, 10)])
def test_another_reader_reads_what_was_written(tmp_path, form, shape):
    array = phantom(shape, "uint16")
    path = write_volume(tmp_path / "deep" / "raw.zarr", array, form=form)
    group = zarr.open_group(path, mode="r")
    assert len(list(group.arrays())) == form.levels
    np.testing.assert_array_equal(group["s0"][:], array)


def test_levels_carry_the_shift_of_half_a_voxel(tmp_path):
    path = write_volume(
        tmp_path, phantom((8, 8, 8)), spacing=(8, 4, 4), origin=(100, 0, 0), form=VolumeForm(levels=2)
    )
    datasets = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]["datasets"]
    scale, translation = datasets[1]["coordinateTransformations"]
    assert scale["scale"] == [16, 8, 8]
    assert translation["translation"] == [104, 2, 2]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_label_image_names_its_classes(tmp_path, version):
    form = VolumeForm(version=version)
    path = write_volume(tmp_path, np.ones((4, 4, 4), "uint8"), classes={1: "mito"}, form=form)
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    told = attributes if version == "0.4" else attributes["ome"]
    assert told["image-label"]["properties"] == [{"label-value": 1, "class": "mito"}]


def test_an_ngff_validator_agrees(tmp_path):
    yaozarrs = pytest.importorskip("yaozarrs")
    for version in ("0.4", "0.5"):
        form = VolumeForm(levels=2, version=version)
        yaozarrs.validate_zarr_store(str(write_volume(tmp_path / version, phantom((8, 8, 8)), form=form)))


def test_one_group_a_class(tmp_path):
    masks = {name: np.full((4, 4, 4), value, np.uint8) for name, value in {"mito": 1, "er": 0}.items()}
    assert write_classes(tmp_path / "crop", masks) == f"{tmp_path}/crop/[mito,er]"
    assert zarr.open_group(tmp_path / "crop" / "mito", mode="r")["s0"][0, 0, 0] == 1
