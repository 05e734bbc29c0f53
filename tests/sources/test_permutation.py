import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.sources.permutation import Permutation, mixed, permutation


@given(st.integers(1, 700), st.integers(0, 2**64 - 1))
def test_it_is_one_to_one(size, key):
    order = Permutation(size, key)
    assert sorted(order[i] for i in range(size)) == list(range(size))


@pytest.mark.parametrize("size", [2**31 + 1, 10**12, 2**63 - 1])
def test_billions_need_no_list(size):
    order = Permutation(size, 3)
    drawn = [order[i] for i in range(2000)]
    assert len(set(drawn)) == 2000
    assert max(drawn) < size
    places = np.array(drawn) / size
    assert np.histogram(places, 10, (0, 1))[0].min() > 130  # of 200 expected
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.07


@pytest.mark.parametrize("size", [2, 3, 5, 9, 12])
def test_each_number_comes_first_equally_often(size):
    firsts = Counter(Permutation(size, mixed(0, key))[0] for key in range(3000))
    expected = 3000 / size
    assert sum((firsts[n] - expected) ** 2 / expected for n in range(size)) < 3.5 * (size + 3)


def test_a_pair_comes_in_any_order():
    pairs = Counter()
    for key in range(3000):
        order = Permutation(4, mixed(1, key))
        pairs[order[0], order[1]] += 1
    assert len(pairs) == 12
    assert min(pairs.values()) > 150


def test_a_key_is_an_order_and_another_key_another_one():
    one, same, other = permutation(1000, 0, "a"), permutation(1000, 0, "a"), permutation(1000, 0, "b")
    assert [one[i] for i in range(9)] == [same[i] for i in range(9)] != [other[i] for i in range(9)]
    assert pickle.loads(pickle.dumps(one))[5] == one[5]


def test_the_order_is_the_same_in_every_release():
    """A run that is resumed under a later version sees what it would have seen."""
    assert [Permutation(10, 7)[i] for i in range(10)] == [9, 1, 0, 8, 5, 4, 6, 7, 2, 3]


def test_what_is_no_place_is_refused():
    with pytest.raises(SchemaError, match="at least 1"):
        Permutation(0)
    for place in (-1, 5):
        with pytest.raises(IndexError, match=r"\[0, 5\)"):
            Permutation(5)[place]
