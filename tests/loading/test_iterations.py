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
