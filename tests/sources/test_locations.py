import math
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import Grid, PatchSpec
from voxloom.sources.locations import Random, centers_of

NM = (8.0, 4.0, 4.0)


def grid(*shape, origin=(0.0, 0.0, 0.0)):
    return Grid(shape, NM, origin)


def drawn(places, epoch=0):
    return [places.at(epoch, index) for index in range(len(places))]


@given(st.tuples(*[st.integers(1, 40)] * 3), st.tuples(*[st.integers(1, 40)] * 3))
def test_patches_about_the_allowed_centres_lie_on_voxels_and_within(shape, patch):
    voxels, spec = grid(*shape, origin=(3.0, -70.0, 0.5)), PatchSpec(shape=patch, spacing=NM)
    centers = centers_of(voxels, spec)
    for corner in ((0, 0, 0), tuple(n - 1 for n in centers.shape)):
        first = voxels.index(spec.grid(centers.world(corner)).origin)
        assert np.allclose(first, np.round(first), atol=1e-6)
        for start, extent, size, place in zip(np.round(first), shape, patch, corner, strict=True):
            assert start == (place if extent >= size else (extent - size) // 2)
            assert extent < size or (start >= 0 and start + size <= extent)
    assert centers.shape == tuple(max(1, n - p + 1) for n, p in zip(shape, patch, strict=True))


def test_a_small_volume_may_be_refused():
    spec = PatchSpec(shape=(4, 4, 4), spacing=NM)
    with pytest.raises(SchemaError, match="4 voxels along y in a volume of 3"):
        centers_of(grid(4, 3, 9), spec, smaller="refuse")


def test_voxels_of_another_spacing_are_refused():
    with pytest.raises(SchemaError, match="the same spacing"):
        centers_of(grid(9, 9, 9), PatchSpec(shape=(4, 4, 4), spacing=(4, 4, 4)))


def test_every_place_comes_once_and_then_again():
    places = Random([grid(2, 3, 4), grid(1, 1, 6)], length=75)
    counts = Counter(drawn(places))
    assert len(counts) == places.places == 30
    assert sorted(counts.values()) == [2] * 15 + [3] * 15


def test_large_datasets_come_more_often_unless_the_user_says_otherwise():
    grids = [grid(10, 100, 100), grid(10, 100, 300)]
    assert Counter(at.volume for at in drawn(Random(grids, length=4000)))[1] == pytest.approx(3000, abs=120)
    assert Counter(at.volume for at in drawn(Random(grids, length=4000, weights=(3, 1)))) == {
        0: 3000,
        1: 1000,
    }


def test_places_of_a_weighted_dataset_do_not_come_twice():
    places = Random([grid(1, 10, 10), grid(1, 9, 9)], length=162, weights=(1, 1))
    second = [at for at in drawn(places) if at.volume == 1]
    assert len(set(second)) == len(second) == 81


def test_draws_are_uniform_along_each_axis():
    places = Random([grid(64, 64, 64)], length=4096)
    centers = np.array([at.center for at in drawn(places)]) / NM
    for axis in range(3):
        counts = np.bincount(np.round(centers[:, axis]).astype(int), minlength=64)
        assert ((counts - 64) ** 2 / 64).sum() < 120  # chi-square of 63 degrees: 1 in 100000


def test_it_is_a_function_of_seed_epoch_and_index_alone():
    places = Random([grid(50, 50, 50)], length=50, seed=3)
    copy = pickle.loads(pickle.dumps(places))
    backwards = [copy.at(1, index) for index in reversed(range(50))][::-1]
    assert drawn(places, 1) == backwards
    assert drawn(places, 1) != drawn(places, 0)
    assert drawn(places, 1) != drawn(Random([grid(50, 50, 50)], length=50, seed=4), 1)


def test_another_process_draws_the_same():
    code = (
        "from voxloom.geometry import Grid; from voxloom.sources.locations import Random;"
        "print(Random([Grid((9, 99, 999), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))], length=9, seed=5).at(7, 3))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = Random([Grid((9, 99, 999), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))], length=9, seed=5).at(7, 3)
    assert done.stdout.strip() == str(here)


def test_billions_of_places_cost_nothing():
    huge = [Grid((20_000, 50_000, 50_000), NM, (0.0, 0.0, 0.0))] * 3
    places = Random(huge, length=10**9)
    centers = {places.at(0, index).center for index in range(0, 10**9, 10**7)}
    assert len(centers) == 100
    assert all(math.isfinite(part) for center in centers for part in center)
    assert len(pickle.dumps(places)) < 2000


@pytest.mark.parametrize("index", [-1, 10])
def test_a_draw_outside_the_epoch_is_refused(index):
    with pytest.raises(IndexError, match="of 10 an epoch"):
        Random([grid(9, 9, 9)], length=10).at(0, index)


@pytest.mark.parametrize(
    ("grids", "settings", "words"),
    [
        ([], {"length": 1}, "at least one"),
        ([grid(1, 1, 1)], {"length": 0}, "at least 1"),
        ([grid(1, 1, 1)], {"length": 1, "weights": (1, 2)}, "2 weights for 1 datasets"),
    ],
)
def test_what_cannot_be_drawn_is_refused(grids, settings, words):
    with pytest.raises(ConfigError, match=words):
        Random(grids, **settings)
