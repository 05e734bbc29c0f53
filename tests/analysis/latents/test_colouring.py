"""What colour tells, what the figure says of itself, and the tables beside it."""

import csv

import numpy as np
import pytest

from voxloom.analysis.latents import Points
from voxloom.analysis.latents.colouring import caption, class_of, is_number, scatter_of
from voxloom.analysis.latents.coordinates import write_coordinates, write_legend
from voxloom.analysis.latents.exams import (
    exams_of,
    group_gap,
    label_colours,
    write_exams,
    write_label_colours,
)
from voxloom.analysis.latents.projection import Pca, Projected, project
from voxloom.analysis.latents.umap_projection import Umap
from voxloom.errors import ConfigError, SchemaError, UnknownNameError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Known(Source):
    """Vectors with a class with names, one of numbers, and a quantity."""

    schema = Schema(
        [
            Field(name="vector", kind="latent", axes="c", shape=(3,)),
            Field(name="site", kind="class", axes="", dtype="int64", shape=(), categories=("a", "b")),
            Field(name="age", kind="attribute", axes="", dtype="float32", shape=()),
        ]
    )
    keys = tuple(f"p{i // 2}_s{i}" for i in range(8))

    def read(self, index):
        age = np.nan if index == 3 else index / 4
        arrays = {"vector": np.eye(3)[index % 3] * index, "site": np.int64(index % 2), "age": np.float32(age)}
        return Sample(self.keys[index], self.schema, {k: np.asarray(v) for k, v in arrays.items()})


@pytest.fixture
def points():
    return Points.of_stores({"x": Known()})


def placed(points, method=None, **given):
    facts = {"fitted_on": "all groups jointly", "notices": (), "explained": 0.5, "axes": ("1", "2")}
    places = np.arange(2 * len(points), dtype=np.float32).reshape(-1, 2)
    return Projected(coordinates=places, method=method or Pca(), **{**facts, **given})


def test_class_is_the_only_field_of_classes(points):
    assert class_of(points, "class") == "site"
    assert class_of(points, "age") == "age"
    assert not is_number(points, "site")
    assert is_number(points, "age")
    with pytest.raises(UnknownNameError, match="none; expected a store that has one"):
        class_of(Points.of_arrays({"a": np.eye(2)}), "class")


def test_numbers_get_a_scale_and_all_else_labels(points):
    found = scatter_of(points, placed(points), color_by="age")
    assert found.labels is None
    assert np.isnan(found.values[3])
    assert scatter_of(points, placed(points), color_by="class").label_names == ("a", "b")
    by_key = scatter_of(points, placed(points), color_by="key:^(p[0-9]+)")
    assert by_key.label_names == ("p0", "p1", "p2", "p3")
    with pytest.raises(UnknownNameError, match="no attribute 'agee'"):
        scatter_of(points, placed(points), color_by="agee")
    with pytest.raises(ConfigError, match="finds nothing"):
        scatter_of(points, placed(points), color_by="key:zzz")


def test_the_caption_says_how(points):
    told = caption(points, placed(points, Umap(n_neighbors=5), fitted_on="fitted on a; b transformed"))
    assert "n_neighbors 5, min_dist 0.1" in told
    assert "after PCA to 3 components (50.0% of the variance)" in told
    assert "fitted on a; b transformed. N = 8." in told
    assert caption(points, placed(points, notices=("Few points.",))).endswith("N = 8. Few points.")
    notices = "n_neighbors 15 became 8, as 8 points are fitted.", "50 principal components became 7, as 8 ."
    told = caption(points, placed(points, Umap(), notices=notices))
    assert told.startswith("UMAP: n_neighbors 8, min_dist 0.1, metric euclidean, after PCA to 7 components")
    assert "became" not in told
    assert scatter_of(points, placed(points), color_by="key:^p[0-9]+").colour_by == "key:^p[0-9]+"
    found = scatter_of(points, placed(points), title="T", subtitle="mine")
    assert (found.title, found.subtitle.splitlines()[0]) == ("T", "mine")
    assert scatter_of(points, placed(points)).title == "PCA of x"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_coordinates_of_each_point(points, tmp_path):
    found = rows_of(write_coordinates(points, placed(points), tmp_path / "c.csv"))
    assert found[0] == ["key", "group", "site", "age", "x", "y"]
    assert found[2] == ["p0_s1", "x", "b", "0.25", "2", "3"]
    assert found[4] == ["p1_s3", "x", "b", "", "6", "7"]
    assert len(found) == 9


def test_the_legend_as_a_table(points, tmp_path):
    scatter = scatter_of(points, placed(points), color_by="class")
    found = rows_of(write_legend(scatter, tmp_path / "l.csv"))
    assert found[1:] == [
        ["site", "a", "4", "#0072B2", "circle", "1"],
        ["site", "b", "4", "#E69F00", "circle", "0"],
    ]


def test_the_gap_of_two_sets():
    a, b = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 4.0]])
    gap = group_gap(a, b)
    assert (gap.centres, gap.spread_a, gap.spread_b) == (4.0, 0.5, 0.0)
    assert gap.cross == pytest.approx(17**0.5)
    assert group_gap(a, np.empty((0, 2))) is None


def test_exams_that_two_groups_share(tmp_path):
    near, far = np.array([0.0, 1.0]), np.array([5.0, 5.0])
    points = Points.of_arrays({"a": np.array([near, far, far]), "b": np.array([near + 1, near + 2, far])})
    exams = np.array(["10", "9", "9", "9", "10", "7"])
    found = exams_of(points, exams, project(points, Pca()).coordinates)
    assert [(exam.name, exam.counts) for exam in found] == [("10", (1, 1)), ("9", (2, 1))]
    first, second = write_exams(found, ["a", "b"], tmp_path)
    assert second.read_text() == f"1. 10: {8**0.5:.3f}\n2. 9: 5.000\n"
    text = first.read_text()
    assert text.index("Exam 9") < text.index("Exam 10")
    assert "  a images: 2\n  b images: 1\n  latent centre distance: 5.000" in text
    write_exams([], ["a", "b"], tmp_path)
    assert "No exam is in both a and b" in first.read_text()
    with pytest.raises(SchemaError, match="expected two, there are a"):
        exams_of(Points({"a": points.parts["a"]}), exams[:3], np.zeros((3, 2)))


def test_colours_of_labels_as_text(tmp_path):
    numbers, found = label_colours([f"{i}" for i in range(40)])
    assert len(set(found.values())) == 40
    path = write_label_colours(numbers, found, tmp_path / "c.txt")
    assert path.read_text(encoding="utf-8").splitlines()[0] == "0: 0 — #0072B2"
