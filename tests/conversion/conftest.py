import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # slow_source, for worker processes too


def tree(folder):
    """Return the digest of each file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def same_tree():
    return lambda one, other: tree(one) == tree(other) and tree(one) != {}


@pytest.fixture
def photos(tmp_path):
    """Two classes of colour files of several kinds and sizes, with a name that is not ASCII."""
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for number, name in enumerate(["cat/a.png", "cat/b ü.jpg", "dog/c.png", "dog/d.jpg", "dog/e.tif"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (20 + number, 30 - number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return root
