import numpy as np
import pytest

from voxloom.volumes import combining
from voxloom.volumes.combining import rule_for

SHAPE = (6, 7, 9)
PART = (slice(1, 6), slice(0, 5), slice(2, 9))
LARGE = {
    "int8": [-128, -1, 127], "uint8": [255], "int16": [-3, 32767], "uint16": [65535], "bool": [],
    "int32": [-70_000, 70_000], "uint32": [2**32 - 1], "int64": [-(2**63), 2**60 + 1, 2**63 - 1],
    "uint64": [2**63 + 7, 2**64 - 1, 2**60 + 1], "float32": [70_000],
}  # fmt: skip
BITS = ["uint8", "int16", "int32", "int64"]


def check(rule, values, expected, bits):
    """The rule sets the bits of a window, or adds them to those of the window, and touches nothing else."""
    for is_first in (True, False):
        out = np.full(SHAPE, 64, bits)
        rule(values, PART, out, is_first)
        wanted = np.full(SHAPE, 64, bits)
        wanted[PART] = expected[PART] if is_first else expected[PART] | 64
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("stored", LARGE)
def test_values_by_a_table(stored, bits):
    keys = [0, 1, 2, 100] * (stored != "bool") + LARGE[stored] or [0, 1]
    values = np.random.default_rng(0).choice(np.array([*keys, 1], stored), SHAPE)
    table = {key: n % 63 + 1 for n, key in enumerate(keys)} | {5: 0, 300: 2, 2**70: 3, -(2**70): 3}
    table.pop(1, None)  # one that is not in it
    rule = rule_for(1, table, (), stored=np.dtype(stored), bits=np.dtype(bits))
    expected = np.vectorize(lambda value: table.get(int(value), 0))(values)
    check(rule, values, expected, bits)


@pytest.mark.parametrize("bits", BITS)
def test_many_large_ids(bits):
    rng = np.random.default_rng(0)
    keys = rng.integers(2**62, 2**63, 5000)
    table = {int(key): int(n) % 63 + 1 for n, key in enumerate(keys)}
    values = np.where(rng.random(SHAPE) < 0.5, rng.choice(keys, SHAPE), 7)
    rule = rule_for(1, table, (), stored=values.dtype, bits=np.dtype(bits))
    check(rule, values, np.vectorize(lambda value: table.get(int(value), 0))(values), bits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("stored", [name for name in LARGE if name not in ("bool", "float32")])
@pytest.mark.parametrize("kind", ["same", "some", "moved", "several"])
def test_bits_of_a_bitmask(stored, bits, kind):
    width = 8 * np.dtype(stored).itemsize
    last = min(width, 8 * np.dtype(bits).itemsize) - 1
    shifts = {
        "same": [(k, 1 << k) for k in range(min(6, last))],
        "some": [(0, 1), (last - 1, 1 << last - 1)],
        "moved": [(last, 1), (3, 2), (width - 1, 4), (width + 3, 8)],
        "several": [(1, 5), (width - 2, 6)],
    }[kind]
    info = np.iinfo(stored)
    values = np.random.default_rng(1).integers(info.min, info.max, SHAPE, stored, endpoint=True)
    expected = np.zeros(SHAPE, np.int64)
    for bit, set_bits in shifts:
        is_set = np.vectorize(lambda value, bit=bit: int(value) >> bit & 1)(values) * (bit < width)
        expected |= is_set * set_bits
    check(
        rule_for(1, None, tuple(shifts), stored=np.dtype(stored), bits=np.dtype(bits)), values, expected, bits
    )


@pytest.mark.parametrize("shifts", [(), ((0, 1), (1, 2)), ((0, 2), (5, 1))])
@pytest.mark.parametrize("stored", ["uint8", "int16", "int32", "uint64"])
def test_a_rule_is_made_once_and_compiled(stored, shifts):
    """Each patch asks for it; numpy would take ten times as long, and hold Python's lock."""
    table = None if shifts else {3: 1, 2: 2}
    first, again = (
        rule_for(3, table, shifts, stored=np.dtype(stored), bits=np.dtype("int16")) for _ in range(2)
    )
    assert first is again
    assert first.func is combining._apply_kernel
