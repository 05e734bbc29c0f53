"""Tiles and units over a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.geometry import Grid
from voxloom.inference.lattice import Lattice


def grid(*shape):
    return Grid(shape, (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))


@given(
    st.tuples(*[st.integers(1, 40)] * 3), st.tuples(*[st.integers(1, 16)] * 3),
    st.tuples(*[st.floats(0.2, 1)] * 3), st.tuples(*[st.integers(3, 50)] * 3),
)  # fmt: skip
def test_a_unit_has_each_tile_that_reaches_into_it(shape, tile, overlap, unit):
    step = tuple(max(1, int(t * part)) for t, part in zip(tile, overlap, strict=True))
    lattice = Lattice(grid(*shape), tile, step, unit)
    covered = np.zeros(shape, int)
    for each in lattice:
        covered[tuple(slice(a, b) for a, b in zip(each.low, each.high, strict=True))] += 1
        for axis in range(3):
            starts = lattice.starts[axis]
            reaching = [
                i for i, s in enumerate(starts) if s < each.high[axis] and s + tile[axis] > each.low[axis]
            ]
            assert list(lattice._reaching(each.low[axis], each.high[axis], axis)) == reaching
    assert (covered == 1).all()
    assert lattice.predicted == sum(map(lattice.tile_count, lattice)) >= lattice.places


def test_units_are_numbered_with_x_fastest():
    lattice = Lattice(grid(20, 20, 20), (10, 10, 10), (10, 10, 10), (10, 10, 10))
    assert [lattice[i].low for i in (0, 1, 2, 4)] == [(0, 0, 0), (0, 0, 10), (0, 10, 0), (10, 0, 0)]
    with pytest.raises(IndexError):
        lattice[8]


def test_steps_that_leave_gaps_are_refused():
    with pytest.raises(SchemaError, match="gaps"):
        Lattice(grid(20, 20, 20), (10, 10, 10), (11, 10, 10), (10, 10, 10))
    with pytest.raises(SchemaError, match="units"):
        Lattice(grid(20, 20, 20), (10, 10, 10), (10, 10, 10), (0, 10, 10))
