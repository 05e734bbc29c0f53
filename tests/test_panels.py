import numpy as np
import pytest

from voxloom.errors import SchemaError
from voxloom.panels import _GAP, _TITLE, diverging, panel, shaded, window_of

GLYPH = np.zeros((12, 9))  # an F: no flip, no turn and no transposition of it is itself
GLYPH[1:11, 2] = 1
GLYPH[1, 2:8] = 1
GLYPH[5, 2:6] = 1


def tile(picture: np.ndarray, index: int, count: int, shape: tuple[int, int]) -> np.ndarray:
    """Return one image of a panel at its drawn size."""
    column = (picture.shape[1] - _GAP) // count
    left = _GAP + index * column
    return picture[_TITLE : _TITLE + shape[0], left : left + shape[1]]


def glyphs(dtype: str = "float64") -> list[tuple[str, np.ndarray]]:
    return [("condition", GLYPH.astype(dtype)), ("target", GLYPH.astype(dtype)), ("prediction", 0.5 * GLYPH)]


@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16"])
def test_nothing_is_flipped_or_turned(dtype: str) -> None:
    picture = panel(glyphs(dtype), window=(0, 1), size=120)
    assert picture.dtype == np.uint8
    enlarged = GLYPH.repeat(10, 0).repeat(10, 1)
    for index in range(2):
        shown = tile(picture, index, 4, enlarged.shape)
        np.testing.assert_array_equal(shown, np.repeat(enlarged[..., None] * 255, 3, -1))


def test_one_window_for_all_and_a_signed_difference() -> None:
    picture = panel(glyphs(), window=(0, 1), size=120)
    middle = (15, 25)  # on the stem of the F
    grey = [int(tile(picture, i, 4, (120, 90))[middle][0]) for i in range(3)]
    assert grey == [255, 255, 128]
    np.testing.assert_array_equal(tile(picture, 3, 4, (120, 90))[middle], diverging(np.array(-1.0)))
    np.testing.assert_array_equal(tile(picture, 3, 4, (120, 90))[0, 0], diverging(np.array(0.0)))


def test_the_default_window_is_the_targets() -> None:
    target = np.linspace(100, 300, 64 * 64).reshape(64, 64)
    low, high = window_of(target)
    assert (low, high) == pytest.approx((101, 299))
    condition, prediction = target * 0, target + 50
    images = [("condition", condition), ("target", target), ("prediction", prediction)]
    np.testing.assert_array_equal(panel(images), panel(images, window=(low, high)))
    alone = panel(images[:2], difference=False)
    np.testing.assert_array_equal(alone, panel(images[:2], window=(low, high), difference=False))


def test_large_images_are_reduced_and_small_ones_enlarged() -> None:
    large = panel([("a", np.zeros((1000, 900)))], difference=False, size=250)
    small = panel([("a", np.zeros((40, 30)))], difference=False, size=250)
    assert large.shape[0] - small.shape[0] == 1000 // 4 - 40 * 6


def test_blank_and_unfinite_images_are_drawn() -> None:
    image = np.zeros((16, 16))
    image[3, 4] = np.nan
    image[5, 5] = np.inf
    assert window_of(image) == (0, 1)
    assert window_of(np.full((2, 2), np.nan)) == (0, 1)
    assert window_of(np.full((2, 2), 7)) == (7, 8)
    panel([("target", image), ("prediction", image)])


def test_a_sparse_image_keeps_its_few_bright_pixels() -> None:
    image = np.zeros((100, 100))
    image[0, 0], image[0, 1] = 10, 5
    assert window_of(image) == (0, 10)


def test_rows_of_one_shape_stack() -> None:
    rows = [panel(glyphs(), window=(0, high)) for high in (1, 123456)]
    assert rows[0].shape == rows[1].shape


def test_messages() -> None:
    with pytest.raises(SchemaError, match="difference=False"):
        panel(glyphs()[:1])
    with pytest.raises(SchemaError, match="same"):
        panel([("target", GLYPH), ("prediction", GLYPH[:-1])])
    with pytest.raises(SchemaError, match="same"):
        panel([("target", GLYPH[None]), ("prediction", GLYPH[None])])


def test_shades_of_grey_and_of_colour() -> None:
    grey = shaded(np.array([[0, 500, 1000, 2000]], np.uint16), (0, 1000))
    assert grey.shape == (1, 4, 3)
    assert grey[0, :, 1].tolist() == [0, 128, 255, 255]
    colours = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    assert shaded(colours, (0, 11))[1, 1].tolist() == [209, 232, 255]
    assert shaded(np.array([[np.nan]]), (0, 1)).tolist() == [[[0, 0, 0]]]


def test_what_is_coloured_is_drawn_as_it_is() -> None:
    red = np.zeros((12, 9, 3), np.uint8)
    red[..., 0] = 200
    picture = panel([("raw", GLYPH), ("labels", red)], difference=False, size=120)
    np.testing.assert_array_equal(tile(picture, 1, 2, (120, 90)), red.repeat(10, 0).repeat(10, 1))
    large = panel([("a", np.full((600, 500, 3), 7, np.uint8))], difference=False, size=150)
    assert (tile(large, 0, 1, (150, 125)) == 7).all()
    with pytest.raises(SchemaError, match="expected the same"):
        panel([("raw", GLYPH), ("labels", red)])
