import numpy as np
import pytest
import torch

from voxloom.errors import SchemaError
from voxloom.loading.bits import expand_bits


@pytest.mark.parametrize(
    ("dtype", "number"), [("uint8", 8), ("int16", 15), ("int32", 31), ("int64", 63), ("uint8", 3)]
)
@pytest.mark.parametrize("dim", [0, 1])
def test_each_bit_is_a_channel(dtype, number, dim):
    rng = np.random.default_rng(0)
    wanted = rng.random((2, number, 3, 4)) < 0.5
    bits = sum(wanted[:, [k]].astype(dtype) << k for k in range(number)).astype(dtype)
    if dim == 0:
        wanted, bits = wanted[0], bits[0]
    expanded = expand_bits(torch.from_numpy(bits), number, dim=dim)
    assert expanded.dtype == torch.bool
    np.testing.assert_array_equal(expanded.numpy(), wanted)


@pytest.mark.parametrize(
    ("bits", "number", "words"),
    [
        (torch.zeros(2, 1, 4), 2, "expected integers"),
        (torch.zeros(2, 3, 4, dtype=torch.uint8), 2, "extent 1 along axis 1"),
        (torch.zeros(4, dtype=torch.uint8), 2, "extent 1 along axis 1"),
        (torch.zeros(2, 1, 4, dtype=torch.uint8), 9, "expected 1 to 8"),
        (torch.zeros(2, 1, 4, dtype=torch.int16), 16, "expected 1 to 15"),
        (torch.zeros(2, 1, 4, dtype=torch.int16), 0, "expected 1 to 15"),
    ],
)
def test_what_is_no_bits_is_refused(bits, number, words):
    with pytest.raises(SchemaError, match=words):
        expand_bits(bits, number)
