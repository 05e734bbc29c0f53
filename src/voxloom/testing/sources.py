"""What each source promises, as a suite: indices, pickling, and cells that decode to what is read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from voxloom.formats.encoding import cell_array
from voxloom.sample import Sample
from voxloom.source import Source

__all__ = ["check_source", "same"]


def same(one: Sample, other: Sample) -> bool:
    """Whether two samples have the same key, fields and bits.

    Examples
    --------
    >>> from voxloom.testing.stores import Counting
    >>> same(Counting(2)[0], Counting(2)[0]), same(Counting(2)[0], Counting(2)[1])
    (True, False)
    """
    return (
        one.key == other.key
        and list(one) == list(other)
        and dict(one.schema) == dict(other.schema)
        and all(one[name].dtype == other[name].dtype for name in one)
        and all(np.array_equal(one[name], other[name], equal_nan=_floats(one, name)) for name in one)
    )


def _floats(sample: Sample, name: str) -> bool:
    return sample[name].dtype.kind in "fc"


def check_source(source: Source, *, cells_decode: bool = True) -> None:
    """Assert what each source promises.

    Parameters
    ----------
    source
        One with at least one sample, small enough to read all of it.
    cells_decode
        Whether `read` gives what decoding `cells` gives: not so where a policy changes pixels.

    Raises
    ------
    AssertionError
        If a promise is broken.

    Examples
    --------
    >>> from voxloom.testing.stores import Counting
    >>> check_source(Counting(3))
    """
    _check_indices(source)
    _check_samples(source)
    _check_copies(source)
    _check_choices(source)
    for index in range(len(source) if cells_decode else 0):
        _check_cells(source, index)


def _check_indices(source: Source) -> None:
    count = len(source)
    assert count == len(source.keys) == len(set(source.keys)) > 0
    assert same(source[-1], source[count - 1])
    assert same(source[-count], source[np.int64(0)])  # type: ignore[call-overload]
    for outside in (count, -count - 1):
        with pytest.raises(IndexError):
            source[outside]
    backward = source[::-1]
    assert list(backward.keys) == list(source.keys)[::-1]
    assert same(backward[0], source[-1])


def _check_samples(source: Source) -> None:
    for index, key in enumerate(source.keys):
        sample = source[index]
        assert isinstance(key, str)
        assert sample.key == key
        assert list(sample) == list(source.schema) == list(sample.schema)
        for name, array in sample.items():
            field = sample.schema[name]
            assert isinstance(array, np.ndarray), f"{name} is a {type(array)}"
            assert field.kind == "text" or str(array.dtype) == field.dtype, f"{name}: {array.dtype}, {field}"
            assert len(field.axes) == array.ndim, f"{name}: {array.shape}, {field}"
            assert field.shape in (None, array.shape), f"{name}: {array.shape}, {field}"
    order = [0, len(source) - 1, 0]
    assert all(same(got, source[i]) for got, i in zip(source.__getitems__(order), order, strict=True))


def _check_copies(source: Source) -> None:
    copied = pickle.loads(pickle.dumps(source))
    assert list(copied.keys) == list(source.keys)
    assert dict(copied.schema) == dict(source.schema)
    assert all(same(copied[index], source[index]) for index in range(len(source)))
    assert repr(copied) == repr(source)


def _check_choices(source: Source) -> None:
    for name in source.schema:
        chosen = source.select(name)
        assert list(chosen.keys) == list(source.keys)
        assert dict(chosen.schema) == {name: source.schema[name]}
        assert list(chosen.cells(0)) == list(chosen[0]) == [name]
        assert np.array_equal(chosen[0][name], source[0][name])


def _check_cells(source: Source, index: int) -> None:
    sample, cells = source[index], source.cells(index)
    assert list(cells) == list(sample)
    for name, cell in cells.items():
        array = cell_array(cell, source.schema[name], name=f"{sample.key} ({name})")
        assert array.dtype == sample[name].dtype
        assert np.array_equal(array, sample[name], equal_nan=array.dtype.kind in "fc")
