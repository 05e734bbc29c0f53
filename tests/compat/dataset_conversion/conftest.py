from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Eleven photographs of two classes, none square, of differing sizes."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, count in (("cat", 6), ("dog", 5)):
        (root / name).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 255, (20 + number, 30, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.jpg")
    return root


class Masks:
    """Images with palette masks of class numbers: a dataset, as a user writes one."""

    def __init__(self, count=5, size=(12, 18)):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        rng = np.random.default_rng(index)
        image = Image.fromarray(rng.integers(0, 255, (*self.size, 3), np.uint8))
        mask = Image.fromarray(rng.integers(0, 3, self.size, np.uint8)).convert("P")
        mask.putdata(rng.integers(0, 3, self.size, np.uint8).ravel().tolist())
        mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        return image, mask


@pytest.fixture
def masks():
    return Masks()
