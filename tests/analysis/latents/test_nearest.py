"""Neighbours by true distances, and neighbours of all points that projections build on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.analysis.latents import Points, neighbours, reduced
from voxloom.analysis.latents.neighbourhood import nearest, neighbourhood
from voxloom.analysis.latents.pca import silent


@given(st.integers(2, 90), st.integers(1, 30), st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31))
def test_they_equal_brute_force(n, dim, k, components, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, size=(n, dim)).astype("float32") + rng.choice([0, 50])
    points = Points.of_arrays({"a": vectors})
    row = int(rng.integers(n))
    rows, distances = neighbours(reduced(points, components), points, row, k)
    true = np.linalg.norm(vectors - vectors[row], axis=1)
    others = np.delete(np.arange(n), row)
    np.testing.assert_allclose(distances, np.sort(true[others])[:k], rtol=1e-6)
    np.testing.assert_allclose(distances, true[rows], rtol=1e-6)
    assert row not in rows
    assert len(set(rows.tolist())) == len(rows) == min(k, n - 1)


def test_reading_ends_when_no_candidate_can_be_nearer(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    points = Points.of_arrays({"a": vectors})
    found = reduced(points, 7)
    read = []
    vectors_of = Points.vectors
    monkeypatch.setattr(
        Points, "vectors", lambda self, rows: (read.append(len(rows)), vectors_of(self, rows))[1]
    )
    rows, _ = neighbours(found, points, 5, 3)
    true = np.linalg.norm(vectors - vectors[5], axis=1)
    np.testing.assert_array_equal(rows, np.argsort(true)[1:4])
    assert sum(read) < 200


def test_few_candidates_still_give_true_distances():
    vectors = np.random.default_rng(0).normal(size=(500, 40)).astype("float32")
    points = Points.of_arrays({"a": vectors})
    rows, distances = neighbours(reduced(points, 2), points, 5, 10, most=1)
    assert len(rows) == 10
    np.testing.assert_allclose(distances, np.linalg.norm(vectors[rows] - vectors[5], axis=1), rtol=1e-6)
    assert (np.diff(distances) >= 0).all()


def test_one_point_has_none():
    points = Points.of_arrays({"a": np.zeros((1, 4))})
    rows, distances = neighbours(reduced(points), points, 0, 5)
    assert (rows.shape, distances.shape) == ((0,), (0,))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbourhood_as_defined(metric):
    coordinates = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    found = neighbourhood(coordinates, 7, metric=metric, key="x", progress=silent)
    apart = np.linalg.norm(coordinates[:, None] - coordinates, axis=2)
    if metric == "cosine":
        turned = coordinates / np.linalg.norm(coordinates, axis=1, keepdims=True)
        apart = 1 - turned @ turned.T
    np.testing.assert_array_equal(found.rows, np.argsort(apart, axis=1)[:, :7])
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :7], atol=1e-5)
    new = nearest(coordinates[:5] + 1e-4, coordinates, 1, metric)
    assert new.rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert nearest(coordinates[:0], coordinates, 3, metric).rows.shape == (0, 3)


def test_equal_points_have_distance_zero_and_come_first_themselves():
    coordinates = np.full((50, 3), 7.7, np.float32)
    found = neighbourhood(coordinates, 4, metric="euclidean", key="x", progress=silent)
    assert found.rows[:, 0].tolist() == list(range(50))
    assert not found.distances.any()
    assert all(len(set(row)) == 4 for row in found.rows.tolist())


def test_neighbours_of_many_are_kept_for_fewer(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path))
    monkeypatch.setattr("voxloom.analysis.latents.neighbourhood._FEW", 50)
    coordinates = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    told = []
    found = [
        neighbourhood(coordinates, k, metric="euclidean", key="x", progress=lambda *_: told.append(1))
        for k in (9, 30)
    ]
    assert len(told) == 1
    np.testing.assert_array_equal(found[0].rows, found[1].rows[:, :9])
    assert len(list((tmp_path / "latents").iterdir())) == 1
