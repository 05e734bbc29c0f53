import numpy as np
import pytest

from voxloom.errors import DataError, UnreadableImageError
from voxloom.formats.pixels import arranged, damage_named, native, placed, refuse_impossible

PLANE = np.arange(20).reshape(4, 5)
COLOURS = np.arange(60).reshape(4, 5, 3)


@pytest.mark.parametrize(
    ("natural", "axes", "shape"),
    [
        ("yx", None, (4, 5)),
        ("yx", "yx", (4, 5)),
        ("yx", "yxc", (4, 5, 1)),
        ("yx", "cyx", (1, 4, 5)),
        ("yx", "xy", (5, 4)),
        ("yx", "zcyx", (1, 1, 4, 5)),
        ("yxc", "yxc", (4, 5, 3)),
        ("yxc", "cyx", (3, 4, 5)),
        ("yxc", "czyx", (3, 1, 4, 5)),
    ],
)
def test_axes_are_added_and_put_in_order(natural, axes, shape):
    pixels = PLANE if natural == "yx" else COLOURS
    got = arranged(pixels, natural, axes, name="a")
    assert got.shape == shape
    assert got.flags.c_contiguous
    back = arranged(got, axes or natural, natural, name="a")
    np.testing.assert_array_equal(back, pixels)


def test_the_first_row_stays_the_first_row():
    got = arranged(COLOURS, "yxc", "cyx", name="a")
    assert got[2, 0, 1] == COLOURS[0, 1, 2]


@pytest.mark.parametrize(
    ("natural", "axes", "message"),
    [
        ("yxc", "yx", "a: 3 channels, where the field has axes 'yx'"),
        ("zyx", "cyx", "a: 4 pages, where the field has axes 'cyx'"),
        ("tyx", "yx", "a: 4 elements along 't'"),
    ],
)
def test_an_axis_that_is_not_wanted_is_never_cut(natural, axes, message):
    with pytest.raises(DataError, match=message):
        arranged(COLOURS, natural, axes, name="a")


def test_placed():
    out = np.zeros_like(PLANE)
    assert placed(PLANE, None, name="a") is PLANE
    assert placed(PLANE, out, name="a") is out
    np.testing.assert_array_equal(out, PLANE)
    for wrong in (out[:3], out.astype(np.float32)):
        with pytest.raises(DataError, match=r"a: int64 of shape \(4, 5\), where the batch takes"):
            placed(PLANE, wrong, name="a")


def test_limits():
    refuse_impossible((2**15, 2**15), 1, 10, ratio=None, name="a")
    with pytest.raises(UnreadableImageError, match="claims to hold 32768 x 32769 pixels; at most 1073741824"):
        refuse_impossible((2**15, 2**15 + 1), 1, 10, ratio=None, name="a")
    refuse_impossible((10, 10), 2, 20, ratio=10, name="a")
    with pytest.raises(UnreadableImageError, match=r"a: .* more than its 19 bytes can"):
        refuse_impossible((10, 10), 2, 19, ratio=10, name="a")


@pytest.mark.parametrize("error", [SyntaxError("odd"), EOFError("odd"), KeyError("odd"), MemoryError("odd")])
def test_damage_is_named_and_its_cause_kept(error):
    with (
        pytest.raises(UnreadableImageError, match=r"a\.png: truncated or damaged \(.*odd") as caught,
        damage_named("a.png"),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_what_is_no_damage_passes():
    with pytest.raises(DataError, match=r"^pages$"), damage_named("a"):
        raise DataError("pages")
    with pytest.raises(KeyboardInterrupt), damage_named("a"):
        raise KeyboardInterrupt


def test_native():
    assert native(PLANE) is PLANE
    assert native(PLANE.astype(">i8")).dtype.isnative
