"""The Frechet distance: analytic answers, and where too few points leave it to principal components."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from voxloom.analysis.latents import frechet_distance, squared_distances
from voxloom.analysis.latents.frechet import frechet_of_moments, principal_coordinates

numbers = st.floats(-10, 10, width=32)
samples = st.integers(4, 9).flatmap(lambda n: arrays(np.float64, (n, 2), elements=numbers))


def gaussian(seed, n, dims=4):
    return np.random.default_rng(seed).normal(size=(n, dims))


@given(samples, samples)
def test_it_is_symmetric_and_zero_to_itself(x, y):
    there, back = frechet_distance(x, y), frechet_distance(y, x)
    assert there.squared == pytest.approx(back.squared, rel=1e-4, abs=1e-4)
    assert frechet_distance(x, x).squared == pytest.approx(0, abs=1e-4)


def test_gaussians_of_known_distance():
    """Diagonal covariances: sum of squared gaps of means and of standard deviations."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])
    found = frechet_of_moments((np.zeros(3), np.array([1.0, 0.0, 2.0])), (np.diag(a**2), np.diag(b**2)))
    assert found == pytest.approx(5 + 1 + 4)
    x = gaussian(0, 20000, 3) * a
    y = gaussian(1, 20000, 3) * b + [1, 0, 2]
    assert frechet_distance(x, y).squared == pytest.approx(10, rel=0.03)


def test_rotated_covariances_and_stacks():
    rotation = np.linalg.qr(gaussian(2, 4))[0]
    first = rotation @ np.diag([1.0, 4, 9, 16]) @ rotation.T
    second = rotation @ np.diag([4.0, 4, 1, 1]) @ rotation.T
    zeros = np.zeros(4)
    found = frechet_of_moments(
        (np.stack([zeros, zeros]), np.stack([zeros, zeros])),
        (np.stack([first, first]), np.stack([second, first])),
    )
    np.testing.assert_allclose(found, [1 + 0 + 4 + 9, 0], atol=1e-9)


def test_enough_points_are_measured_in_full():
    x, y = gaussian(0, 40), gaussian(1, 40) + 1
    found = frechet_distance(x, y)
    covariances = np.cov(x.T), np.cov(y.T)
    expected = frechet_of_moments((x.mean(0), y.mean(0)), covariances)
    assert found.squared == pytest.approx(float(expected))
    assert (found.dims, found.explained, found.notice) == (4, 1.0, "")


@pytest.mark.parametrize("more", [20, 90])
def test_few_points_are_measured_in_principal_components(more):
    x, y = gaussian(0, 12, 30), gaussian(1, more, 30) + 2
    found = frechet_distance(x, y)
    assert found.dims == 6
    assert "6 principal components of 30 dimensions: the smaller sample has 12 points" in found.notice
    z = PCA(6, svd_solver="full").fit(np.concatenate([x, y])).transform(np.concatenate([x, y]))
    expected = frechet_of_moments((z[:12].mean(0), z[12:].mean(0)), (np.cov(z[:12].T), np.cov(z[12:].T)))
    assert found.squared == pytest.approx(float(expected))
    assert 0 < found.explained < 1
    assert found.explained == pytest.approx(np.var(z, 0).sum() / np.var(np.concatenate([x, y]), 0).sum())
    assert frechet_distance(x, y, dims=3).dims == 3


def test_all_dimensions_can_be_asked_for_where_there_are_more_points():
    x, y = gaussian(0, 100, 60), gaussian(1, 100, 60)
    assert frechet_distance(x, y).dims == 50
    assert frechet_distance(x, y, dims=60).notice == ""
    assert frechet_distance(x[:40], y, dims=60).dims == 39


def test_one_point_has_none_and_equal_points_are_at_zero():
    found = frechet_distance(np.zeros((1, 3)), np.ones((5, 3)))
    assert math.isnan(found.squared)
    assert "fewer than two" in found.notice
    assert frechet_distance(np.ones((3, 8)), np.ones((3, 8))).squared == 0


def test_principal_coordinates_are_those_of_a_pca():
    x = gaussian(3, 25, 6)
    found, explained = principal_coordinates(squared_distances(x), 3)
    pca = PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(found), np.abs(pca.transform(x)), atol=1e-8)
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum())
