import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import from_numpy

from voxloom.errors import SchemaError
from voxloom.sample import Field
from voxloom.sources import ImageFolder, read_image, write_image, write_png
from voxloom.transforms import Compose, RangeNormalize, Resize, resample

INTERPOLATIONS = ["area", "linear", "cubic", "nearest"]
extents = st.integers(1, 24)


def bump(height, width):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (100 + 50 * np.sin(y / height * 5) + 30 * np.cos(x / width * 4 + 1))[np.newaxis]


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(14, 10), (56, 40), (40, 40), (20, 60)])
def test_the_glyph_keeps_its_orientation(glyph, sample_of, rng, fit, interpolation, size):
    resize = Resize(size=size, fit=fit, interpolation=interpolation)
    result = resize(sample_of(image=glyph), rng)["image"]
    assert result.shape == (1, *size)
    back = resize.invert(result, glyph.shape[-2:])
    right = np.corrcoef(back.ravel(), glyph.ravel())[0, 1]
    others = [np.corrcoef(back.ravel(), other.ravel())[0, 1] for other in (glyph[:, ::-1], glyph[..., ::-1])]
    assert right > 0.85 > max(others)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_from_a_file_through_all_steps_into_a_file(glyph, tmp_path, rng, fit):
    write_png(tmp_path / "in" / "f.png", (glyph * 1000).astype(np.uint16))
    sample = ImageFolder(tmp_path / "in")[0]
    resize, scale = Resize(size=(48, 48), fit=fit), RangeNormalize(low=0, high=1000)
    prepared = Compose(transforms=(resize, scale))(sample, rng)["image"]
    write_image(tmp_path / "out" / "f.tif", scale.invert(resize.invert(prepared, (28, 20))))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "f.tif") > 500, glyph > 0)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(64, 64), (48, 96), (100, 50)])
def test_inversion_restores_the_size_and_nearly_the_image(sample_of, rng, fit, interpolation, size):
    image = bump(70, 45)
    resize = Resize(size=size, fit=fit, interpolation=interpolation)
    back = resize.invert(resize(sample_of(image=image), rng)["image"], (70, 45))
    assert back.shape == image.shape
    assert back.dtype == np.float32
    assert np.abs(back - image).mean() < (2.5 if interpolation == "nearest" else 1)


@settings(deadline=None)
@given(
    extents, extents, extents, extents, st.sampled_from(["stretch", "pad"]), st.sampled_from(INTERPOLATIONS)
)
def test_any_size_to_any_size_and_back(h, w, new_h, new_w, fit, interpolation):
    resize = Resize(size=(new_h, new_w), fit=fit, interpolation=interpolation)
    result = resize._resized(np.full((1, h, w), 3, np.uint16), "image")
    assert result.shape == (1, new_h, new_w)
    back = resize.invert(result, (h, w))
    np.testing.assert_allclose(back, np.full((1, h, w), 3), rtol=1e-5)


def test_padding_keeps_the_aspect_ratio_and_is_exactly_zero(sample_of, rng):
    result = Resize(size=(40, 40), fit="pad")(sample_of(image=np.ones((1, 80, 40), np.float32)), rng)["image"]
    np.testing.assert_array_equal(result[:, :, 10:30], np.ones((1, 40, 20)))
    assert not result[:, :, :10].any()
    assert not result[:, :, 30:].any()


def test_shrinking_by_area_takes_the_mean_and_does_not_alias():
    stripes = np.tile([0.0, 100.0], 32)[np.newaxis, np.newaxis].repeat(64, 1)
    for interpolation in ("area", "linear"):
        np.testing.assert_allclose(resample(stripes, (16, 16), interpolation)[:, 2:-2, 2:-2], 50, atol=2)
    image = bump(64, 64)
    np.testing.assert_allclose(
        resample(image, (16, 16)), image.reshape(1, 16, 4, 16, 4).mean((2, 4)), rtol=1e-5
    )


def test_area_is_linear_where_it_enlarges():
    ramp = np.arange(8, dtype=np.float32).reshape(1, 1, 8)
    np.testing.assert_allclose(resample(ramp, (1, 16))[0, 0, 1:-1], np.arange(1, 15) / 2 - 0.25)
    mixed = resample(bump(64, 16), (16, 64))
    np.testing.assert_allclose(mixed, resample(resample(bump(64, 16), (16, 16)), (16, 64)), rtol=1e-6)


def test_the_size_that_is_there_costs_nothing_and_changes_nothing(sample_of, rng):
    image = bump(16, 16)
    result = Resize(size=(16, 16), interpolation="cubic")(sample_of(image=image), rng)["image"]
    assert result is image or np.shares_memory(result, image)


@settings(deadline=None)
@given(extents, extents, extents, extents)
def test_masks_take_the_nearest_pixel_as_torch_does(h, w, new_h, new_w):
    labels = np.arange(h * w, dtype=np.float32).reshape(1, h, w)
    expected = F.interpolate(from_numpy(labels)[None], size=(new_h, new_w), mode="nearest-exact")[0].numpy()
    got = Resize(size=(new_h, new_w))._resized(labels.astype(np.int64), "mask")
    assert got.dtype == np.int64
    # torch computes the place in float32: it may take the neighbour where two are equally near
    assert (got == expected).mean() > 0.8
    if h % new_h == 0 or new_h % h == 0:
        np.testing.assert_array_equal(got[0, :, 0] // w, expected[0, :, 0] // w)


def test_masks_keep_their_type_and_values_both_ways(sample_of, rng):
    mask = np.zeros((1, 30, 20), np.uint8)
    mask[:, 5:20, 4:12] = 1
    for fit in ("stretch", "pad"):
        resize = Resize(size=(45, 41), fit=fit)
        result = resize(sample_of(mask=mask), rng)["mask"]
        assert result.dtype == np.uint8
        assert set(np.unique(result)) == {0, 1}
        np.testing.assert_array_equal(resize.invert(result, (30, 20), kind="mask"), mask)


def test_images_and_masks_stay_aligned(sample_of, rng):
    mask = np.zeros((1, 90, 70), np.uint8)
    mask[:, 20:60, 10:50] = 1
    result = Resize(size=(45, 50), fit="pad")(sample_of(image=mask * 100.0, mask=mask), rng)
    assert ((result["image"] > 50) == result["mask"]).mean() > 0.98


def test_the_schema_has_the_shape_and_the_spacing(sample_of, rng):
    sample = sample_of(image=np.zeros((1, 40, 20)))
    schema = sample.schema.replace(Field(name="image", spacing=(0.5, 0.25), unit="millimeter"))
    for fit, spacing in (("stretch", (1, 0.25)), ("pad", (1, 0.5))):
        field = Resize(size=(20, 20), fit=fit)(sample.with_arrays({}, schema), rng).schema["image"]
        assert field.shape == (1, 20, 20)
        assert field.spacing == spacing


def test_big_endian_views_and_read_only_arrays(rng, sample_of):
    image = bump(20, 20)
    image.flags.writeable = False
    expected = resample(image, (10, 10))
    np.testing.assert_array_equal(resample(image.astype(">f4"), (10, 10)), expected)
    np.testing.assert_allclose(resample(image[:, ::-1], (10, 10))[:, ::-1], expected, rtol=1e-6)


def test_an_array_of_another_size_is_not_inverted():
    with pytest.raises(SchemaError, match=r"shape \(1, 5, 5\) to bring back: expected \(4, 4\)"):
        Resize(size=(4, 4)).invert(np.zeros((1, 5, 5)), (9, 9))
