import numpy as np
import pytest

from voxloom.buffers import aligned_empty


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7, 5, 3)])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float64", "complex128", "bool"])
def test_it_begins_at_a_cache_line_and_is_its_own(shape, dtype):
    arrays = [aligned_empty(shape, dtype) for _ in range(5)]
    for number, array in enumerate(arrays):
        assert array.shape == shape
        assert array.dtype == np.dtype(dtype)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.ctypes.data % 64 == 0 or not array.size
        array[...] = number % 2
    assert all((array == number % 2).all() for number, array in enumerate(arrays))
