from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxloom.errors import ConfigError
from voxloom.loading import Order

settings = st.fixed_dictionaries(
    {
        "length": st.integers(0, 40),
        "batch_size": st.integers(1, 7),
        "seed": st.integers(0, 3),
        "shuffle": st.booleans(),
        "world": st.integers(1, 5),
        "drop_last": st.booleans(),
    }
)


def ranks(options):
    return [Order(rank=rank, **options) for rank in range(options["world"])]


def epoch_shares(order, epoch=0):
    length = order.batches_per_epoch
    return [order.batch(step) for step in range(epoch * length, (epoch + 1) * length)]


@given(settings, st.integers(0, 3))
def test_an_epoch_covers_every_sample_once_but_for_the_stated_drop(options, epoch):
    seen = [i for order in ranks(options) for share in epoch_shares(order, epoch) for i in share.indices]
    rest = options["length"] % (options["world"] * options["batch_size"])
    dropped = rest if options["drop_last"] or (options["shuffle"] and rest < options["world"]) else 0
    assert len(seen) == len(set(seen)) == options["length"] - dropped
    assert set(seen) <= set(range(options["length"]))


@given(settings)
def test_ranks_take_the_same_number_of_steps_and_training_ones_are_never_empty(options):
    shares = [epoch_shares(order) for order in ranks(options)]
    assert len({len(of_rank) for of_rank in shares}) == 1
    for at_step in zip(*shares, strict=True):
        sizes = [len(share.indices) for share in at_step]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= options["batch_size"]
        assert min(sizes) >= (1 if options["shuffle"] else 0)


@given(settings)
def test_weights_average_to_one_and_follow_the_share(options):
    for at_step in zip(*(epoch_shares(order) for order in ranks(options)), strict=True):
        total = sum(len(share.indices) for share in at_step)
        assert sum(share.weight for share in at_step) / options["world"] == pytest.approx(1)
        assert [s.weight for s in at_step] == pytest.approx(
            [len(s.indices) * options["world"] / total for s in at_step]
        )


@given(settings, st.integers(0, 100))
def test_a_batch_is_a_pure_function_of_the_step(options, step):
    order = Order(**options)
    if order.batches_per_epoch:
        Order(**{**options, "seed": 99}).batch(step)  # another order in between leaves no trace
        share = order.batch(step)
        assert share == Order(**options).batch(step)
        assert share.epoch == step // order.batches_per_epoch
        assert all(type(index) is int for index in share.indices)


@given(st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_the_global_batch_does_not_depend_on_the_number_of_ranks(length, per_rank, shuffle):
    one = Order(length=length, batch_size=2 * per_rank, seed=1, shuffle=shuffle)
    two = [
        Order(length=length, batch_size=per_rank, seed=1, shuffle=shuffle, rank=r, world=2) for r in (0, 1)
    ]
    for step in range(two[0].batches_per_epoch):
        halves = [order.batch(step).indices for order in two]
        whole = one.batch(step).indices
        assert [whole[0::2], whole[1::2]] == halves


def test_epochs_and_seeds_differ_when_shuffling():
    order = Order(length=50, batch_size=50, seed=0)
    permutations = {tuple(order.batch(step).indices) for step in range(5)}
    permutations.add(tuple(Order(length=50, batch_size=50, seed=1).batch(0).indices))
    assert len(permutations) == 6


def test_without_shuffling_each_epoch_goes_by_index():
    order = Order(length=4, batch_size=4, shuffle=False)
    assert order.batch(0).indices == order.batch(7).indices == [0, 1, 2, 3]


def test_the_order_is_frozen_across_releases():
    # A resumed run goes on in the order in which it was begun: this list may never change.
    assert Order(length=8, batch_size=8, seed=42).batch(0).indices == [2, 7, 1, 5, 6, 3, 0, 4]
    assert Order(length=8, batch_size=8, seed=42).batch(3).indices == [5, 0, 2, 4, 6, 1, 3, 7]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 0, "batch_size": 2}, "0 samples give no batch of 2 on each of 1 ranks"),
        ({"length": 3, "batch_size": 1, "world": 4}, "3 samples give no batch of 1 on each of 4 ranks"),
        ({"length": 3, "batch_size": 4, "drop_last": True}, "with drop_last"),
    ],
)
def test_too_little_data_for_a_batch_says_so(options, words):
    with pytest.raises(ConfigError, match=words):
        Order(**options).batch(0)


def test_a_rank_outside_the_world_is_refused():
    with pytest.raises(ValidationError, match=r"rank 2 of 2: expected a rank in \[0, 2\)"):
        Order(length=3, batch_size=1, rank=2, world=2)
