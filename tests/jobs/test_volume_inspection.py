"""What inspect says of volumes, and what it draws."""

import json

import numpy as np
import pytest

from voxloom.errors import VolumeMetadataError
from voxloom.jobs.volume_inspection import inspect_volume, volume_listing
from voxloom.jobs.volume_page import write_volume_page
from voxloom.jobs.volume_preview import middle_slices, slices_of
from voxloom.label_colours import colour_of_label
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes import Volume
from voxloom.volumes.creation import create, create_labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import write

SHAPE, SPACING = (20, 40, 60), (16.0, 8.0, 8.0)


@pytest.fixture
def pred(tmp_path):
    path = str(tmp_path / "pred.zarr")
    create(path, shape=SHAPE, layout=VolumeLayout(spacing=SPACING, dtype="uint8", channels=("mito", "er")))
    labels = VolumeLayout(spacing=SPACING, dtype="uint8", kind="labels", classes={1: "mito"})
    create_labels(path, "cells", shape=SHAPE, layout=labels)
    volume = Volume.open(path)
    write(volume, volume.bounding_box, np.full((2, *SHAPE), 100, np.uint8))
    ids = np.zeros(SHAPE, np.uint8)
    ids[:, :20] = 1
    write(volume.label("cells"), volume.bounding_box, ids)
    return path


def test_the_preview_draws_labels_over_the_image(pred):
    sheet = middle_slices(pred, size=60)
    assert sheet.dtype == np.uint8
    hue = np.asarray(colour_of_label(1), float) * 0.5
    tinted = (np.abs(sheet - hue) < 3).all(-1)
    assert tinted.sum() >= 20 * 60  # half of the slice across z, at least
    assert middle_slices(f"{pred}/labels/cells", size=60).shape[1] < sheet.shape[1]


def test_the_listing_names_levels_channels_and_labels(pred):
    found = inspect_volume(pred)
    text = volume_listing(found)
    assert "2 channels: mito, er" in text
    assert "20 x 40 x 60" in text
    assert "1 class: 1 mito" in text
    assert found.labels[0].classes == {1: "mito"}
    assert found.low == (-8.0, -4.0, -4.0)


def test_a_level_that_begins_elsewhere_is_told(tmp_path):
    form = VolumeForm(levels=2)
    path = write_volume(tmp_path / "raw.zarr", phantom((16, 16, 16)), form=form)
    assert "shifted" not in volume_listing(inspect_volume(path))
    file = path / "zarr.json"
    found = json.loads(file.read_text())
    for level in found["attributes"]["ome"]["multiscales"][0]["datasets"]:
        level["coordinateTransformations"] = level["coordinateTransformations"][:1]
    file.write_text(json.dumps(found))
    shifted = inspect_volume(path)
    assert "shifted levels" in [each.name for each in shifted.warnings]  # so on the page and in --json too
    assert ": level s1 begins at 0 nm along z, and would at 4 if" in volume_listing(shifted)


def test_a_legend_names_the_labels_that_occur(pred):
    assert slices_of(pred, size=60).names == (("mito", colour_of_label(1)),)
    sheet = middle_slices(pred, size=60)
    assert (sheet[-22:] == colour_of_label(1)).all(-1).sum() == 12 * 12
    volume = Volume.open(f"{pred}/labels/cells")
    write(volume, volume.bounding_box, np.zeros(SHAPE, np.uint8))
    assert slices_of(pred, size=60).names == ()


def test_probabilities_are_drawn_from_0_to_1_whatever_they_are_stored_as(tmp_path, pred):
    def greys():
        rows = slices_of(pred, size=60).rows
        return {name: int(picture[5, 5, 0]) for name, picture in rows[0]}["er"]

    assert greys() == 0  # a constant image
    marks = tmp_path / "pred.zarr.prediction"
    marks.mkdir()
    (marks / "plan.json").write_text(json.dumps({"plan": {"write": ["probabilities"]}}))
    assert greys() == 100


def test_what_will_hurt_is_told(pred):
    names = [each.name for each in inspect_volume(pred).warnings]
    assert names == ["constant", "constant"]  # both channels
    labels = Volume.open(f"{pred}/labels/cells")
    write(labels, labels.bounding_box, np.full(SHAPE, 7, np.uint8))
    assert "cells: ids without a class: 7" in volume_listing(inspect_volume(pred))
    write(labels, labels.bounding_box, np.zeros(SHAPE, np.uint8))
    assert "empty labels" in [each.name for each in inspect_volume(pred).warnings]


def test_labels_of_another_spacing_or_another_place_are_told(tmp_path):
    raw = write_volume(tmp_path / "raw.zarr", phantom((16, 16, 16)))
    layout = VolumeLayout(spacing=(8, 4, 4), origin=(9000, 0, 0), dtype="uint8", kind="labels", levels=1)
    create(str(tmp_path / "gt.zarr"), shape=(8, 8, 8), layout=layout)
    found = inspect_volume(tmp_path / "gt.zarr", raw=str(raw)).warnings
    assert {"spacing", "apart", "empty labels"} <= {each.name for each in found}


@pytest.fixture
def bare(tmp_path):
    """Return the path of a volume whose metadata say no unit."""
    path = write_volume(tmp_path / "bare.zarr", phantom((8, 16, 16)))
    file = path / "zarr.json"
    found = json.loads(file.read_text())
    for axis in found["attributes"]["ome"]["multiscales"][0]["axes"]:
        axis.pop("unit", None)
    file.write_text(json.dumps(found))
    return path


def test_a_volume_without_a_unit_can_be_looked_at(bare, tmp_path):
    with pytest.raises(VolumeMetadataError, match="no unit"):
        Volume.open(bare)
    found = inspect_volume(bare)
    assert [each.name for each in found.warnings if each.severity == "warning"] == ["no unit"]
    assert "spacing (no unit)" in volume_listing(found)
    assert " nm" not in volume_listing(found).split("warning")[0]
    assert middle_slices(str(bare)).size
    assert "no unit" in write_volume_page(tmp_path / "v.html", found, slices_of(str(bare))).read_text()
    assert "no unit" not in [each.name for each in inspect_volume(bare, unit="micrometer").warnings]


@pytest.mark.parametrize(("side", "unit", "shown"), [(8, "nm", "8"), (650, "µm", "0.65"), (1e6, "mm", "1")])
def test_lengths_are_told_in_a_unit_that_suits_them(tmp_path, side, unit, shown):
    raw = write_volume(tmp_path / "raw.zarr", phantom((8, 8, 8)), spacing=(side,) * 3)
    lines = volume_listing(inspect_volume(raw)).splitlines()
    assert f"spacing in {unit}" in lines[3]
    assert f"{shown} x {shown} x {shown}" in lines[4]
    assert "e+" not in "".join(lines)


def test_small_volumes_are_enlarged_and_their_names_are_whole(pred):
    sheet = middle_slices(pred)
    assert sheet.shape[1] > 600
    assert slices_of(pred).rows[0][0][1].shape == (240, 360, 3)  # 6 times


def test_a_page_has_the_slices_the_legend_and_the_levels(pred, tmp_path):
    page = write_volume_page(tmp_path / "page.html", inspect_volume(pred), slices_of(pred, size=60))
    text = page.read_text()
    assert text.count("<img ") == 3 * 4 + 1  # rows of image, labels, two channels; and the dialog's
    assert "mito" in text
    assert "20 x 40 x 60" in text
    assert "http" not in text.replace("http-equiv", "")
