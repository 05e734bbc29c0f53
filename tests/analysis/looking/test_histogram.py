import numpy as np
import pytest

from voxloom.analysis.looking.histogram import as_picture, as_svg, histogram_of
from voxloom.analysis.looking.seen import Seen
from voxloom.sample import Field

FIELD = Field(name="image", axes="yx")


def seen(array):
    return [Seen.of("a", np.asarray(array), FIELD)]


def test_whole_numbers_fall_evenly_into_bins():
    for most in (3, 63, 64, 100, 255):
        array = np.arange(most + 1, dtype="uint8").repeat(8).reshape(8, -1)
        made = histogram_of("x", {"": seen(array)})
        width = round((made.high - made.low) / len(made.shares[""]))
        shares = np.array(made.shares[""])
        assert shares.sum() == pytest.approx(1)
        assert np.allclose(shares[:-1], width / (most + 1))  # the last may reach beyond what there is


def test_far_ends_are_left_out_and_told():
    array = np.random.default_rng(0).normal(size=(64, 64))
    array[0, 0] = 1e6
    made = histogram_of("x", {"": seen(array)})
    assert made.high < 10
    assert 0 < made.beyond < 0.01


def test_parts_stand_in_one_drawing():
    made = histogram_of("x", {"train": seen(np.zeros((9, 9)) + 3), "test": seen(np.eye(9))})
    text = as_svg(made)
    assert text.count("<path") == 2
    assert "test" in text
    assert as_picture(made).shape[2] == 3


def test_the_ends_are_values_and_not_bins():
    text = as_svg(histogram_of("x", {"": seen(np.arange(256, dtype="uint8").reshape(16, 16))}))
    assert ">0<" in text
    assert ">255<" in text


def test_no_end_lies_beyond_the_type():
    made = histogram_of("x", {"": seen(np.arange(66, 256, dtype="uint8").reshape(10, 19))})
    assert made.high == 255.5
    assert sum(made.shares[""]) == pytest.approx(1)


def test_nothing_to_count():
    assert histogram_of("x", {"": []}) is None
    assert histogram_of("x", {"": seen(np.full((2, 2), np.nan))}) is None
    assert histogram_of("x", {"": seen(np.full((2, 2), 7))}) is not None


def test_bars_are_one_outline():
    text = as_svg(histogram_of("x", {"": seen(np.arange(256, dtype="uint8").reshape(16, 16))}))
    assert text.count("M") == text.count('z"') == 1  # of several shapes the seams would be seen
