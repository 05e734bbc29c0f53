import pytest
from pydantic import ValidationError

from voxloom.config.patches import SegmentationData
from voxloom.transforms import SpatialAugment

RAW = {"raw": {"shape": [8, 16, 16], "spacing": [16, 8, 8]}}


def data(**settings):
    return SegmentationData.model_validate({"split": "a.csv", "inputs": RAW, "classes": ["mito"]} | settings)


def test_little_has_to_be_said():
    made = data()
    assert made.classes.names == ("mito",)
    assert made.target_spec == made.spec
    assert (made.dims, made.size) == (3, (8, 16, 16))
    assert made.augmentation is None


def test_a_flat_patch_is_2d_whatever_axis_is_flat():
    made = data(inputs={"raw": {"shape": [8, 1, 16], "spacing": [8, 8, 8]}})
    assert (made.dims, made.size) == (2, (8, 16))


def test_augmentation_is_a_switch_or_settings():
    assert data(augment=True).augmentation == SpatialAugment()
    assert data(augment={"rotation": 10}).augmentation == SpatialAugment(rotation=10)


def test_it_survives_a_file():
    entry = {"raw": {"raw": "em.zarr"}, "gt": ["a/[mito]", "b"]}
    made = data(split={"train": [entry], "validate": [{"raw": "em.zarr"}]}, augment=True)
    assert SegmentationData.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": {}}, "inputs: none"),
        ({"inputs": RAW | {"far": {"shape": [4, 8, 8], "spacing": [32, 16, 16]}}}, "of different shapes"),
        ({"inputs": {"raw": {"shape": [1, 1, 8], "spacing": [8, 8, 8]}}}, "2 or 3 axes"),
        ({"target": {"shape": [1, 16, 16], "spacing": [16, 8, 8]}}, "the same in both"),
        ({"target": {"shape": [8, 11, 16], "spacing": [16, 8, 8]}}, "odd number of voxels.*10 or 12 along y"),
        ({"classes": []}, "at least one"),
        ({"drawing": {"kind": "often"}}, "random"),
        ({"split": {"train": [{"gt": "x"}]}}, "raw"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        data(**settings)
