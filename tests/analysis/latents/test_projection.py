"""Projections: what is fitted and what is transformed, small sets, what is kept."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from voxloom.analysis.latents import PROJECTIONS, Points, project
from voxloom.analysis.latents.projection import Pca, Placed, Projection, first_components
from voxloom.errors import DataError, MissingExtraError, UnknownNameError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "latents"


class Mirror(Projection):
    """The first components, the other way round."""

    name = "mirror"
    title = "Mirror"
    calls: ClassVar[list] = []

    def place(self, setting):
        self.calls.append(setting)
        setting.part(0.0, 0.5)(1.0, "mirror")
        found = first_components(setting, self.dims)
        return Placed(-found.fitted, -found.others, ("seen",))


def vectors(n, dim=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)) * 2.0 ** -np.arange(dim)


def test_the_registry_has_them():
    assert list(PROJECTIONS) == ["pca", "tsne", "umap"]
    for name, method in PROJECTIONS.items():
        assert method.name == name
        assert pickle.loads(pickle.dumps(method(dims=3))) == method(dims=3)
        assert "dims" in method.model_json_schema()["properties"]
    with pytest.raises(UnknownNameError, match="Did you mean 'umap'"):
        PROJECTIONS["umpa"]
    with pytest.raises(ValidationError):
        Pca(dims=4)


def test_pca_is_the_first_components():
    points = Points.of_arrays({"a": vectors(30)})
    found = project(points, Pca())
    centred = vectors(30) - vectors(30).mean(0)
    _, values, basis = np.linalg.svd(centred)
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(centred @ basis[:2].T), atol=1e-5)
    shares = values**2 / (values**2).sum()
    assert found.explained == pytest.approx(shares[:2].sum(), abs=1e-5)
    assert found.axes == (f"PC 1 ({shares[0]:.1%})", f"PC 2 ({shares[1]:.1%})")
    assert found.notices == ()
    assert found.coordinates.dtype == np.float32
    assert pickle.loads(pickle.dumps(found)).method == Pca()


@pytest.mark.parametrize(
    ("groups", "fit", "words"),
    [
        ("a", "joint", "fitted on a"),
        ("a", "a", "fitted on a"),
        ("ab", "joint", "all groups jointly"),
        ("ab", "b", "fitted on b; a transformed"),
        ("abcd", "b", "fitted on b; a, c and d transformed"),
    ],
)
def test_what_was_fitted_in_words(groups, fit, words):
    points = Points.of_arrays({name: vectors(8, seed=i) for i, name in enumerate(groups)})
    assert project(points, Pca(), fit=fit).fitted_on == words


def test_one_group_is_fitted_and_the_others_are_transformed():
    parts = {"a": vectors(10), "b": vectors(20, seed=1) + 3, "c": vectors(5, seed=2)}
    points = Points.of_arrays(parts)
    Mirror.calls.clear()
    found = project(points, Mirror(components=4), fit="b")
    (setting,) = Mirror.calls
    assert (setting.fitted.shape, setting.others.shape) == ((20, 4), (15, 4))
    np.testing.assert_array_equal(found.coordinates[points.rows_of("b")], -setting.fitted[:, :2])
    np.testing.assert_array_equal(found.coordinates[points.rows_of("c")], -setting.others[10:, :2])
    np.testing.assert_allclose(setting.fitted.mean(0), 0, atol=1e-5)
    assert (found.notices, found.axes) == (("seen",), ("Mirror 1", "Mirror 2"))
    alone = project(Points.of_arrays({"b": parts["b"]}), Pca(components=4))
    np.testing.assert_allclose(alone.coordinates, setting.fitted[:, :2], atol=1e-5)


def test_it_is_computed_once():
    points = Points.of_arrays({"a": vectors(10), "b": vectors(20)})
    Mirror.calls.clear()
    first = project(points, Mirror())
    again = project(points, Mirror())
    np.testing.assert_array_equal(first.coordinates, again.coordinates)
    assert first.notices == again.notices
    assert len(Mirror.calls) == 1
    project(points, Mirror(), fit="a")
    project(points, Mirror(seed=1))
    project(points, Mirror(dims=3))
    project(Points.of_arrays({"a": vectors(10), "b": vectors(20, seed=1)}), Mirror())
    assert len(Mirror.calls) == 5
    assert len({setting.key for setting in Mirror.calls}) == 4, "dims alone leave the neighbours as they are"


def test_progress_rises_to_one():
    told = []
    project(Points.of_arrays({"a": vectors(9)}), Mirror(), progress=lambda share, text: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_handful_is_placed_by_pca(name, n, dims):
    found = project(
        Points.of_arrays({"a": vectors(n), "b": vectors(2)}), PROJECTIONS[name](dims=dims), fit="a"
    )
    assert found.coordinates.shape == (n + 2, dims)
    assert np.isfinite(found.coordinates).all()
    np.testing.assert_array_equal(found.coordinates[:, n:], 0)  # there are no more directions
    if name != "pca":
        assert "Placed by PCA" in found.notices[0]
        assert f"{n} point{'s' * (n > 1)} {'are' if n > 1 else 'is'} fitted" in found.notices[0]
        assert found.method.name == "pca"
        assert found.axes[0].startswith("PC 1 (")
    assert (len(found.notices) > 0) == (name != "pca" or n <= dims)


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
def test_equal_points_lie_on_one_another(name):
    found = project(Points.of_arrays({"a": np.full((40, 7), 2.5)}), PROJECTIONS[name]())
    np.testing.assert_allclose(found.coordinates, 0, atol=1e-4)
    assert found.explained == 0
    assert any("are equal" in notice for notice in found.notices) == (name != "pca")


def test_what_is_not_finite_or_not_there():
    wrong = np.eye(6)
    wrong[2, 3] = np.nan
    with pytest.raises(DataError, match="a: 2"):
        project(Points.of_arrays({"a": wrong}), Pca())
    points = Points.of_arrays({"a": np.eye(3), "empty": np.zeros((0, 3))})
    assert project(points, Pca()).fitted_on == "fitted on a"
    with pytest.raises(DataError, match="'empty' has no points"):
        project(points, Pca(), fit="empty")
    with pytest.raises(UnknownNameError):
        project(points, Pca(), fit="b")


@pytest.mark.parametrize(("name", "package"), [("umap", "umap-learn"), ("tsne", "openTSNE")])
def test_a_missing_package_is_named(name, package, monkeypatch):
    for module in ("umap", "openTSNE"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"needs {package}.*voxloom\[analysis\]"):
        project(Points.of_arrays({"a": vectors(9)}), PROJECTIONS[name]())


def test_other_components_are_placed_anew(monkeypatch):
    Mirror.calls.clear()
    points = Points.of_arrays({"a": vectors(30)})
    project(points, Mirror())
    project(points, Mirror())
    assert len(Mirror.calls) == 1
    monkeypatch.setattr("voxloom.analysis.latents.pca._VERSION", 99)
    project(points, Mirror())
    assert len(Mirror.calls) == 2
    assert len({setting.key for setting in Mirror.calls}) == 2


def test_a_source_whose_vectors_have_changed_is_placed_anew():
    class Table(Source):
        schema = Schema([Field(name="z", kind="latent", axes="c", shape=(6,))])
        keys = tuple("abcdefgh")

        def __init__(self, seed):
            self.values = vectors(8, seed=seed).astype("float32")

        def read(self, index):
            return Sample(self.keys[index], self.schema, {"z": self.values[index]})

    first, second = (project(Points.of_stores({"x": Table(seed)}), Pca()).coordinates for seed in (0, 1))
    assert not np.allclose(first, second)
