import numpy as np

from voxloom.analysis.looking.seen import Seen
from voxloom.analysis.looking.values import check_fields, check_parts, check_sizes, check_values
from voxloom.sample import Field

FIELD = Field(name="image", axes="yx")
COLOUR = Field(name="image", axes="yxc")


def noise(seed=0, *, mean=100.0, shape=(32, 32), dtype="uint8"):
    return np.random.default_rng(seed).normal(mean, 20, shape).clip(0, 250).astype(dtype)


def seen(arrays, field=FIELD):
    return [Seen.of(f"k{i}", array, field) for i, array in enumerate(arrays)]


def names(arrays, field=FIELD):
    return [each.name for each in check_values(field, seen(arrays, field))]


def test_ordinary_images_give_no_alarm():
    assert names([noise(i) for i in range(10)]) == []
    assert names([noise(i, dtype="uint16") for i in range(10)]) == []
    assert names([noise(i, shape=(32, 32, 3)) for i in range(4)], COLOUR) == []


def test_mixed_sizes_types_and_channels_name_the_odd_ones():
    found = check_values(FIELD, seen([noise(), noise(1), noise(2, shape=(30, 32))]))
    assert [(each.name, each.keys) for each in found] == [("sizes", ("k2",))]
    assert found[0].what == "2 sizes; most 32 x 32 (2 of 3)"
    assert found[0].severity == "note"
    assert "types" in names([noise(), noise(1), noise(2, dtype="uint16")])
    assert "channels" in names([noise(shape=(8, 8, 3)), noise(shape=(8, 8, 1))], COLOUR)


def test_constant_and_nearly_empty_images():
    speck = np.zeros((32, 32), np.uint8)
    speck[3, 3:8] = range(5)
    found = check_values(FIELD, seen([noise(), np.full((32, 32), 7, np.uint8), speck]))
    assert [(each.name, each.keys) for each in found] == [("constant", ("k1",)), ("sparse", ("k2",))]
    assert found[1].severity == "note"


def test_saturated_images_but_not_masks():
    bright = noise()
    bright[:4] = 255
    assert names([bright, noise(1)]) == ["saturated"]
    assert names([(noise(i) > 100).astype("uint8") * 255 for i in range(3)]) == ["labels as images"]


def test_8_bit_stretched_and_nan():
    assert names([noise().astype("float32") / 255, noise(1).astype("float32")]) == [
        "stretched",
        "whole numbers",
    ]
    odd = np.random.default_rng(0).normal(size=(32, 32))
    odd[0, 0] = np.nan
    assert names([odd]) == ["nonfinite"]
    latent = Field(name="z", kind="latent", axes="yx")
    assert names([odd], latent) == ["nonfinite"]


def test_files_that_use_few_bits():
    deep = noise(dtype="uint16") * 200 + np.arange(1024, dtype="uint16").reshape(32, 32)
    found = check_values(FIELD, seen([deep, deep + 1, noise(dtype="uint16")]))
    assert [(each.name, each.keys) for each in found] == [("depths", ("k2",))]


def test_fields_of_very_different_ranges():
    small = seen([np.random.default_rng(0).random((32, 32))])
    assert check_fields({"a": small, "b": small}) == []
    (found,) = check_fields({"a": small, "b": seen([noise()])})
    assert found.name == "ranges of fields"
    assert found.numbers["ratio"] > 50


def test_parts_of_other_brightness_or_type():
    one, other = (seen([noise(i, mean=mean) for i in range(8)]) for mean in (60, 190))
    assert check_parts("image", {"train": one, "test": one}) == []
    (found,) = check_parts("image", {"train": one, "test": other})
    assert found.name == "ranges of parts"
    assert "in train" in found.what
    assert [each.name for each in check_parts("image", {"a": one[:2], "b": other[:2]})] == []  # too few
    deep = seen([noise(i, dtype="uint16") for i in range(3)])
    assert [each.name for each in check_parts("image", {"a": one, "b": deep})] == ["types"]


def test_fields_of_one_sample_that_differ_in_size():
    mask = Field(name="mask", kind="mask", axes="yx")
    images = [Seen.of(f"k{i}", noise(i), FIELD) for i in range(3)]
    masks = [Seen.of(f"k{i}", np.zeros((32, 30 + i), np.uint8), mask) for i in range(3)]
    (told,) = check_sizes({"image": FIELD, "mask": mask}, {"image": images, "mask": masks})
    assert (told.severity, told.keys) == ("warning", ("k0", "k1"))
    assert told.what == "fields of one sample differ in size (image 32 x 32, mask 32 x 30) in 2 of 3 samples"
    assert check_sizes({"image": FIELD}, {"image": images}) == []


def test_parts_that_differ_in_size_or_channels():
    grey, colour = (
        seen([noise(i) for i in range(3)]),
        seen([noise(i, shape=(64, 32, 3)) for i in range(3)], COLOUR),
    )
    told = {each.name: each.what for each in check_parts("image", {"train": colour, "test": grey})}
    assert told["channels"] == "channels differ between the parts: train 3, test 1"
    assert told["sizes"] == "sizes differ between the parts: train 64 x 32, test 32 x 32"
