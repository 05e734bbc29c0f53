from __future__ import annotations

import numpy as np
import pytest

from voxloom.errors import ConfigError
from voxloom.loading import Cache
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Counted(Source):
    schema = Schema([Field(name="image")])
    keys = tuple("abcde")

    def __init__(self):
        self.reads = []

    def read(self, index):
        self.reads.append(index)
        return Sample(self.keys[index], self.schema, {"image": np.full((1, 2, 2), index, "float32")})


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 0), (0.4, 2), (0.5, 2), (0.7, 4), (1.0, 5)])
def test_the_first_samples_are_read_once_and_the_rest_each_time(rate, kept):
    source = Counted()
    cache = Cache(source, rate)
    cache.fill()
    cache.fill()
    assert source.reads == list(range(kept))
    source.reads.clear()
    assert [int(s["image"][0, 0, 0]) for s in cache.__getitems__([4, 0, 3, 1, 2])] == [4, 0, 3, 1, 2]
    assert [int(cache[i]["image"][0, 0, 0]) for i in range(5)] == [0, 1, 2, 3, 4]
    assert sorted(source.reads) == sorted(2 * list(range(kept, 5)))
    assert cache.nbytes == kept * 16


def test_nothing_is_read_before_it_is_filled():
    source = Counted()
    cache = Cache(source, 1.0)
    assert (len(cache), list(cache.keys), list(cache.schema), source.reads) == (
        5,
        list("abcde"),
        ["image"],
        [],
    )
    assert cache[3].key == "d"


def test_progress_counts_up_to_what_is_kept():
    seen = []
    Cache(Counted(), 0.6).fill(progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_interrupted_filling_goes_on_where_it_stopped():
    source = Counted()
    cache = Cache(source, 1.0)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fill(progress=stop)
    cache.fill()
    assert source.reads == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ConfigError, match=r"expected a share of the samples in \[0, 1\]"):
        Cache(Counted(), rate)
