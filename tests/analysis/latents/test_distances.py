"""Distances: exact, whatever the size, and the nearest of many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxloom.analysis.latents import Points, latent_distance, nearest_points, squared_distances
from voxloom.errors import SchemaError

numbers = st.floats(-100, 100, width=32)
samples = st.integers(1, 6).flatmap(lambda n: arrays(np.float64, (n, 3), elements=numbers))


@given(samples, samples)
def test_squared_distances_are_those_of_each_pair(x, y):
    expected = ((x[:, None] - y) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(x, y), expected, atol=1e-8)


@given(samples)
def test_distances_within_a_sample_are_symmetric_and_zero_to_oneself(x):
    found = squared_distances(x)
    np.testing.assert_array_equal(found, found.T)
    assert not np.diag(found).any()
    assert (found >= 0).all()


def test_long_vectors_far_from_zero(monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.distances._COLUMNS", 7)
    x = np.random.default_rng(0).normal(size=(5, 30)).astype("float32") + 1000
    expected = ((x[:, None].astype(float) - x) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(x), expected, atol=1e-9)


def test_a_distance_of_two_points_of_any_shape():
    a = np.arange(24.0).reshape(2, 3, 4)
    assert latent_distance(a, a + 1) == pytest.approx(np.sqrt(24))
    with pytest.raises(SchemaError, match="same shape"):
        latent_distance(a, a[0])


@pytest.mark.parametrize("block", [3, 4096])
def test_nearest(monkeypatch, block):
    monkeypatch.setattr("voxloom.analysis.latents.distances._BLOCK", block)
    rng = np.random.default_rng(1)
    train, queries = rng.normal(size=(50, 6)).astype("float32"), rng.normal(size=(20, 6)).astype("float32")
    found = nearest_points(queries, Points.of_arrays({"a": train[:30], "b": train[30:]}))
    expected = np.linalg.norm(queries[:, None].astype(float) - train, axis=2)
    np.testing.assert_array_equal(found.rows, expected.argmin(1))
    np.testing.assert_allclose(found.distances, expected.min(1), rtol=1e-6)


def test_a_copy_is_told_from_a_near_copy():
    rng = np.random.default_rng(2)
    one = rng.normal(size=2000) * 50
    train = np.stack([one + 1e-4, one, one - 1e-4]).astype("float32")
    found = nearest_points(train[1:2], Points.of_arrays({"train": train}))
    assert (found.rows.tolist(), found.distances.tolist()) == ([1], [0.0])


def test_nearest_of_another_patient():
    points = Points.of_arrays({"a": np.array([[0.0], [0.1], [5.0], [6.0]])})
    patients = np.array([0, 0, 1, 2])
    found = nearest_points(points.vectors(range(4)), points, apart=(patients, patients))
    assert found.rows.tolist() == [2, 2, 3, 2]
    alone = nearest_points(points.vectors([0]), points, apart=(np.array([0]), np.zeros(4, int)))
    assert alone.rows.tolist() == [-1]
    assert np.isnan(alone.distances).all()


def test_points_of_another_length_are_refused():
    with pytest.raises(SchemaError, match="same checkpoint"):
        nearest_points(np.zeros((1, 2)), Points.of_arrays({"a": np.zeros((1, 3))}))
