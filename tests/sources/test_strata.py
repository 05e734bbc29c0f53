from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import ConfigError
from voxloom.sources.strata import Strata

weights = st.lists(st.floats(0, 1e6), min_size=1, max_size=8).filter(lambda w: max(w) > 1e-3)


@given(weights, st.integers(1, 300), st.integers(0, 5))
def test_shares_are_exact_to_one_draw_and_ranks_count_up(weights, length, epoch):
    strata = Strata(weights, length)
    drawn = [strata.draw(0, epoch, index) for index in range(length)]
    counts = Counter(each.number for each in drawn)
    for number, weight in enumerate(weights):
        due = weight / sum(weights) * length
        assert abs(counts[number] - due) < 1 + 1e-6
        assert (weight > 0) or not counts[number]
        ranks = sorted(each.rank for each in drawn if each.number == number)
        assert ranks == list(range(counts[number]))


def test_a_small_share_comes_in_some_epochs():
    strata = Strata([1, 99], length=10)
    rare = sum(strata.draw(0, epoch, index).number == 0 for epoch in range(1000) for index in range(10))
    assert 80 < rare < 120


def test_the_order_of_parts_is_random():
    strata = Strata([1, 1], length=100)
    orders = [[strata.draw(0, epoch, index).number for index in range(100)] for epoch in range(2)]
    assert orders[0] != orders[1]
    assert 15 < sum(orders[0][:50]) < 35


@pytest.mark.parametrize(
    ("weights", "length", "words"),
    [([0, 0], 5, "all 0"), ([1, -1], 5, "part 1"), ([1, float("nan")], 5, "finite"), ([1], 0, "at least 1")],
)
def test_what_cannot_be_drawn_is_refused(weights, length, words):
    with pytest.raises(ConfigError, match=words):
        Strata(weights, length)
