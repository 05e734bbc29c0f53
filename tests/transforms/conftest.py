import numpy as np
import pytest

from voxloom.sample import Field, Sample, Schema


def make(**arrays):
    """A sample; fields named mask are masks, others images."""
    fields = [
        Field(name=name, kind="mask" if "mask" in name else "image", dtype=array.dtype.name)
        for name, array in arrays.items()
    ]
    return Sample("folder/key", Schema(fields), arrays)


@pytest.fixture
def sample_of():
    return make


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def glyph():
    """The letter F on 28 x 20 pixels: no flip, turn or transposition maps it to itself."""
    letter = np.zeros((7, 5), np.float32)
    letter[1:6, 1] = letter[1, 1:4] = letter[3, 1:3] = 1
    return np.kron(letter, np.ones((4, 4), np.float32))[np.newaxis]


@pytest.fixture
def square_glyph(glyph):
    return np.pad(glyph, ((0, 0), (2, 2), (6, 6)))
