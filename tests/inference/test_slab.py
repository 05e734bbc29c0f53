"""Tiles summed in a rolling slab: exact, whatever the split into units."""

import numpy as np
import pytest

from voxloom.errors import DivergedError
from voxloom.geometry import Grid
from voxloom.inference.lattice import Lattice
from voxloom.inference.slab import Shares, Slab, Values

SHAPE = (23, 18, 21)


def lattice(unit=(64, 64, 64), tile=(8, 8, 8), step=(5, 6, 3)):
    return Lattice(Grid(SHAPE, (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)), tile, step, unit)


def blended(lattice, made, *, values=None, blend="hann"):
    """Blend what `made` gives for the start of each tile, unit by unit."""
    values = values or Values()
    shares = Shares(lattice, blend, fixed=values.is_fixed)
    channels = made((0, 0, 0)).shape[0]
    out = np.full((channels, *SHAPE), 7, values.dtype)
    for unit in lattice:
        box = tuple(slice(a, b) for a, b in zip(unit.low, unit.high, strict=True))
        slab = Slab(unit, channels, lattice.tile[0], values=values, shares=shares)
        part = np.full((channels, *unit.shape), 7, values.dtype)
        for tile in lattice.tiles(unit):
            rolled(slab, part, tile.start[0])
            slab.add(tile, made(tile.start))
        rolled(slab, part, SHAPE[0])
        out[(slice(None), *box)] = part
    return out


def rolled(slab, out, start):
    planes = slab.passed(start)
    slab.take_values(planes, out)
    slab.roll(planes)


def noise(lattice):
    drawn = np.random.default_rng(0)
    made = {}

    def of(start):
        if start not in made:
            made[start] = drawn.random((2, *lattice.tile), np.float32)
        return made[start]

    for tile in lattice.tiles(next(iter(lattice))):
        of(tile.start)
    return of


@pytest.mark.parametrize("blend", ["hann", "gaussian", "flat"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 0.5, 1.0, 1 / 3])
def test_what_all_tiles_agree_on_comes_out_everywhere(blend, constant):
    made = lambda start: np.full((1, 8, 8, 8), constant, np.float32)  # noqa: E731
    assert len(np.unique(blended(lattice(), made, blend=blend))) == 1
    floats = blended(lattice(), made, values=Values("float32"), blend=blend)
    assert (floats == np.float32(constant)).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_split_into_units_changes_nothing(dtype):
    made, values = noise(lattice()), Values(dtype)
    whole = blended(lattice(), made, values=values)
    for unit in ((8, 8, 8), (23, 7, 64), (1, 18, 21)):
        assert np.array_equal(whole, blended(lattice(unit), made, values=values))


def test_sums_are_the_weighted_mean():
    tiling = lattice()
    made = noise(tiling)
    shares = Shares(tiling, "hann", fixed=False)
    expected = np.zeros((2, *SHAPE))
    for tile in tiling.tiles(next(iter(tiling))):
        z, y, x = tile.start
        wz, wy, wx = shares.of(tile)
        weight = wz[:, None, None] * wy[:, None] * wx
        expected[:, z : z + 8, y : y + 8, x : x + 8] += weight * made(tile.start)
    np.testing.assert_allclose(blended(tiling, made, values=Values("float32")), expected, rtol=1e-6)
    assert (
        np.abs(blended(tiling, made) / 255 - expected).max() < 0.1
    )  # weights of 32 steps, tiles that differ


def test_values_between_two_numbers_become_8_bits():
    made = lambda start: np.full((1, 8, 8, 8), 40.0, np.float32)  # noqa: E731
    assert (blended(lattice(), made, values=Values("uint8", 0, 255)) == 40).all()
    assert (blended(lattice(), made, values=Values("uint8", -60, 195)) == 100).all()
    assert (blended(lattice(), made, values=Values("uint8", 0, 10)) == 255).all()  # clipped
    assert (blended(lattice(), made, values=Values("uint16")) == 40).all()


def test_a_tile_larger_than_the_volume_stands_out():
    tiling = Lattice(Grid(SHAPE, (8.0,) * 3, (0.0,) * 3), (32, 32, 32), (32, 32, 32), (16, 16, 16))
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 32, 32, 32))
    made = lambda start: ramp  # noqa: E731
    out = blended(tiling, made, values=Values("float32"))
    assert np.array_equal(out[0], np.broadcast_to(np.arange(21), SHAPE))


def test_the_slab_is_no_deeper_than_a_tile():
    tiling = lattice()
    unit = next(iter(tiling))
    slab = Slab(unit, 3, 8, values=Values(), shares=Shares(tiling, "hann", fixed=True))
    assert slab.nbytes == 3 * 8 * 18 * 21 * 4


def labelled(made, take):
    tiling = lattice()
    unit = next(iter(tiling))
    slab = Slab(unit, made.shape[0], 8, values=Values(), shares=Shares(tiling, "hann", fixed=True))
    for tile in list(tiling.tiles(unit)):
        if tile.start[0] == 0:
            slab.add(tile, made)
    return take(slab)


def test_labels_are_the_strongest_channel():
    made = np.zeros((3, 8, 8, 8), np.float32)
    made[:] = np.array([0.2, 0.5, 0.3], np.float32)[:, None, None, None]
    out = np.zeros((5, 18, 21), np.uint8)
    ids = np.array([4, 5, 6], np.uint8)
    labelled(made, lambda slab: slab.take_labels(range(5), out, ids, 0.0))
    assert (out == 5).all()
    labelled(made, lambda slab: slab.take_labels(range(5), out, ids, 0.5))
    assert (out == 5).all()
    labelled(made, lambda slab: slab.take_labels(range(5), out, ids, 0.51))
    assert (out == 0).all()
    masks = np.zeros((3, 5, 18, 21), np.uint8)
    labelled(made, lambda slab: slab.take_masks(range(5), masks, 0.3))
    assert masks.mean(axis=(1, 2, 3)).tolist() == [0, 1, 1]


def test_nan_is_refused():
    made = np.zeros((1, 8, 8, 8), np.float32)
    made[0, 3, 3, 3] = np.nan
    with pytest.raises(DivergedError, match="NaN in the tile"):
        labelled(made, lambda slab: None)
