import numpy as np
import pytest

from voxloom.volumes.classes import Classes
from voxloom.volumes.relations import relate

CLASSES = Classes(
    names=("mito", "membrane", "er", "cell"),
    excludes={"mito": ("er",)},
    implies={"membrane": ("mito",), "mito": ("cell",)},
)


def related(positive, known, classes=CLASSES):
    """Each voxel's classes as a dict of what is known."""
    p, k = (np.array([classes.bits(names)], classes.reading_dtype) for names in (positive, known))
    relate(p, k, classes)
    return {name: bool(p[0] >> bit & 1) for bit, name in enumerate(classes.all_names) if k[0] >> bit & 1}


@pytest.mark.parametrize(
    ("positive", "known", "expected"),
    [
        ([], [], {}),
        (["mito"], ["mito"], {"mito": True, "er": False, "cell": True}),
        (["membrane"], ["membrane"], {"membrane": True, "mito": True, "er": False, "cell": True}),
        ([], ["mito"], {"mito": False, "membrane": False}),
        ([], ["cell"], {"cell": False, "mito": False, "membrane": False}),
        (["er"], ["er"], {"er": True, "mito": False, "membrane": False}),
        (["cell"], ["cell"], {"cell": True}),
        # what was annotated stays, though the relations say otherwise
        (["mito", "er"], ["mito", "er"], {"mito": True, "er": True, "cell": True, "membrane": False}),
        # membrane and er exclude each other: nothing is made up about mito
        (["membrane", "er"], ["membrane", "er"], {"membrane": True, "er": True, "cell": True}),
    ],
)
def test_what_is_known_tells_about_the_rest(positive, known, expected):
    assert related(positive, known) == expected


def test_a_witness_tells_too():
    classes = Classes(names=("mito",), witnesses=("nucleus",), excludes={"mito": ("nucleus",)})
    assert related(["nucleus"], ["nucleus"], classes) == {"nucleus": True, "mito": False}


@pytest.mark.parametrize("number", [5, 12, 20, 40, 63])
def test_each_voxel_on_its_own(number):
    names = tuple(f"c{n}" for n in range(number))
    classes = Classes(names=names, excludes={"c0": names[1:3]}, implies={names[-1]: ("c0",)})
    rng = np.random.default_rng(0)
    known = rng.integers(0, 1 << number, (4, 5, 6), np.int64).astype(classes.dtype)
    positive = known & rng.integers(0, 1 << number, known.shape, np.int64).astype(classes.dtype)
    whole = positive.copy(), known.copy()
    relate(*whole, classes)
    for place in np.ndindex(known.shape):
        single = np.array([positive[place]]), np.array([known[place]])
        relate(*single, classes)
        assert (single[0][0], single[1][0]) == (whole[0][place], whole[1][place])
    assert not (whole[0] & ~whole[1]).any()


def test_memory_in_pieces_is_changed_in_place():
    classes = Classes(names=("a", "b"), excludes={"a": ("b",)})
    positive, known = np.ones((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    relate(positive[:, ::2], known[:, ::2], classes)
    assert known[0].tolist() == [3, 1, 3, 1]
    assert positive[0].tolist() == [1, 1, 1, 1]
