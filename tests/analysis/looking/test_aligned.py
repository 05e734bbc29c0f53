import numpy as np
import pytest

from voxloom.analysis.looking.aligned import misalignment


def scenes(number):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    masks = [
        np.any(
            [np.hypot(y - a, x - b) < r for a, b, r in rng.uniform((8, 8, 3), (56, 56, 10), (5, 3))], axis=0
        )
        for _ in range(number)
    ]
    return [(m * 50 + rng.normal(100, 10, m.shape)).astype("float32") for m in masks], masks


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (lambda p: p, ""),
        (lambda p: p[::-1], "mirrored in y"),
        (lambda p: p[:, ::-1], "mirrored in x"),
        (lambda p: np.rot90(p), "turned by 90 degrees"),
        (lambda p: np.rot90(p, 3), "turned by 270 degrees"),
        (lambda p: np.rot90(p, 2), "turned by 180 degrees"),
        (lambda p: np.rot90(p[::-1]), "mirrored in y and turned by 90 degrees"),
        (lambda p: np.rot90(p[::-1], 3), "mirrored in y and turned by 270 degrees"),
        (lambda p: np.roll(p, (-3, 6), (0, 1)), "shifted by about (-3, 6) px (y, x)"),
        (lambda p: np.kron(p, np.ones((2, 2))), ""),
    ],
)
def test_how_the_second_side_lies(moved, told):
    images, masks = scenes(20)
    assert misalignment((images, [moved(mask).astype("float32") for mask in masks]))[0] == told


def test_unrelated_or_few_sides_say_nothing():
    images, masks = scenes(24)
    assert misalignment((images, masks[5:] + masks[:5])) == ("", 0.0)
    assert misalignment((images[:8], [mask[::-1] for mask in masks[:8]])) == ("", 0.0)
