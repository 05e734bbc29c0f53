"""Silhouette, trustworthiness and what is near: scikit-learn says the same."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as reference_trustworthiness
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors

from voxloom.analysis.latents import squared_distances
from voxloom.analysis.latents.neighbourhoods import (
    continuity,
    neighbours_kept,
    ranks,
    same_group,
    silhouette,
    trustworthiness,
)


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(60, 8))


@pytest.fixture
def groups():
    return np.random.default_rng(1).integers(4, size=60) * 3


def distances(x):
    return np.sqrt(squared_distances(x))


def test_silhouette(points, groups):
    expected = silhouette_samples(points, groups)
    np.testing.assert_allclose(silhouette(distances(points), groups), expected, atol=1e-12)
    groups[0] = 99
    expected = silhouette_samples(points, groups)
    np.testing.assert_allclose(silhouette(distances(points), groups), expected, atol=1e-12)


def test_silhouette_where_there_is_none(points):
    assert np.isnan(silhouette(distances(points), np.zeros(60, int))).all()
    assert np.isnan(silhouette(distances(points[:3]), np.arange(3))).all()
    assert not silhouette(np.zeros((4, 4)), np.array([0, 0, 1, 1])).any()


@pytest.mark.parametrize("k", [1, 5, 29])
def test_trustworthiness_and_continuity(points, k):
    plane = points[:, :2]
    latent, flat = ranks(distances(points)), ranks(distances(plane))
    expected = reference_trustworthiness(points, plane, n_neighbors=k)
    assert trustworthiness(latent, flat, k).mean() == pytest.approx(expected)
    expected = reference_trustworthiness(plane, points, n_neighbors=k)
    assert continuity(latent, flat, k).mean() == pytest.approx(expected)


def test_a_projection_that_keeps_all_is_perfect(points):
    places = ranks(distances(points))
    for measure in (trustworthiness, continuity, neighbours_kept):
        assert (measure(places, places, 7) == 1).all()


def test_shares_of_neighbours(points, groups):
    near = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(return_distance=False)
    flat = NearestNeighbors(n_neighbors=6).fit(points[:, :2]).kneighbors(return_distance=False)
    places, plane = ranks(distances(points)), ranks(distances(points[:, :2]))
    expected = (groups[near] == groups[:, None]).mean(1)
    np.testing.assert_allclose(same_group(places, groups, 6), expected)
    expected = [len(set(a) & set(b)) / 6 for a, b in zip(near.tolist(), flat.tolist(), strict=True)]
    np.testing.assert_allclose(neighbours_kept(places, plane, 6), expected)


def test_ranks_of_equal_points_are_still_ranks():
    found = ranks(np.zeros((4, 4)))
    assert [sorted(row) for row in found.tolist()] == [[0, 1, 2, 3]] * 4
    assert not np.diag(found).any()
