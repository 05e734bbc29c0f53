"""Principal components: as numpy finds them, in blocks, kept between processes."""

import logging

import numpy as np
import pytest

from voxloom.analysis.latents import Points, reduced
from voxloom.analysis.latents.pca import silent
from voxloom.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "latents"


def spectrum(n, dim, seed=0):
    """Vectors whose deviation falls from one direction to the next, far from the origin."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return (100 + rng.normal(size=(n, dim)) * 20 * 0.9 ** np.arange(dim) @ turn).astype("float32")


def truth(vectors, rows, k):
    """Return (directions, all coordinates, shares) by numpy in float64."""
    vectors = vectors.astype("float64")
    mean = vectors[rows].mean(0)
    _, values, basis = np.linalg.svd(vectors[rows] - mean, full_matrices=False)
    return basis[:k], (vectors - mean) @ basis[:k].T, (values**2 / (values**2).sum())[:k]


@pytest.mark.parametrize(("n", "dim"), [(40, 300), (700, 30), (700, 600)], ids=["few", "short", "many"])
@pytest.mark.parametrize("rows", [None, np.arange(5, 35)], ids=["all", "some"])
def test_as_numpy_finds_them(n, dim, rows, monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.points._BLOCK_BYTES", dim * 4 * 150)
    vectors = spectrum(n, dim)
    found = reduced(Points.of_arrays({"a": vectors[:33], "b": vectors[33:]}), 5, rows=rows)
    basis, coordinates, shares = truth(vectors, slice(None) if rows is None else rows, 5)
    signs = np.sign((found.basis * basis).sum(1))
    np.testing.assert_allclose(found.basis, basis * signs[:, None], atol=2e-3)
    np.testing.assert_allclose(found.coordinates, coordinates * signs, atol=0.05)
    np.testing.assert_allclose(found.explained, shares, atol=1e-4)
    np.testing.assert_allclose(found.transform(vectors), found.coordinates, atol=1e-2)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(5), atol=1e-5)
    assert (found.basis[np.arange(5), np.abs(found.basis).argmax(1)] > 0).all()
    rest = np.linalg.norm(vectors - found.mean - found.coordinates @ found.basis, axis=1)
    np.testing.assert_allclose(found.residual, rest, rtol=1e-2, atol=1e-2)


def test_a_flat_spectrum_is_near_the_best():
    """Where directions hardly differ, a few readings keep nearly as much variance as the best ones."""
    vectors = np.random.default_rng(1).normal(size=(1500, 700)).astype("float32")
    found = reduced(Points.of_arrays({"a": vectors}), 20)
    assert found.explained.sum() > 0.9 * truth(vectors, slice(None), 20)[2].sum()


def test_equal_seeds_give_equal_results(cache):
    vectors = spectrum(600, 600)
    found = []
    for seed in (1, 1, 2):
        found.append(reduced(Points.of_arrays({"a": vectors}), 3, seed=seed))
        for file in cache.iterdir():
            file.unlink()
    np.testing.assert_array_equal(found[0].coordinates, found[1].coordinates)
    np.testing.assert_allclose(found[0].coordinates, found[2].coordinates, atol=1e-2)


def test_it_is_computed_once(monkeypatch, cache):
    points = Points.of_arrays({"a": spectrum(40, 20)})
    first = reduced(points, 3)
    with monkeypatch.context() as patch:
        patch.setattr(Points, "blocks", None)
        again = reduced(Points.of_arrays({"a": spectrum(40, 20)}), 3)
        np.testing.assert_array_equal(first.coordinates, again.coordinates)
        with pytest.raises(TypeError):
            reduced(points, 3, rows=np.arange(30))
    reduced(points, 4)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "folder"])
def test_a_damaged_file_is_computed_again(damage, cache, caplog):
    points = Points.of_arrays({"a": spectrum(40, 20)})
    first = reduced(points, 3)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    if damage == "other":
        np.savez(file, **dict.fromkeys(np.load(file).files, np.zeros(2)))
    elif damage == "folder":
        file.unlink()
        (file / "inside").mkdir(parents=True)
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        file.write_bytes({"cut": whole[:middle], "flipped": flipped, "empty": b""}[damage])
    again = reduced(points, 3)
    np.testing.assert_array_equal(again.basis, first.basis)
    assert "computed again" in caplog.text
    if damage != "folder":
        caplog.clear()
        reduced(points, 3)
        assert not caplog.text


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert reduced(Points.of_arrays({"a": spectrum(9, 4)}), 2).coordinates.shape == (9, 2)
    assert "is not kept" in caplog.text


@pytest.mark.parametrize("dim", [20, 600])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_what_is_not_finite_is_named(value, dim):
    vectors = spectrum(540, dim)
    vectors[[3, 538], 7] = value
    points = Points.of_arrays({"ct": vectors}, {"ct": [f"k{i}" for i in range(540)]})
    with pytest.raises(DataError, match=r"2 of 540 vectors .*: ct: k3, ct: k538\. Expected finite"):
        reduced(points, 3)
    with pytest.raises(DataError, match="2 of 540"):
        reduced(points, 3, rows=np.arange(4, 500))


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (3, 1), (20, 700), (600, 530)])
def test_equal_points_and_small_sets(shape):
    found = reduced(Points.of_arrays({"a": np.full(shape, 3.3)}))
    assert found.coordinates.shape == (shape[0], max(1, min(50, shape[0] - 1, shape[1])))
    np.testing.assert_allclose(found.coordinates, 0, atol=1e-4)
    assert not found.explained.any()
    assert np.isfinite(found.basis).all()


def test_progress_rises_to_one():
    told = []
    reduced(Points.of_arrays({"a": spectrum(600, 600)}), 3, progress=lambda share, text: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert len(told) > 4
    silent(0.5, "nobody listens")


def test_what_cannot_be_meant():
    points = Points.of_arrays({"a": np.eye(3)})
    with pytest.raises(ConfigError, match="at least one"):
        reduced(points, 0)
    with pytest.raises(ConfigError, match="at least one"):
        reduced(points, rows=np.array([], int))
