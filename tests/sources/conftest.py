import numpy as np
import pytest


@pytest.fixture
def glyph():
    """The letter F on 14 x 10 pixels: no flip, turn or transposition maps it to itself."""
    letter = np.zeros((7, 5), np.uint8)
    letter[1:6, 1] = letter[1, 1:4] = letter[3, 1:3] = 1
    return np.kron(letter, np.ones((2, 2), np.uint8)) * 200


@pytest.fixture
def image(glyph):
    return glyph.astype(np.float32) + np.arange(glyph.size, dtype=np.float32).reshape(glyph.shape) / 7
