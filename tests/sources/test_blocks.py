import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import ConfigError
from voxloom.geometry import Grid
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Random


def grid(*shape):
    return Grid(shape, (8.0, 4.0, 4.0), (1.0, 2.0, 3.0))


def test_one_crop_a_block_changes_nothing():
    inner = Random([grid(30, 30, 30)], length=50)
    places = Blocks(inner, crops=1)
    assert [places.at(2, i) for i in range(50)] == [inner.at(2, i) for i in range(50)]
    assert places.crops_per_block == 1


@given(st.integers(1, 12), st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 3))
def test_crops_lie_in_their_block_on_voxels_each_elsewhere(crops, spread, epoch):
    inner = Random([grid(5, 20, 20), grid(30, 7, 7)], length=4)
    places = Blocks(inner, crops=crops, spread=spread)
    for number in range(4):
        block = places.block(epoch, number)
        found = [places.at(epoch, number * crops + crop) for crop in range(crops)]
        assert found[0] == inner.at(epoch, number)
        assert {at.volume for at in found} == {block.volume}
        inside = np.array([block.centers.index(at.center) for at in found])
        assert np.allclose(inside, np.round(inside), atol=1e-6)
        assert (np.round(inside) >= 0).all()
        assert (np.round(inside) < block.centers.shape).all()
        assert len(set(found)) == min(crops, np.prod(block.centers.shape))


@pytest.mark.parametrize("crop", [0, 1, 2])
def test_each_crop_alone_is_uniform_to_the_edges(crop):
    """Else voxels at the faces of a volume would be seen less often, or more often."""
    length = 6000
    places = Blocks(Random([grid(1, 1, 20)], length=length), crops=3, spread=(1, 1, 8))
    counts = Counter(round((places.at(0, number * 3 + crop).center[2] - 3) / 4) for number in range(length))
    expected = length / 20
    assert sum((counts[place] - expected) ** 2 / expected for place in range(20)) < 50  # 19 degrees


def test_it_pickles_and_other_epochs_differ():
    places = Blocks(Random([grid(90, 90, 90)], length=5), crops=4)
    copy = pickle.loads(pickle.dumps(places))
    assert [copy.at(1, i) for i in range(20)] == [places.at(1, i) for i in range(20)]
    assert [copy.at(1, i) for i in range(20)] != [places.at(0, i) for i in range(20)]
    assert len(copy) == 20
    assert copy.crops_per_block == 4


@pytest.mark.parametrize("settings", [{"crops": 0}, {"crops": 2, "spread": (1, 0, 1)}])
def test_what_is_no_block_is_refused(settings):
    with pytest.raises(ConfigError, match="at least 1"):
        Blocks(Random([grid(9, 9, 9)], length=5), **settings)
