"""The weights of overlapping tiles along an axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.geometry import tile_starts
from voxloom.inference.blend import FIXED, axis_weights, fixed_weights, window

KINDS = ("hann", "gaussian", "flat")


@st.composite
def lattices(draw):
    tile = draw(st.integers(1, 40))
    step = draw(st.integers(1, tile))
    return tile_starts(draw(st.integers(1, 300)), tile, step), tile


def summed(weights, starts, tile):
    total = np.zeros(starts[-1] + tile, weights.dtype)
    for row, start in zip(weights, starts, strict=True):
        total[start : start + tile] += row
    return total


@given(lattices(), st.sampled_from(KINDS))
def test_shares_sum_to_one_at_every_voxel(lattice, kind):
    starts, tile = lattice
    np.testing.assert_allclose(summed(axis_weights(starts, tile, kind), starts, tile), 1, rtol=1e-12)
    whole = fixed_weights(starts, tile, kind)
    assert (summed(whole, starts, tile) == FIXED).all()
    assert whole.min() >= 0


@given(lattices(), st.sampled_from(KINDS))
def test_whole_numbers_are_near_the_shares(lattice, kind):
    starts, tile = lattice
    off = fixed_weights(starts, tile, kind) / FIXED - axis_weights(starts, tile, kind)
    assert np.abs(off).max() <= 1 / FIXED + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_symmetric_and_positive(kind):
    for length in (1, 2, 7, 128):
        made = window(length, kind)
        assert made.shape == (length,)
        assert made.min() > 0
        np.testing.assert_allclose(made, made[::-1])
        assert made.argmax() in (length // 2, (length - 1) // 2, 0)


def test_an_unknown_window_is_refused():
    with pytest.raises(SchemaError, match="hann, gaussian or flat"):
        window(4, "box")
