"""Arrays of several samples in one."""

import numpy as np
import pytest

from voxloom.errors import SchemaError
from voxloom.sample import Field, Sample, Schema
from voxloom.stacking import joined, stacked


def sample(key, array):
    return Sample(key, Schema([Field(name="image")]), {"image": array})


def test_samples_are_stacked_into_memory_that_is_given():
    out = np.zeros((2, 1, 2, 2), np.uint8)
    made = stacked(
        "image", [sample("a", np.ones((1, 2, 2), np.uint8)), sample("b", np.zeros((1, 2, 2), np.uint8))], out
    )
    assert made is out
    assert out[:, 0, 0, 0].tolist() == [1, 0]


def test_samples_of_two_shapes_are_named():
    samples = [sample("a", np.zeros((1, 2, 2))), sample("b", np.zeros((1, 3, 2)))]
    with pytest.raises(SchemaError, match=r"\(1, 2, 2\) <f8 \('a'\), \(1, 3, 2\) <f8 \('b'\)"):
        stacked("image", samples, None)


def test_parts_are_put_where_their_rows_belong():
    parts = [np.array([[1], [3]]), np.array([[2]])]
    made = joined("image", parts, [np.array([0, 2]), np.array([1])], None)
    assert made.tolist() == [[1], [2], [3]]


def test_parts_of_two_types_are_refused():
    with pytest.raises(SchemaError, match="<f8 and"):
        joined("image", [np.array([[1]]), np.array([[1.0]])], [np.array([0]), np.array([1])], None)
