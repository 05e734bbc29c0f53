import numpy as np
import pytest
from PIL import Image

from voxloom.conversion.pixels import MODES, in_mode, resized
from voxloom.errors import SchemaError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 255, (21, 33, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 2**16, (21, 33), dtype=np.uint16)


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box"])
def test_eight_bits_are_resized_as_pillow_does(name):
    method = Image.Resampling[name.upper()]
    for size in ((8, 10), (40, 50), (21, 10)):
        wanted = np.asarray(Image.fromarray(COLOUR).resize(size[::-1], method))
        found = resized(COLOUR, "yxc", size, name)
        assert np.abs(found.astype(int) - wanted).max() <= (2 if name == "bicubic" else 1)
        moved = resized(np.moveaxis(COLOUR, -1, 0), "cyx", size, name)
        np.testing.assert_array_equal(np.moveaxis(moved, 0, -1), found)
        grey = resized(COLOUR[..., 0], "yx", size, name)
        np.testing.assert_array_equal(grey, found[..., 0])


def test_what_may_not_be_written_to_is_resized_too():
    mapped = COLOUR.copy()
    mapped.flags.writeable = False
    np.testing.assert_array_equal(
        resized(mapped, "yxc", (5, 5), "bilinear"), resized(COLOUR, "yxc", (5, 5), "bilinear")
    )


def test_sixteen_bits_keep_their_precision_and_their_range():
    small = resized(GREY16, "yx", (8, 10), "lanczos")
    exact = np.asarray(Image.fromarray(GREY16.astype(np.float32)).resize((10, 8), Image.Resampling.LANCZOS))
    assert small.dtype == np.uint16
    assert np.abs(small - np.clip(exact, 0, 65535).astype(np.float64)).max() <= 0.5
    assert len(np.unique(small % 256)) > 50  # not eight bits that were spread


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool", "uint8"])
def test_a_constant_stays_what_it_is(dtype):
    flat = np.ones((2, 9, 7, 4), dtype)
    big = resized(flat, "nyxc", (12, 11), "bicubic")
    np.testing.assert_allclose(big, np.ones((2, 12, 11, 4), dtype), rtol=1e-15 if dtype == "float64" else 0)
    assert big.dtype == dtype


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "float64"])
@pytest.mark.parametrize("size", [(7, 5), (40, 66), (21, 33), (1, 1)])
def test_nearest_invents_no_number(dtype, size):
    mask = GREY16.astype(dtype)
    found = resized(mask, "yx", size, "nearest")
    wanted = Image.fromarray(GREY16.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(found, np.asarray(wanted).astype(dtype))
    assert found.dtype == dtype


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "1"])
def test_modes_are_those_of_pillow(mode):
    wanted = np.asarray(Image.fromarray(COLOUR).convert("L" if mode == "1" else mode))
    np.testing.assert_array_equal(in_mode(COLOUR, mode), wanted >= 128 if mode == "1" else wanted)


def test_values_keep_their_scale():
    np.testing.assert_array_equal(in_mode(GREY16, "F"), GREY16.astype(np.float32))
    np.testing.assert_array_equal(in_mode(COLOUR[..., :1], "I;16"), COLOUR[..., 0].astype(np.uint16))
    np.testing.assert_allclose(in_mode(COLOUR, "F"), in_mode(COLOUR, "L"), atol=0.51)
    np.testing.assert_array_equal(in_mode(COLOUR > 100, "RGB"), (COLOUR > 100) * np.uint8(255))


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_that_is_there_changes_nothing(mode):
    dtype, channels = MODES[mode]
    pixels = np.ones((3, 4, channels) if channels > 1 else (3, 4), dtype)
    assert in_mode(pixels, mode) is pixels


@pytest.mark.parametrize(
    ("pixels", "mode"), [(GREY16, "L"), (GREY16.astype("f8"), "I;16"), (COLOUR[..., [0] * 5], "L")]
)
def test_nothing_is_cut_to_fit(pixels, mode):
    with pytest.raises(SchemaError, match="does not go into mode"):
        in_mode(pixels, mode, name="a")


def test_float32_is_not_given_what_it_would_change():
    for pixels in (
        np.array([[2**24 + 1]], np.int32),
        np.array([[1e300]]),
        np.array([[2**24 + 1]], np.uint32),
    ):
        with pytest.raises(SchemaError, match=r"does not go into mode 'F'.* [Ll]eave mode out"):
            in_mode(pixels, "F", name="a")
    for dtype in ("float16", "int16", "int8"):
        small = GREY16.astype(np.int16).astype(dtype)
        np.testing.assert_array_equal(in_mode(small, "F"), small.astype(np.float32))


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box"])
@pytest.mark.parametrize("size", [(7, 5), (40, 66), (8, 33), (1, 1)])
def test_wide_numbers_are_resized_as_pillow_does_the_narrow_ones(name, size):
    grey = GREY16.astype(np.float64) / 7
    wanted = np.asarray(
        Image.fromarray(grey.astype(np.float32)).resize(size[::-1], Image.Resampling[name.upper()])
    )
    np.testing.assert_allclose(resized(grey, "yx", size, name), wanted, rtol=1e-5, atol=0.01)
    complicated = resized(grey + 2j * grey, "yx", size, name)
    np.testing.assert_allclose(complicated.imag, 2 * complicated.real, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float64"])
def test_wide_numbers_keep_all_their_digits(dtype):
    value = 2**53 if dtype in ("int64", "uint64") else 2**31 - 3 if dtype != "float64" else 1e300
    flat = np.full((4, 6), value, dtype)
    found = resized(flat, "yx", (3, 3), "bilinear")
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(float), float(value), rtol=1e-15)
    np.testing.assert_array_equal(resized(flat - flat + 2**24 + 1, "yx", (2, 3), "box"), 2**24 + 1)


def test_integers_that_no_float_holds_are_refused():
    with pytest.raises(SchemaError, match=r"up to 2\*\*53.*nearest"):
        resized(np.full((4, 4), 2**53 + 1), "yx", (2, 2), "bilinear")
