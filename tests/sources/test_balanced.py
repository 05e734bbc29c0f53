import logging
import pickle
from collections import Counter

import numpy as np
import pytest

from voxloom.errors import ConfigError
from voxloom.geometry import Grid
from voxloom.sources.balanced import Balanced
from voxloom.sources.blocks import Blocks
from voxloom.volumes.class_cells import ClassCells, ClassIndex

VOXELS = Grid((64, 64, 64), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))
CELLS = Grid((8, 8, 8), (64.0, 64.0, 64.0), (28.0, 28.0, 28.0))  # of 8 voxels an axis


def cells(**counts):
    """Counts by the number of the cell: cells(c7=3)."""
    numbers = np.array([int(name[1:]) for name in counts], np.int64)
    return ClassCells(CELLS, numbers, np.array([*counts.values()], np.int64), 64**3, 512.0**3)


def drawn(places, epoch=0):
    return [places.at(epoch, index) for index in range(len(places))]


ONE = ClassIndex({"er": cells(c0=100, c511=300), "mito": cells(c9=1)})
TWO = ClassIndex({"er": cells(c3=50), "mito": cells()})


def test_each_class_comes_equally_often_and_each_dataset_that_has_it():
    places = Balanced([VOXELS, VOXELS], [ONE, TWO], ["er", "mito"], length=1000)
    found = Counter((places.class_of(0, i), places.at(0, i).volume) for i in range(1000))
    assert found == {("er", 0): 250, ("er", 1): 250, ("mito", 0): 500}


def test_the_user_says_how_often_a_dataset_comes():
    places = Balanced([VOXELS, VOXELS], [ONE, TWO], ["er"], length=1000, weights=[3, 1])
    assert Counter(at.volume for at in drawn(places)) == {0: 750, 1: 250}


def test_a_place_comes_as_often_as_the_class_lies_there():
    places = Balanced([VOXELS], [ONE], ["er"], length=400)
    centers = np.array([at.center for at in drawn(places)])
    low, high = (centers < 64).all(1), (centers >= 448 - 4).all(1)
    assert (low.sum(), high.sum()) == (100, 300)
    assert len(np.unique(centers[low], axis=0)) > 80  # anywhere in the cell


def test_centres_are_allowed_ones():
    allowed = Grid((3, 30, 30), (8.0, 8.0, 8.0), (4.0, 100.0, 100.0))
    places = Balanced([allowed], [ONE], ["er", "mito"], length=200)
    inside = np.array([allowed.index(at.center) for at in drawn(places)])
    assert np.allclose(inside, np.round(inside))
    assert (inside >= 0).all()
    assert (inside <= np.array(allowed.shape) - 1).all()


def test_it_is_a_function_of_seed_epoch_and_index_alone():
    places = Balanced([VOXELS, VOXELS], [ONE, TWO], ["er", "mito"], length=40, seed=2)
    copy = pickle.loads(pickle.dumps(places))
    assert [copy.at(3, index) for index in reversed(range(40))][::-1] == drawn(places, 3) != drawn(places, 4)


def test_several_crops_of_a_block_begin_with_the_one_that_was_drawn():
    inner = Balanced([VOXELS], [ONE], ["mito"], length=20)
    places = Blocks(inner, crops=3, spread=(4, 4, 4))
    assert [places.at(0, 3 * number) for number in range(20)] == drawn(inner)


@pytest.mark.parametrize(
    ("name", "words"), [("mitto", "annotated in none .* Did you mean 'mito'"), ("mito", "somebody looked")]
)
def test_a_class_that_lies_nowhere_is_an_error_that_names_it(name, words):
    with pytest.raises(ConfigError, match=f"class '{name}'.*{words}"):
        Balanced([VOXELS], [TWO], ["er", name], length=10)


def test_or_it_is_left_out_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        places = Balanced([VOXELS], [TWO], ["er", "nucleus"], length=10, absent="drop")
    assert places.classes == ("er",)
    assert "'nucleus'" in caplog.text
    with pytest.raises(ConfigError, match="no voxel of any class"):
        Balanced([VOXELS], [TWO], ["nucleus"], length=10, absent="drop")


def test_a_dataset_without_weight_does_not_count():
    with pytest.raises(ConfigError, match="class 'mito'"):
        Balanced([VOXELS, VOXELS], [ONE, TWO], ["mito"], length=10, weights=[0, 1])


@pytest.mark.parametrize(
    ("settings", "words"), [({"length": 0}, "at least 1"), ({"length": 1, "weights": (1, 2)}, "2 weights")]
)
def test_what_cannot_be_drawn_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Balanced([VOXELS], [ONE], ["er"], **settings)
    with pytest.raises(ConfigError, match="2 indexes for 1 datasets"):
        Balanced([VOXELS], [ONE, TWO], ["er"], length=1)


def test_each_class_of_each_dataset_is_looked_at_twice_at_most(monkeypatch):
    """With thousands of datasets all else would be seconds, in each worker."""
    total, looked = ClassCells.total, []
    monkeypatch.setattr(ClassCells, "total", property(lambda c: looked.append(1) or total.fget(c)))
    names = [f"c{n}" for n in range(10)]
    index = ClassIndex({name: cells(c0=1) for name in names})
    Balanced([VOXELS] * 30, [index] * 30, names, length=10).at(0, 0)
    assert len(looked) <= 2 * 10 * 30 + 1
