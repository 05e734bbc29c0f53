"""t-SNE: clusters stay apart, new points fall where they belong, few points are enough."""

import numpy as np
import pytest

from voxloom.analysis.latents import Points, project
from voxloom.analysis.latents.tsne_projection import Tsne


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "latents"


def forget(cache):
    for file in cache.glob("tsne-*"):
        file.unlink()


@pytest.fixture
def clusters():
    """Return (vectors (240, 30), number of the cluster of each): four balls far apart."""
    rng = np.random.default_rng(0)
    member = np.arange(240) % 4
    return rng.normal(size=(4, 30))[member] * 6 + rng.normal(size=(240, 30)), member


@pytest.mark.parametrize("dims", [2, 3])
def test_clusters_stay_apart(clusters, dims, cache):
    from sklearn.manifold import trustworthiness
    from sklearn.metrics import silhouette_score

    vectors, member = clusters
    told = []
    found = project(
        Points.of_arrays({"a": vectors}), Tsne(dims=dims), progress=lambda share, text: told.append(share)
    )
    assert trustworthiness(vectors, found.coordinates) > 0.9
    assert silhouette_score(found.coordinates, member) > 0.7
    assert found.notices == ()
    assert told == sorted(told)
    assert len(told) > 10
    forget(cache)
    again = project(Points.of_arrays({"a": vectors}), Tsne(dims=dims))
    np.testing.assert_array_equal(found.coordinates, again.coordinates)


def test_new_points_fall_where_they_belong(clusters):
    vectors, member = clusters
    points = Points.of_arrays({"a": vectors, "same": vectors, "one": vectors[:1] + 0.1})
    found = project(points, Tsne(), fit="a")
    fitted, same, one = np.split(found.coordinates, [240, 480])
    extent = np.ptp(fitted, axis=0).max()
    assert np.median(np.linalg.norm(same - fitted, axis=1)) < 0.02 * extent
    centres = np.array([fitted[member == i].mean(0) for i in range(4)])
    apart = np.linalg.norm(np.concatenate([same, one])[:, None] - centres, axis=2)
    assert (apart.argmin(1) == [*member, member[0]]).all()


@pytest.mark.parametrize("n", [5, 6, 20])
@pytest.mark.parametrize("dims", [2, 3])
def test_few_points_are_enough(n, dims):
    vectors = np.random.default_rng(0).normal(size=(n, 8))
    points = Points.of_arrays({"a": vectors, "b": vectors[:2]})
    found = project(points, Tsne(dims=dims, perplexity=30), fit="a")
    assert found.notices[0] == f"perplexity 30 became {(n - 1) / 3:.4g}, as {n} points are fitted."
    assert np.isfinite(found.coordinates).all()
    assert found.coordinates.shape == (n + 2, dims)


def test_many_equal_points_and_short_vectors():
    vectors = np.repeat([[0.0], [1.0], [5.0]], 20, axis=0)
    found = project(Points.of_arrays({"a": vectors}), Tsne(perplexity=5))
    assert np.isfinite(found.coordinates).all()


def test_a_little_less_perplexity_leaves_the_neighbours(clusters, monkeypatch, cache):
    monkeypatch.setattr("voxloom.analysis.latents.neighbourhood._FEW", 0)
    points = Points.of_arrays({"a": clusters[0]})
    found = [project(points, Tsne(perplexity=value)).coordinates for value in (30, 28)]
    assert len(list(cache.glob("neighbours-*"))) == 1
    assert not np.allclose(found[0], found[1])
