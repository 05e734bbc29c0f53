import numpy as np
import pytest

from voxloom.errors import SchemaError
from voxloom.sample import Field, Sample, Schema
from voxloom.transforms import Augment, ChannelsFirst, Compose, MinMaxNormalize, Resize, build


def one(axes, array, kind="image", **more):
    schema = Schema([Field(name="image", kind=kind, axes=axes, dtype=array.dtype.name, **more)])
    return Sample("a", schema, {"image": array})


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)


def test_colours_that_lie_last_are_resized_along_rows_and_columns(colours, rng):
    result = Resize(size=(8, 6))(one("yxc", colours, shape=colours.shape), rng)
    assert result["image"].shape == result.schema["image"].shape == (8, 6, 3)
    expected = colours.reshape(8, 8, 6, 8, 3).mean((1, 3))
    np.testing.assert_allclose(result["image"], expected, rtol=1e-5)
    assert result["image"].flags.c_contiguous


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_the_way_back_goes_by_the_axes_too(rng, fit):
    mask = np.zeros((30, 20, 2), np.uint8)
    mask[5:20, 4:12, 1] = 7
    resize = Resize(size=(60, 60), fit=fit)
    large = resize(one("yxc", mask, "mask"), rng)["image"]
    assert (large.shape, set(np.unique(large))) == ((60, 60, 2), {0, 7})
    np.testing.assert_array_equal(resize.invert(large, (30, 20), kind="mask", axes="yxc"), mask)
    with pytest.raises(SchemaError, match=r"shape \(60, 60, 2\) .* \(60, 60\) in the last two axes"):
        resize.invert(large, (30, 20))


def test_a_spacing_is_changed_along_y_and_x(rng):
    sample = one("zyx", np.zeros((5, 40, 20), np.float32), spacing=(3.0, 0.5, 0.25))
    field = Resize(size=(20, 20))(sample, rng).schema["image"]
    assert (field.shape, field.spacing) == ((5, 20, 20), (3.0, 1.0, 0.25))
    odd = one("yxc", np.zeros((40, 20, 3), np.float32), spacing=(3.0, 0.5, 0.25))
    with pytest.raises(SchemaError, match="one number for each of y, x"):
        Resize(size=(20, 20))(odd, rng)


def test_flips_and_turns_leave_the_channels_where_they_are(colours):
    square = colours[:48]
    augment = Augment(affine=0, elastic=0)
    seen = {augment(one("yxc", square), np.random.default_rng(s))["image"].tobytes() for s in range(60)}
    sides = (square, square[:, ::-1])
    assert seen == {np.rot90(side, k).astype(np.float32).tobytes() for side in sides for k in range(4)}


def test_fields_of_different_axes_move_alike(colours):
    grey = colours[..., 0]
    arrays = {"image": colours, "mask": (grey > 99).astype(np.uint8), "other": grey[np.newaxis]}
    fields = [
        Field(name="image", axes="yxc"),
        Field(name="mask", kind="mask", axes="yx"),
        Field(name="other"),
    ]
    for seed in range(5):
        moved = Augment(affine=1)(Sample("a", Schema(fields), arrays), np.random.default_rng(seed))
        np.testing.assert_array_equal(moved["image"][..., 0], moved["other"][0])
        assert moved["mask"].shape == grey.shape
        assert moved["mask"].dtype == np.uint8


@pytest.mark.parametrize("transform", [Resize(size=(4, 4)), Augment(), ChannelsFirst()])
@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [("c", (16,), "has axes 'c': expected"), ("yxc", (4, 4), r"'yxc' and an array of shape \(4, 4\)")],
)
def test_what_has_no_rows_and_columns_is_refused(transform, axes, shape, words, rng):
    with pytest.raises(SchemaError, match=f"field 'image'.*{words}"):
        transform(one(axes, np.zeros(shape, np.float32)), rng)


def test_a_latent_without_rows_is_refused_unless_it_is_left_out(rng):
    schema = Schema([Field(name="image"), Field(name="z", kind="latent", axes="c")])
    sample = Sample("a", schema, {"image": np.ones((1, 4, 4), np.float32), "z": np.ones(3, np.float32)})
    with pytest.raises(SchemaError, match="field 'z' has axes 'c': expected one y and one x"):
        Augment()(sample, rng)
    assert Augment(fields=("image",))(sample, rng)["z"] is sample["z"]


def test_channels_come_first_with_values_type_and_schema(colours, rng):
    arrays = {"image": colours, "mask": colours[..., 0], "z": np.zeros((2, 4, 8, 8)), "label": np.array(3)}
    fields = [
        Field(name="image", axes="yxc", dtype="uint8", shape=(64, 48, 3), spacing=(2.0, 1.0)),
        Field(name="mask", kind="mask", axes="yx", dtype="uint8", categories=("no", "yes")),
        Field(name="z", kind="latent", axes="vcyx"),
        Field(name="label", kind="class", axes=""),
    ]
    result = ChannelsFirst()(Sample("a", Schema(fields), arrays), rng)
    np.testing.assert_array_equal(result["image"], colours.transpose(2, 0, 1))
    np.testing.assert_array_equal(result["mask"], colours[np.newaxis, ..., 0])
    assert np.shares_memory(result["image"], colours)
    image, mask = result.schema["image"], result.schema["mask"]
    assert (image.axes, image.shape, image.dtype, image.spacing) == ("cyx", (3, 64, 48), "uint8", (2.0, 1.0))
    assert (mask.axes, mask.shape, mask.categories) == ("cyx", None, ("no", "yes"))
    assert all(result[name] is arrays[name] for name in ("z", "label"))
    again = ChannelsFirst()(result, rng)
    assert all(again[name] is result[name] for name in result)


def test_it_is_built_by_name_and_goes_before_the_others(colours, rng):
    steps = build([{"name": "channels_first"}, {"name": "resize", "size": [8, 6]}, {"name": "minmax"}])
    last = Compose(transforms=(Resize(size=(8, 6)), MinMaxNormalize(), ChannelsFirst()))
    first, second = (each(one("yxc", colours), rng) for each in (steps, last))
    np.testing.assert_array_equal(first["image"], second["image"])
    assert first.schema.to_list() == second.schema.to_list()


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64", "float64", ">u2"])
def test_the_values_of_masks_survive_every_movement(dtype, rng):
    values = np.array([0, 1, 2**24 + 1, 2**24 + 3] if dtype != ">u2" else [0, 1, 300, 65535]).astype(dtype)
    mask = np.zeros((32, 32), dtype)
    mask[4:28, 4:28] = values[np.random.default_rng(0).integers(0, 4, (24, 24))]
    moved = Augment(affine=1, elastic=1)(one("yx", mask, "mask"), rng)["image"]
    assert moved.dtype.name == mask.dtype.name
    assert set(np.unique(moved)) == set(values.tolist())
    small = Augment(affine=1, elastic=1)(
        one("yx", (mask > 1).astype(dtype), "mask"), np.random.default_rng(0)
    )
    assert set(np.unique(small["image"])) <= {0, 1}
