import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxloom.errors import SchemaError
from voxloom.geometry import Grid
from voxloom.volumes.pyramid import downsample_block, halvings, level_grids

INTEGERS = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FACTORS = [f for f in itertools.product((1, 2), repeat=3) if f != (1, 1, 1)]
SHAPES = st.tuples(*[st.integers(1, 5)] * 3)


def blocks(array, factors):
    """Yield (index of a coarse voxel, the values it is made of), slowly and surely."""
    coarse = [-(-n // f) for n, f in zip(array.shape, factors, strict=True)]
    for index in itertools.product(*map(range, coarse)):
        part = array[tuple(slice(i * f, i * f + f) for i, f in zip(index, factors, strict=True))]
        yield index, [value.item() for value in part.ravel()]


def naive_mean(values):
    return round(Fraction(sum(map(int, values)), len(values)))


def naive_mode(values):
    counts = Counter(map(int, values))
    return min(value for value, count in counts.items() if count == max(counts.values()))


def few_values(dtype):
    """Values that tie and round often, and the ends of the type."""
    if dtype == "bool":
        return st.booleans()
    info = np.iinfo(dtype)
    near = st.integers(max(info.min, -3), 4)
    return near | st.integers(info.max - 2, info.max) | st.integers(info.min, info.min + 2)


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(deadline=None, max_examples=15)
@given(data=st.data(), factors=st.sampled_from(FACTORS))
def test_integers_are_reduced_as_by_hand(dtype, data, factors):
    array = data.draw(hnp.arrays(dtype, SHAPES, elements=few_values(dtype)))
    for kind, naive in (("image", naive_mean), ("labels", naive_mode)):
        reduced = downsample_block(array, factors, kind)
        assert reduced.dtype == array.dtype
        for index, values in blocks(array, factors):
            assert int(reduced[index]) == naive(values), (kind, index, values)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@settings(deadline=None, max_examples=15)
@given(data=st.data(), factors=st.sampled_from(FACTORS))
def test_floats_are_means(dtype, data, factors):
    numbers = st.floats(-1000, 1000, width=16)
    array = data.draw(hnp.arrays(dtype, SHAPES, elements=numbers))
    reduced = downsample_block(array, factors, "image")
    assert reduced.dtype == array.dtype
    for index, values in blocks(array, factors):
        expected = np.asarray(sum(values) / len(values)).astype(dtype)
        np.testing.assert_allclose(reduced[index], expected, rtol=2e-3 if dtype == "float16" else 1e-6)


def test_channels_stay_apart_and_the_order_of_bytes_does_not_matter():
    array = np.random.default_rng(0).integers(0, 999, (2, 3, 5, 4, 6))
    whole = downsample_block(array, (2, 1, 2), "image")
    assert whole.shape == (2, 3, 3, 4, 3)
    assert (whole[1, 2] == downsample_block(array[1, 2], (2, 1, 2), "image")).all()
    swapped = downsample_block(array.astype(">i8")[:, :, :, ::-1], (2, 1, 2), "labels")
    assert (swapped == downsample_block(array, (2, 1, 2), "labels")[:, :, :, ::-1]).all()


def test_nothing_to_halve_is_a_copy():
    array = np.arange(8).reshape(2, 2, 2)
    copy = downsample_block(array, (1, 1, 1), "image")
    assert (copy == array).all()
    assert not np.shares_memory(copy, array)


def test_a_nan_makes_its_voxel_nan_alone():
    array = np.ones((2, 2, 4), np.float32)
    array[0, 0, 0] = np.nan
    np.testing.assert_array_equal(downsample_block(array, (2, 2, 2), "image"), [[[np.nan, 1]]])


@pytest.mark.parametrize(
    ("array", "factors", "kind", "told"),
    [
        (np.zeros((2, 2)), (2, 2, 2), "image", "shape"),
        (np.zeros((2, 2, 2), complex), (2, 2, 2), "image", "complex128"),
        (np.zeros((2, 2, 2)), (2, 2, 2), "labels", "booleans or integers"),
        (np.zeros((2, 2, 2)), (4, 2, 2), "image", "1 or 2"),
    ],
)
def test_what_cannot_be_reduced_is_refused(array, factors, kind, told):
    with pytest.raises(SchemaError, match=told):
        downsample_block(array, factors, kind)


@settings(max_examples=40)
@given(
    shape=st.tuples(*[st.integers(1, 3000)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 200)] * 3),
    origin=st.tuples(*[st.floats(-1e5, 1e5)] * 3),
)
def test_levels_lie_over_each_other(shape, spacing, origin):
    grids = level_grids(Grid(shape, spacing, origin))
    assert max(grids[-1].shape) <= 128
    for grid in grids:
        for axis in range(3):
            factor = round(grid.spacing[axis] / spacing[axis])
            assert grid.shape[axis] == -(-shape[axis] // factor)
            expected = origin[axis] + (factor - 1) / 2 * spacing[axis]
            assert grid.origin[axis] == pytest.approx(expected, abs=1e-6 * spacing[axis])
    ratio = [max(g.spacing) / min(g.spacing) for g in grids if min(g.shape) > 1]
    assert all(b <= max(a, 2) * (1 + 1e-9) for a, b in itertools.pairwise(ratio))


def test_thick_slices_wait_for_the_other_axes():
    assert halvings((50, 900, 900), (50, 5, 5)) == (1, 2, 2)
    assert halvings((50, 900, 900), (50, 40, 40)) == (2, 2, 2)
    assert halvings((50, 900, 900), (8, 40, 40)) == (2, 1, 1)


def test_an_axis_of_one_voxel_is_left_alone():
    assert halvings((1, 64, 64), (1, 8, 8)) == (1, 2, 2)
    assert halvings((1, 1, 1), (1, 8, 8)) == (1, 1, 1)
    assert [g.shape for g in level_grids(Grid((1, 5, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), 4)][-1] == (
        1,
        1,
        1,
    )


def test_more_levels_than_voxels_are_refused():
    with pytest.raises(SchemaError, match="at most 3"):
        level_grids(Grid((4, 4, 4), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)), 4)
