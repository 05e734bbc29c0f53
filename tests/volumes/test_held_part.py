import numpy as np

from voxloom.testing.volumes import phantom
from voxloom.volumes.held_part import HeldPart

LEVEL = phantom((2, 9, 10, 11), "uint16")
PART = HeldPart(LEVEL[:, 2:8, 3:9, 4:11], (2, 3, 4))


def test_it_is_addressed_as_the_level_is():
    window = (slice(3, 7, 2), slice(3, 9), slice(5, 6))
    np.testing.assert_array_equal(PART.cut(window), LEVEL[:, *window])


def test_it_says_what_a_view_says():
    assert PART.shape == (2, 6, 6, 7)
    assert (PART.dtype.numpy_dtype, PART.dtype.name) == (np.dtype("uint16"), "uint16")


def test_some_channels():
    window = (slice(2, 4), slice(4, 5), slice(4, 11))
    np.testing.assert_array_equal(PART[1:].cut(window), LEVEL[1:, *window])
