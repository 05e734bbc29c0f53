import pytest

from voxloom.errors import ConfigError, LoadingError
from voxloom.loading import Loader, Order
from voxloom.testing.stores import Counting


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("num_workers", -1),
        ("num_workers", 1.5),
        ("prefetch", 0),
        ("workers", "threads"),
        ("start_method", "frok"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(argument, value):
    with pytest.raises(ConfigError, match=rf"{argument}={value!r}: expected"):
        Loader(Counting(4), None, order=Order(length=4, batch_size=2), seed=0, **{argument: value})


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_iteration_that_was_overtaken_says_so(num_workers):
    order = Order(length=6, batch_size=1, shuffle=False)
    loader = Loader(Counting(6), None, order=order, seed=0, num_workers=num_workers, workers="thread")
    first = iter(loader)
    assert next(first).indices == [0]
    second = iter(loader)
    assert next(second).indices == [1]
    with pytest.raises(LoadingError, match="another was begun"):
        next(first)
    loader.close()
    with pytest.raises(LoadingError, match="was closed"):
        next(second)
    assert [batch.indices for batch in loader] == [[2], [3], [4], [5]]
    loader.close()


def ranks_of_two():
    orders = (Order(length=5, batch_size=1, shuffle=False, rank=rank, world=2) for rank in (0, 1))
    return [Loader(Counting(5), None, order=order, seed=0) for order in orders]


def test_the_state_is_the_same_on_a_rank_without_a_sample_at_the_last_step():
    loaders = ranks_of_two()
    iterators = [iter(loader) for loader in loaders]
    for step in (1, 2):
        assert [next(each).indices[0] for each in iterators] == [2 * step - 2, 2 * step - 1]
        states = [loader.state_dict() for loader in loaders]
        assert states == [{"step": step, "epoch": 0, "seen": 2 * step}] * 2
    resumed = ranks_of_two()
    for loader, state in zip(resumed, states, strict=True):
        loader.load_state_dict(state)
    assert [[batch.indices for batch in loader] for loader in resumed] == [[[4]], []]
    assert [loader.epoch for loader in resumed] == [1, 1]
