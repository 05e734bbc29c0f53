import numpy as np
import pytest

from voxloom.analysis.looking.levels import levels_of
from voxloom.analysis.looking.seen import Seen, spread
from voxloom.sample import Field

IMAGE, MASK = Field(name="image", axes="yx"), Field(name="mask", kind="mask", axes="yx")


def seen(array, field=IMAGE):
    return Seen.of("a", np.asarray(array), field)


def noise(*shape, dtype="float32"):
    return np.random.default_rng(0).normal(100, 20, shape).astype(dtype)


@pytest.mark.parametrize(
    ("array", "stretched"),
    [
        (noise(64, 64).clip(0, 255).astype("uint8").astype("float32"), False),  # whole numbers
        (noise(64, 64).clip(0, 255).astype("uint8") / 255, True),
        (noise(64, 64).clip(0, 255).astype("uint8").astype("uint16") * 257, True),
        (noise(64, 64).clip(0, 255).astype("uint8"), False),  # 8 bits
        (noise(64, 64).astype("uint16"), False),  # a dark 16-bit image
        (noise(64, 64), False),
        (np.eye(8, dtype="float32"), False),  # two values: a mask
    ],
)
def test_8_bit_values_in_a_larger_type(array, stretched):
    assert seen(array).is_stretched is stretched


def test_levels_stop_at_257():
    assert levels_of(np.arange(1000.0)) == (257, False, False)
    assert levels_of(np.zeros(5)) == (1, False, False)


@pytest.mark.parametrize(
    ("array", "share"),
    [
        (np.array([[255, 255], [0, 3]], "uint8"), 0.5),
        (np.array([[254, 254], [0, 3]], "uint8"), 0),
        (np.array([[4095, 7], [0, 3]], "uint16"), 0.25),  # a camera of 12 bits
        (np.array([[4094, 7], [0, 3]], "uint16"), 0),
        (np.array([[1, 1], [0, 0.5]], "float32"), 0.5),
        (np.array([[True, False]]), 0),
    ],
)
def test_the_share_at_the_top(array, share):
    assert seen(array).at_top == share


def test_what_is_not_finite_does_not_count():
    array = np.array([[np.nan, 1, 2], [np.inf, 3, 4]], "float32")
    found = seen(array)
    assert (found.nonfinite, found.maximum, found.levels) == (2, 4, 4)
    assert seen(np.full((2, 2), np.nan)).is_constant


def test_a_mask_counts_its_ids_and_instances_are_too_many():
    assert dict(seen(np.array([[0, 3], [3, 3]]), MASK).ids) == {0: 1, 3: 3}
    assert seen(np.arange(900).reshape(30, 30), MASK).ids is None
    assert seen(np.zeros((2, 2), int), MASK).is_blank
    assert seen(np.zeros((2, 2), int)).ids is None


def test_values_are_spread_and_few():
    array = np.arange(1_000_000)
    some = spread(array, 100)
    assert len(some) == 100
    assert set(np.histogram(some, 10, (0, 1_000_000))[0].tolist()) <= {9, 10, 11}
    assert len(seen(noise(100, 100)).values) == 4096


def test_any_type_can_be_seen():
    for dtype in ("bool", "uint8", "int16", "uint32", "int64", "float16", "float64"):
        found = seen((noise(20, 20) % 2).astype(dtype))
        assert found.dtype == dtype


def eight_bits():
    return noise(96, 96).clip(0, 255).astype("uint8")


@pytest.mark.parametrize(
    "table",
    [
        np.linspace(130, 3977, 256).round(),  # steps of 15 and 16
        (np.arange(256) / 255) ** 2.2 * 60000,
        np.arange(256) * 257,
    ],
    ids=["linear", "gamma", "even"],
)
def test_8_bits_through_a_table_are_seen(table):
    stretched = table.astype("uint16")[eight_bits()]
    assert seen(stretched).is_stretched
    stretched[3, 3] = 4001  # one pixel that was drawn by hand
    assert seen(stretched).is_stretched
    assert seen(table.astype("float32")[eight_bits()] / 7).is_stretched


def test_counts_and_sparse_images_are_not_stretched():
    counts = np.random.default_rng(0).poisson(20, (64, 64))
    assert (seen(counts.astype("float32")).is_stretched, seen(counts.astype("float32")).is_whole) == (
        False,
        True,
    )
    spots = np.zeros((64, 64), "uint16")
    spots.flat[::140] = np.arange(130, 4000, 129)[:30]
    assert (seen(spots).is_stretched, seen(spots).is_sparse, seen(spots).is_constant) == (False, True, False)
    tail = noise(64, 64).astype("uint16")
    tail.flat[::300] = np.arange(300, 4000, 264)[:14]
    assert not seen(tail).is_stretched
