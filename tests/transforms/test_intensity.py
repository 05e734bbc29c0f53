import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from voxloom.errors import DataError
from voxloom.sample import Field, Sample, Schema
from voxloom.transforms import ForegroundNormalize, MinMaxNormalize, PercentileNormalize, RangeNormalize

finite = arrays.arrays(
    st.sampled_from([np.float32, np.uint8, np.uint16]),
    st.tuples(st.just(1), st.integers(1, 6), st.integers(1, 6)),
)
ALL = [ForegroundNormalize(), PercentileNormalize(), PercentileNormalize(foreground=True), MinMaxNormalize()]


def run(transform, array, field="image"):
    schema = Schema([Field(name="image", dtype=array.dtype.name)])
    return transform(Sample("a/001", schema, {"image": array}), np.random.default_rng(0))[field]


def by_the_book(image):
    """The older system's rule, word for word."""
    mask = image != 0
    values = image[mask].astype(np.float64)
    std = values.std()
    result = (image.astype(np.float64) - values.mean()) / (std if std > 1e-5 else 1.0)
    result[~mask] = 0
    return result


@settings(deadline=None)
@given(finite.filter(lambda a: np.isfinite(a).all() and np.abs(a.astype(float)).max() < 1e15 and a.any()))
def test_the_foreground_follows_the_rule(image):
    np.testing.assert_allclose(run(ForegroundNormalize(), image), by_the_book(image), rtol=1e-5, atol=1e-6)


def test_the_foreground_has_mean_0_and_deviation_1(rng):
    image = (900 + 40 * rng.normal(size=(1, 64, 64))).astype(np.float32)
    image[:, 10:30] = 0
    result = run(ForegroundNormalize(), image)
    inside = result[image != 0].astype(np.float64)
    assert abs(inside.mean()) < 1e-6
    assert inside.std() == pytest.approx(1, abs=1e-6)
    background = result[image == 0]
    assert (background == 0).all()
    assert not np.signbit(background).any()


def test_negative_values_are_foreground():
    result = run(ForegroundNormalize(), np.array([[[-3.0, 0, 3]]]))
    np.testing.assert_allclose(result, [[[-1, 0, 1]]])


@pytest.mark.parametrize("value", [0, 1e-7, 5, 65535])
def test_constants_become_zeros_without_a_warning(value):
    for transform in ALL:
        image = np.full((1, 3, 4), value, np.float32)
        np.testing.assert_array_equal(run(transform, image), np.zeros((1, 3, 4)))


def test_a_nearly_constant_foreground_is_only_centred():
    image = np.array([[[0, 1, 1 + 2e-6]]])
    assert np.abs(run(ForegroundNormalize(), image)).max() < 2e-6


def test_the_foreground_mask_is_a_field_of_its_own():
    image = np.array([[[0.0, 2, 4, 6]]])
    schema = Schema([Field(name="x", dtype="float64"), Field(name="y", dtype="float64")])
    sample = Sample("a", schema, {"x": image, "y": image[..., ::-1]})
    result = ForegroundNormalize(keep_mask=True)(sample, np.random.default_rng(0))
    assert list(result) == list(result.schema) == ["x", "y", "x_mask", "y_mask"]
    assert result["x"][0, 0, 2] == 0  # the mean is foreground all the same
    assert result["x_mask"].tolist() == [[[0, 1, 1, 1]]]
    assert result["y_mask"].tolist() == [[[1, 1, 1, 0]]]
    assert (result.schema["x_mask"].kind, result.schema["x_mask"].dtype) == ("mask", "uint8")


@pytest.mark.parametrize("transform", [*ALL, RangeNormalize(low=0, high=1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_by_name(transform, bad):
    with pytest.raises(DataError, match=r"'a/001', field 'image': 1 of 3 pixels"):
        run(transform, np.array([[[1, bad, 2]]], np.float32))


def test_or_counted_as_background():
    image = np.array([[[1, np.nan, 3, 0, -np.inf]]], np.float32)
    result = run(ForegroundNormalize(nonfinite="zero"), image)
    np.testing.assert_allclose(result, [[[-1, 0, 1, 0, 0]]])


def test_percentiles_of_the_foreground_keep_the_background(rng):
    image = rng.uniform(100, 200, (1, 50, 50)).astype(np.float32)
    image[:, :25] = 0
    result = run(PercentileNormalize(low=2, high=98, foreground=True), image)
    assert (result[:, :25] == 0).all()
    assert result[:, 25:].mean() == pytest.approx(0.5, abs=0.02)
    whole = run(PercentileNormalize(low=2, high=98), image)
    assert whole[:, 25:].min() > 0.4


@settings(deadline=None)
@given(finite.filter(lambda a: np.isfinite(a).all()), st.sampled_from(ALL[1:]))
def test_results_lie_in_0_to_1_in_the_order_of_the_values(image, transform):
    result = run(transform, image)
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 1
    if not getattr(transform, "foreground", False):
        order = np.argsort(image, axis=None)
        assert (np.diff(result.ravel()[order]) >= 0).all()


@settings(deadline=None)
@given(arrays.arrays(np.uint16, (1, 5, 5)), st.integers(-100, 100), st.integers(1, 70000))
def test_a_range_is_inverted_exactly(image, low, width):
    scale = RangeNormalize(low=low, high=low + width)
    back = scale.invert(run(scale, image))
    spread = np.abs(image.astype(float) - low).max() + width
    np.testing.assert_allclose(back, image, rtol=0, atol=spread * 2**-22)
    if spread < 2**20:
        np.testing.assert_array_equal(np.rint(back), image)


def test_a_range_does_not_clip():
    assert run(RangeNormalize(low=0, high=10), np.array([[[-10, 0, 20]]])).tolist() == [[[-3, -1, 3]]]


@pytest.mark.parametrize("make", [RangeNormalize, PercentileNormalize])
def test_low_lies_below_high(make):
    with pytest.raises(ValidationError, match="expected low below high"):
        make(low=5, high=5)
