from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxloom.errors import ConfigError
from voxloom.loading import Order, balanced_weights

settings = st.fixed_dictionaries(
    {
        "length": st.integers(0, 40),
        "batch_size": st.integers(1, 7),
        "seed": st.integers(0, 3),
        "shuffle": st.sampled_from([False, True, "full", "block"]),
        "block_size": st.integers(1, 5),
        "mixed_blocks": st.integers(1, 3),
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


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(2, 5))
def test_blocks_are_dealt_whole_and_the_union_stays(blocks, world, per_rank, crops):
    options = {"length": blocks * crops, "batch_size": per_rank * crops, "shuffle": False, "world": world}
    taking_turns, dealt = ranks(options), ranks({**options, "crops_per_block": crops})
    for step in range(dealt[0].batches_per_epoch):
        shares = [order.batch(step) for order in dealt]
        others = [order.batch(step) for order in taking_turns]
        assert [share.weight for share in shares] == [other.weight for other in others]
        union = [index for share in shares for index in share.indices]
        assert union == sorted(index for other in others for index in other.indices)
        if len(union) == world * options["batch_size"]:  # the last one may be smaller
            firsts = [share.indices[::crops] for share in shares]
            assert all(index % crops == 0 for of_rank in firsts for index in of_rank)


def test_blocks_are_not_shuffled():
    with pytest.raises(ValidationError, match="tear the blocks apart"):
        Order(length=8, batch_size=4, crops_per_block=4)


def test_epochs_and_seeds_differ_when_shuffling():
    order = Order(length=50, batch_size=50, seed=0)
    permutations = {tuple(order.batch(step).indices) for step in range(5)}
    permutations.add(tuple(Order(length=50, batch_size=50, seed=1).batch(0).indices))
    assert len(permutations) == 6


def test_without_shuffling_each_epoch_goes_by_index():
    order = Order(length=4, batch_size=4, shuffle=False)
    assert order.batch(0).indices == order.batch(7).indices == [0, 1, 2, 3]


BLOCK, WEIGHTED = [5, 4, 6, 7, 2, 1, 3, 0], [6, 6, 1, 5, 7, 7, 7, 7]


def test_the_order_is_frozen_across_releases():
    block = {"shuffle": "block", "block_size": 2, "mixed_blocks": 2}
    assert Order(length=8, batch_size=8, seed=42, **block).batch(3).indices == BLOCK
    assert Order(length=8, batch_size=8, seed=42, weights=range(8)).batch(3).indices == WEIGHTED
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


@given(settings)
def test_with_padding_ranks_have_equal_numbers_and_no_sample_is_missing(options):
    shares = [epoch_shares(order) for order in ranks(options | {"pad": True, "drop_last": False})]
    for at_step in zip(*shares, strict=True):
        assert len({len(share.indices) for share in at_step}) == 1
        assert {share.weight for share in at_step} == {1.0}
    seen = [i for of_rank in shares for share in of_rank for i in share.indices]
    assert set(seen) == set(range(options["length"]))
    assert len(seen) == -(-options["length"] // options["world"]) * options["world"]


def test_blocks_stay_together_and_those_that_are_mixed_are_mixed():
    order = Order(length=1000, batch_size=1000, shuffle="block", block_size=10, mixed_blocks=5)
    indices = np.array(order.batch(0).indices)
    for window in indices.reshape(-1, 50):
        blocks, counts = np.unique(window // 10, return_counts=True)
        assert (len(blocks), set(counts)) == (5, {10})
    assert np.abs(np.diff(indices)).mean() > 100
    assert order.batch(1).indices != indices.tolist()
    one = Order(length=1000, batch_size=50, shuffle="block", block_size=10, mixed_blocks=100)
    assert len({i // 10 for i in one.batch(0).indices}) > 20


def test_weights_draw_with_replacement_as_often_as_they_say():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    order = Order(length=1000, batch_size=100, seed=3, weights=balanced_weights(labels))
    drawn = [i for step in range(50) for i in order.batch(step).indices]
    shares = np.bincount(labels[drawn]) / len(drawn)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)
    assert order.batch(7) == pickle.loads(pickle.dumps(order)).batch(7)
    assert order == pickle.loads(pickle.dumps(order))
    assert hash(order) == hash(pickle.loads(pickle.dumps(order)))
    halves = [
        Order(length=1000, batch_size=50, seed=3, rank=r, world=2, weights=order.weights) for r in (0, 1)
    ]
    both = [half.batch(4).indices for half in halves]
    assert [*map(list, zip(*both, strict=True))] == np.reshape(order.batch(4).indices, (-1, 2)).tolist()
    assert Order.model_validate(order.model_dump(mode="json")) == order


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": [1.0, 2.0]}, "2 weights for 3 samples"),
        ({"weights": [1, 1, 1], "shuffle": False}, "weights with shuffle=False"),
        ({"weights": [1, 1, 1], "shuffle": "block"}, "weights with shuffle='block'"),
        ({"weights": [1, -1, 1]}, "weight -1.0 of sample 1"),
        ({"weights": [0, 0, 0]}, "3 weights that are all 0"),
        ({"weights": [[1, 1, 1]]}, "weights of shape"),
        ({"shuffle": "blocks"}, "shuffle"),
    ],
)
def test_orders_that_cannot_be_meant_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Order(length=3, batch_size=1, **options)


def test_a_sample_of_no_weight_is_never_drawn():
    order = Order(length=4, batch_size=4, weights=[0, 1, 3, 0])
    drawn = [i for step in range(500) for i in order.batch(step).indices]
    assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx([0, 0.25, 0.75, 0], abs=0.03)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 5))
def test_no_block_is_torn_apart_where_the_last_one_is_smaller(length, size, mixed, epoch):
    order = Order(length=length, batch_size=length, shuffle="block", block_size=size, mixed_blocks=mixed)
    blocks = [i // size for i in order.batch(epoch).indices]
    sizes = {block: min(size, length - size * block) for block in range(-(-length // size))}
    begin = 0
    while begin < length:  # a window holds whole blocks, and as many as are mixed unless it is the last
        end = begin
        inside = set()
        while end < length and (len(inside) < mixed or blocks[end] in inside):
            inside.add(blocks[end])
            end += 1
        assert end - begin == sum(sizes[block] for block in inside)
        begin = end


def test_a_block_larger_than_the_data_takes_no_memory():
    order = Order(length=5, batch_size=5, shuffle="block", block_size=10**12)
    assert sorted(order.batch(0).indices) == [0, 1, 2, 3, 4]
