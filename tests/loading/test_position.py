from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxloom.errors import CheckpointError
from voxloom.loading import Order, Place
from voxloom.loading.position import Position

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5))  # ranks, samples of each
settings = st.fixed_dictionaries(
    {
        "length": st.integers(0, 50),
        "seed": st.integers(0, 2),
        "shuffle": st.sampled_from([False, True, "block"]),
    }
)


def positions(options, shape, state=None, **more):
    """One for each rank, where a state stands."""
    world, batch_size = shape
    every = [
        Position(Order(**options, **more, world=world, batch_size=batch_size, rank=rank, block_size=3))
        for rank in range(world)
    ]
    for position in every if state else ():
        position.load(state)
    return every


def walk(every, steps):
    """Go some steps on all ranks, but not past the end of the epoch; return the samples seen."""
    order, seen = every[0].order, []
    for _ in range(min(steps, every[0].epoch_end() - every[0].step)):
        for position in every:
            seen += position.order.share(position._place(position.step)).indices
        for position in every:
            position.step += 1
    return order, seen


@example({"length": 30, "seed": 0, "shuffle": True}, [((1, 4), 1), ((2, 2), 6), ((3, 1), 1)], (1, 1))
@given(settings, st.lists(st.tuples(shapes, st.integers(0, 6)), min_size=1, max_size=4), shapes)
def test_an_epoch_goes_on_in_other_batches_and_nothing_is_lost_or_seen_twice(options, walks, last):
    state, seen = None, []
    for shape, steps in walks:
        every = positions(options, shape, state)
        if not all(position.order.batches_per_epoch for position in every):
            return
        # too few samples may be left for so many ranks: then it stands in the next epoch already
        seen += walk(every, steps)[1] if every[0].epoch == 0 else []
        state = every[0].state()
        assert [position.state() for position in every] == [state] * len(every)
        if state["epoch"]:
            break
    if not state["epoch"]:
        every = positions(options, last, state)
        if not every[0].order.batches_per_epoch:
            return
        assert state["seen"] == len(seen)
        seen += walk(every, 99)[1] if every[0].epoch == 0 else []
        assert every[0].state()["epoch"] == 1
        assert every[0].state()["seen"] == 0
    assert len(seen) == len(set(seen))
    # a training step needs a sample on every rank: the one rule by which samples are left out
    most_ranks = max(shape[0] for shape, _ in [*walks, (last, 0)])
    assert len(seen) > options["length"] - (most_ranks if options["shuffle"] else 1)


@given(st.integers(1, 50), st.lists(st.tuples(shapes, st.integers(0, 6)), min_size=1, max_size=4), st.data())
def test_the_draws_of_weights_go_on_in_other_batches(length, walks, data):
    weights = data.draw(st.lists(st.integers(0, 3), min_size=length, max_size=length).filter(any))
    options, state, seen = {"length": length, "weights": weights}, None, []
    for shape, steps in [*walks, ((1, 3), 99)]:
        every = positions(options, shape, state)
        if not every[0].order.batches_per_epoch or every[0].epoch:
            return
        place = every[0].state()["seen"]
        seen += walk(every, steps)[1]
        state = every[0].state()
        draws = Order(**options, batch_size=length).batch(0).indices
        assert sorted(seen[place:]) == sorted(draws[place : len(seen)])


@given(settings, shapes, shapes, st.integers(0, 9))
def test_with_padding_every_sample_is_seen_and_ranks_have_equal_numbers(options, one, other, steps):
    if not options["length"]:
        return
    every = positions(options, one, pad=True)
    seen = walk(every, steps)[1]
    state = every[0].state()
    if not state["epoch"]:
        every = positions(options, other, state, pad=True)
        while every[0].epoch == 0:
            shares = [p.order.share(p._place(p.step)) for p in every]
            assert len({len(share.indices) for share in shares}) == 1
            assert {share.weight for share in shares} == {1.0}
            seen += [i for share in shares for i in share.indices]
            for position in every:
                position.step += 1
    assert set(seen) == set(range(options["length"]))


@given(settings, shapes, st.integers(0, 30))
def test_a_state_with_the_step_alone_still_loads_and_equals_the_whole_one(options, shape, step):
    every = positions(options, shape, {"step": step})
    if every[0].order.batches_per_epoch:
        whole = positions(options, shape, every[0].state())
        assert [p.state() for p in whole] == [p.state() for p in every]
        assert [list(p) for p in whole] == [list(p) for p in every]


def test_steps_of_a_resumed_epoch_are_counted_back_from_its_end():
    (position,) = positions({"length": 10}, (1, 2), {"step": 1, "epoch": 1, "seen": 3})
    assert (position.step, position.epoch, list(position)) == (6, 1, [Place(1, b) for b in (3, 5, 7, 9)])
    position.step = 8
    (again,) = positions({"length": 10}, (1, 2), position.state())
    assert (again.step, list(again)) == (8, [Place(1, 7), Place(1, 9)])
    again.step = again.epoch_end()
    assert list(again) == [Place(2, begin) for begin in range(0, 10, 2)]


def test_where_too_few_samples_are_left_the_next_epoch_begins():
    (one, _two) = positions({"length": 9}, (2, 2), {"step": 2, "epoch": 0, "seen": 8})
    assert (one.epoch, one.state()) == (1, {"step": 2, "epoch": 1, "seen": 0})


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": 1, "seen": "x"}, {"step": 1, "epoch": -2}])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(CheckpointError, match=r"expected \{'step': n\}"):
        Position(Order(length=4, batch_size=2)).load(state)


def test_a_state_of_more_samples_is_refused_with_a_cure():
    with pytest.raises(CheckpointError, match=r"after 6 samples.*but there are 4.*\{'step': 2\}"):
        Position(Order(length=4, batch_size=2)).load({"step": 3, "epoch": 0, "seen": 6})
