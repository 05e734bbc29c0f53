from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxloom.seeding import rng_for, stable_hash

keys = st.lists(st.one_of(st.integers(), st.text(st.characters(exclude_categories=["C"]))), max_size=4)


def test_hashes_are_frozen_across_releases():
    # Splits and orders of earlier runs hang on these: they may never change.
    assert stable_hash(42, "slice_001") == 13657729479379301417
    assert rng_for(0, "noise", 3).integers(1000, size=4).tolist() == [671, 367, 590, 811]


def test_hashes_do_not_depend_on_the_process():
    code = "from voxloom.seeding import stable_hash; print(stable_hash(1, 'a'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert int(done.stdout) == stable_hash(1, "a")


@given(keys, keys)
def test_different_keys_hash_differently(one, other):
    assert (stable_hash(*one) == stable_hash(*other)) == (one == other)


@given(keys)
def test_hashes_have_64_bits(key):
    assert 0 <= stable_hash(*key) < 2**64


def test_a_number_and_its_digits_differ():
    assert stable_hash(1) != stable_hash("1")
    assert stable_hash("a", "b") != stable_hash("ab")


def test_generators_repeat_and_are_independent():
    def draws(*key):
        return rng_for(*key).standard_normal(1000)

    np.testing.assert_array_equal(draws(0, "x", 1), draws(0, "x", 1))
    for other in [(1, "x", 1), (0, "y", 1), (0, "x", 2)]:
        assert abs(np.corrcoef(draws(0, "x", 1), draws(*other))[0, 1]) < 0.15


def test_the_global_generator_is_left_alone():
    state = np.random.get_state()[1].tobytes()  # noqa: NPY002
    rng_for(0, "x").random(10)
    assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002


def test_numpy_integers_are_integers():
    assert stable_hash(np.int64(3)) == stable_hash(3)
