"""Latents drawn and measured as a job: all files or none, and what can be wrong."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

from voxloom.analysis.latents import Points, frechet, frechet_distance, mmd_test, two_samples
from voxloom.conversion import convert
from voxloom.errors import (
    ConfigError,
    DataError,
    Interrupted,
    MissingDataError,
    OutputExistsError,
    SchemaError,
    UnknownNameError,
)
from voxloom.formats.store import Store
from voxloom.jobs import latent_distances, latent_files
from voxloom.jobs.latent_analysis import AnalyzeOptions, analyze_latents
from voxloom.jobs.latent_distances import DistanceOptions, compare_latents, key_distance
from voxloom.jobs.latent_stores import first_points, named_stores, open_latents
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Latents(Source):
    """Latents of four slices of each patient, with a class."""

    schema = Schema(
        [
            Field(name="image_mu", kind="latent", axes="cyx", shape=(2, 3, 3)),
            Field(name="site", kind="class", axes="", dtype="int64", shape=(), categories=("a", "b")),
        ]
    )

    def __init__(self, count=24, shift=0.0):
        self.count, self.shift = count, shift

    @property
    def keys(self):
        return [f"p{i // 4}_s{i:02d}" for i in range(self.count)]

    def read(self, index):
        rng = np.random.default_rng(index)
        latent = rng.normal(size=(2, 3, 3)).astype("f4") + self.shift + index // 4
        arrays = {"image_mu": latent, "site": np.asarray(index % 2)}
        return Sample(self.keys[index], self.schema, arrays)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for name, shift in (("ct", 0.0), ("mr", 3.0)):
        convert(Latents(shift=shift), folder / name, format="memmap")
    return {name: Store(folder / name) for name in ("ct", "mr")}


QUICK = {"method": "pca", "formats": ("png",), "dpi": 40}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_is_written(stores, tmp_path):
    options = AnalyzeOptions(
        **{**QUICK, "formats": ("png", "svg", "html")}, patient="key:^p[0-9]+", texts=True
    )
    found = analyze_latents(stores, tmp_path / "out", train=stores["ct"], options=options)
    there = names(tmp_path / "out")
    assert set(found.files) == set(there)
    assert {f"pca_projection.{end}" for end in ("png", "svg", "html")} < set(there)
    assert {"coordinates.csv", "legend.csv", "statistics.json", "groups.csv", "pairs.csv"} < set(there)
    assert {"color_legend.txt", "distance_metrics.txt", "exams_sorted_by_distance.txt"} < set(there)
    with (tmp_path / "out" / "coordinates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    np.testing.assert_allclose(
        [float(row["x"]) for row in rows], found.projected.coordinates[:, 0], rtol=1e-6
    )
    facts = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert facts["groups"]["mr"]["source"] == str(stores["mr"].path)
    assert facts["fitted_on"] == "all groups jointly"
    assert names(tmp_path) == ["out"]


def test_tables_that_nobody_asked_for_are_not_there(stores, tmp_path):
    both = {"patients.csv", "memorisation.csv"}
    options = AnalyzeOptions(**QUICK, patient="key:^p[0-9]+")
    analyze_latents(stores, tmp_path / "o", train=stores["ct"], options=options)
    assert both < set(names(tmp_path / "o"))
    found = analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**QUICK, overwrite=True))
    assert not both & {*found.files, *names(tmp_path / "o")}


def test_one_group_is_fitted_and_the_other_transformed(stores, tmp_path):
    found = analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**QUICK, fit="ct", dims=3))
    assert found.projected.fitted_on == "fitted on ct; mr transformed"
    assert found.projected.coordinates.shape == (48, 3)


def test_one_group_is_measured_by_what_colour_tells(stores, tmp_path):
    given = {"ct": stores["ct"]}
    found = analyze_latents(given, tmp_path / "o", options=AnalyzeOptions(**QUICK, color_by="class"))
    assert [row.group for row in found.statistics.groups] == ["a", "b"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_points_is_enough(stores, tmp_path, count):
    options = AnalyzeOptions(method="umap", formats=("png",), dpi=40, max_points=count)
    found = analyze_latents({"ct": stores["ct"]}, tmp_path / "o", options=options)
    assert np.isfinite(found.projected.coordinates).all()
    assert found.projected.notices
    record = json.loads((tmp_path / "o" / "analysis.json").read_text())
    assert (record["method"]["name"], record["options"]["method"]) == ("pca", "umap")
    assert "pca_projection.png" in found.files


def test_an_earlier_analysis_stays_unless_told(stores, tmp_path):
    both = AnalyzeOptions(**{**QUICK, "formats": ("png", "svg")})
    analyze_latents(stores, tmp_path / "o", options=both)
    (tmp_path / "o" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**QUICK))
    analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**QUICK, overwrite=True))
    assert "mine.txt" in names(tmp_path / "o")
    assert "pca_projection.svg" not in names(tmp_path / "o")  # it showed what is there no more
    (tmp_path / "file").touch()
    with pytest.raises(OutputExistsError, match="is a file"):
        analyze_latents(stores, tmp_path / "file", options=AnalyzeOptions(**QUICK))
    with pytest.raises(OutputExistsError, match="lies within"):
        analyze_latents(stores, stores["ct"].path / "out", options=AnalyzeOptions(**QUICK))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_stop_leaves_nothing_half(stores, tmp_path, monkeypatch, error):
    def stop(*given, **more):
        raise error

    monkeypatch.setattr(latent_files, "write_legend", stop)
    with pytest.raises(Interrupted if error is KeyboardInterrupt else OSError):
        analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**QUICK))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"method": "umpa"}, UnknownNameError, "Did you mean 'umap'"),
        ({"method": "pca", "perplexity": 5}, ConfigError, "no such setting"),
        ({"method": "pca", "color_by": "stie"}, UnknownNameError, "Did you mean 'site'"),
        ({"method": "pca", "color_by": "key:"}, ConfigError, "finds nothing"),
        ({"method": "pca", "patient": "key:zzz"}, ConfigError, "finds nothing"),
        ({"method": "pca", "fit": "cr"}, UnknownNameError, "Groups: ct, mr"),
        ({"method": "pca", "field": "image"}, SchemaError, "Did you mean 'image_mu'"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(stores, tmp_path, given, error, text):
    with pytest.raises(error, match=text):
        analyze_latents(stores, tmp_path / "o", options=AnalyzeOptions(**given))
    assert not (tmp_path / "o").exists()


def test_names_of_stores(tmp_path):
    assert list(named_stores([tmp_path / "a", tmp_path / "b"])) == ["a", "b"]
    with pytest.raises(ConfigError, match="--group NAME=STORE"):
        named_stores([tmp_path / "a", tmp_path / "a"])
    (tmp_path / "latents").mkdir()
    with pytest.raises(MissingDataError, match="Did you mean 'latents'"):
        open_latents({"x": tmp_path / "latent"})


def test_distances_of_two_groups(stores, tmp_path):
    points = Points.of_stores(stores)
    found = compare_latents(points, options=DistanceOptions(permutations=99))
    gap = points.vectors(points.rows_of("ct")).mean(0) - points.vectors(points.rows_of("mr")).mean(0)
    assert found.centres == pytest.approx(float(np.linalg.norm(gap)), rel=1e-5)
    assert found.mmd.p <= 0.05
    assert found.counts == (24, 24)
    x, y = points.vectors(points.rows_of("ct")), points.vectors(points.rows_of("mr"))
    all_distances = np.linalg.norm(x[:, None].astype(float) - y, axis=-1)
    np.testing.assert_allclose(found.nearest, all_distances.min(1), rtol=1e-6)
    assert found.nearest_keys[5] == Latents().keys[all_distances[5].argmin()]
    assert found.cross == pytest.approx(all_distances.mean())
    assert "ct to its nearest of mr, median" in found.table()
    found.save(tmp_path)
    assert names(tmp_path) == ["distances.json", "nearest.csv"]
    with pytest.raises(OutputExistsError):
        found.save(tmp_path)
    assert key_distance(points, ("ct", "p0_s01"), ("mr", "p1_s05")) == pytest.approx(all_distances[1, 5])
    with pytest.raises(MissingDataError, match="Did you mean 'p0_s01'"):
        key_distance(points, ("ct", "p0_s1"), ("mr", "p1_s05"))


def test_only_two_groups_are_compared(stores):
    with pytest.raises(ConfigError, match="1 groups with points"):
        compare_latents(Points.of_stores({"ct": stores["ct"]}))


def test_the_first_points_are_taken_and_told_apart_from_all(stores):
    few = Points.of_stores(first_points(stores, 3))
    assert few.groups.tolist() == ["ct"] * 3 + ["mr"] * 3
    assert (
        len({few.digest, Points.of_stores(stores).digest, Points.of_stores(first_points(stores, 4)).digest})
        == 3
    )
    with pytest.raises(SchemaError):
        Points.of_stores({"x": stores["ct"].select("site")})


def test_distances_of_all_to_all_are_found_once_and_without_a_copy(monkeypatch):
    found, calls = latent_distances.squared_distances, []

    def counted(*given):
        calls.append(len(given))
        return found(*given)

    for module in (latent_distances, frechet, two_samples):
        monkeypatch.setattr(module, "squared_distances", counted)
    x, y = np.random.default_rng(0).normal(size=(2, 20, 90)).astype("float32")
    compared = compare_latents(
        Points.of_arrays({"a": x, "b": y}), options=DistanceOptions(permutations=99, seed=1)
    )
    assert len(calls) == 1
    monkeypatch.undo()
    assert compared.mmd == mmd_test(x, y, permutations=99, seed=1)
    assert compared.frechet == frechet_distance(x, y)
    assert compared.compared == (20, 20)


def test_long_vectors_are_not_copied():
    vectors = np.random.default_rng(0).normal(size=(40, 100_000)).astype("float32")
    tracemalloc.start()
    try:
        latent_distances._of_all_pairs(vectors, 20)
        assert tracemalloc.get_traced_memory()[1] < vectors.nbytes / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("group", ["a", "b"])
def test_a_vector_that_is_not_finite_is_named(group):
    arrays = {"a": np.ones((5, 3)), "b": np.zeros((6, 3))}
    arrays[group][2, 1] = np.inf
    with pytest.raises(DataError, match="the vector of 2 holds a value that is not finite"):
        compare_latents(Points.of_arrays(arrays), options=DistanceOptions(permutations=99))
