import pickle
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import Grid, PatchSpec, tile_starts
from voxloom.sources.tiles import Tiled

NM = (10.0, 4.0, 4.0)
extents = st.tuples(*[st.integers(1, 60)] * 3)


def grid(*shape, origin=(0.0, 0.0, 0.0)):
    return Grid(shape, NM, origin)


def starts(tiles, voxels, index):
    """The first voxel of a tile."""
    at = tiles.at(0, index)
    first = voxels.index(tiles.spec.grid(at.center).origin)
    assert all(abs(place - round(place)) < 1e-6 for place in first)
    return tuple(map(round, first))


@settings(max_examples=1500, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 400), st.integers(0, 400))
def test_each_axis_is_covered_exactly_with_the_last_tile_flush(extent, tile, overlap):
    step = max(-(-tile // 3), tile - overlap)
    extent %= 100 * tile  # more tiles than a hundred say no more
    extent += 1
    shape, spec = (1, 1, extent), PatchSpec(shape=(1, 1, tile), spacing=NM)
    tiles = Tiled([grid(*shape)], spec, step=(1, 1, step))
    found = [starts(tiles, grid(*shape), index)[2] for index in range(len(tiles))]
    if extent < tile:
        assert found == [(extent - tile) // 2]
        return
    assert found == tile_starts(extent, tile, step)
    assert found[0] == 0
    assert found[-1] + tile == extent
    assert all(0 < b - a <= tile for a, b in pairwise(found))


@settings(max_examples=200, deadline=None)
@given(extents, st.tuples(*[st.integers(8, 60)] * 3))
def test_every_voxel_is_covered(shape, patch):
    voxels, tiles = grid(*shape), Tiled([grid(*shape)], PatchSpec(shape=patch, spacing=NM))
    seen = np.zeros(shape, int)
    for index in range(len(tiles)):
        begin = starts(tiles, voxels, index)
        seen[tuple(slice(max(0, b), b + n) for b, n in zip(begin, patch, strict=True))] += 1
    assert seen.min() == 1


def test_datasets_come_one_after_the_other_in_c_order():
    grids = [grid(4, 6, 6), grid(2, 3, 3, origin=(100.0, 100.0, 100.0))]
    tiles = Tiled(grids, PatchSpec(shape=(2, 3, 3), spacing=NM))
    assert len(tiles) == 9
    assert [tiles.at(0, index).volume for index in range(9)] == [0] * 8 + [1]
    assert [starts(tiles, grids[0], index) for index in range(8)] == list(product((0, 2), (0, 3), (0, 3)))
    assert tiles.at(0, 8).center == (105.0, 104.0, 104.0)
    assert tiles.counts(1) == (1, 1, 1)


def test_each_epoch_is_the_same():
    tiles = pickle.loads(pickle.dumps(Tiled([grid(9, 9, 9)], PatchSpec(shape=(4, 4, 4), spacing=NM))))
    assert all(tiles.at(0, index) == tiles.at(5, index) for index in range(len(tiles)))


def test_a_petavoxel_needs_no_list():
    tiles = Tiled([grid(100_000, 100_000, 100_000)], PatchSpec(shape=(96, 96, 96), spacing=NM))
    assert len(tiles) == 1042**3
    assert starts(tiles, tiles.grids[0], len(tiles) - 1) == (99_904,) * 3


@pytest.mark.parametrize("step", [(4, 5, 4), (0, 4, 4)])
def test_gaps_are_refused(step):
    with pytest.raises(SchemaError, match="expected a step"):
        Tiled([grid(9, 9, 9)], PatchSpec(shape=(4, 4, 4), spacing=NM), step=step)


def test_another_spacing_and_no_dataset_are_refused():
    spec = PatchSpec(shape=(4, 4, 4), spacing=(4, 4, 4))
    with pytest.raises(SchemaError, match="spacing"):
        Tiled([grid(9, 9, 9)], spec)
    with pytest.raises(ConfigError, match="at least one"):
        Tiled([], spec)
