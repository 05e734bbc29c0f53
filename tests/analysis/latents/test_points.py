"""Points: vectors of groups in one order, read where they lie, with what is known of each."""

import numpy as np
import pytest

from voxloom.analysis.latents import Pca, Points, project
from voxloom.analysis.latents.coordinates import write_coordinates
from voxloom.analysis.latents.vectors import Vectors
from voxloom.conversion import convert
from voxloom.errors import ConfigError, SchemaError, UnknownNameError
from voxloom.formats.store import Store
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Concat, Map, Source


class Encoded(Source):
    """Latents of both sides of pairs, with a class, a number and a text."""

    schema = Schema(
        [
            Field(name="condition_mu", kind="latent", axes="vcyx", shape=(2, 3, 4, 5)),
            Field(name="target_mu", kind="latent", axes="cyx", shape=(3, 4, 5)),
            Field(name="target_sigma", kind="latent", axes="cyx", shape=(3, 4, 5)),
            Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=("ct", "mr")),
            Field(name="age", kind="attribute", axes="", dtype="float32", shape=()),
            Field(name="site", kind="text", axes="", dtype="str"),
        ]
    )

    def __init__(self, count=7, seed=0):
        self.count, self.seed = count, seed

    @property
    def keys(self):
        return [f"p{i // 2}_slice{i}" for i in range(self.count)]

    def read(self, index):
        rng = np.random.default_rng((self.seed, index))
        arrays = {
            name: rng.normal(size=self.schema[name].shape).astype("float32") for name in list(self.schema)[:3]
        }
        arrays |= {
            "label": np.int64(index % 2),
            "age": np.float32(index / 2),
            "site": np.array(f"s{index % 3}"),
        }
        return Sample(self.keys[index], self.schema, {k: np.asarray(v) for k, v in arrays.items()})


@pytest.fixture(params=["source", "store"])
def source(request, tmp_path):
    if request.param == "source":
        return Encoded()
    convert(Encoded(), tmp_path / "store", format="memmap")
    return Store(tmp_path / "store")


def test_two_means_of_one_source_are_two_groups(source):
    points = Points.of_stores({"latents": source})
    assert list(points.parts) == ["condition", "target"]
    assert (len(points), points.dim, points.shape) == (14, 60, (3, 4, 5))
    assert points.groups.tolist() == ["condition"] * 7 + ["target"] * 7
    sample = Encoded()[2]
    np.testing.assert_array_equal(points.vectors([9, 2])[0], sample["target_mu"].ravel())
    np.testing.assert_array_equal(points.vectors([9, 2])[1], sample["condition_mu"][0].ravel())
    assert points.located(9)[1] == 2
    assert points.rows_of("target").tolist() == list(range(7, 14))


def test_blocks_give_all_vectors_in_order(source, monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.points._BLOCK_BYTES", 60 * 4 * 3)
    points = Points.of_stores({"a": source, "b": source}, field="target_mu")
    assert list(points.parts) == ["a", "b"]
    blocks = list(points.blocks())
    assert [block.shape[0] for _, block in blocks] == [3, 3, 3, 3, 2]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), points.vectors(range(14)))
    rows = np.array([13, 0, 5, 6])
    np.testing.assert_array_equal(np.concatenate([b for _, b in points.blocks(rows)]), points.vectors(rows))


def test_labels(source):
    points = Points.of_stores({"x": source}, field="target_mu")
    assert set(points.attributes) == {"label", "age", "site"}
    assert points.labels("group").tolist() == ["x"] * 7
    assert points.labels("label").tolist() == ["ct", "mr", "ct", "mr", "ct", "mr", "ct"]
    assert points.labels("age").tolist()[:3] == ["0", "0.5", "1"]
    assert points.labels("site").tolist()[:4] == ["s0", "s1", "s2", "s0"]
    assert points.labels("key:^p([0-9]+)_").tolist() == ["0", "0", "1", "1", "2", "2", "3"]
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        points.labels("lable")
    with pytest.raises(ConfigError, match="finds nothing"):
        points.labels("key:zzz")
    with pytest.raises(ConfigError, match="Expected a regular expression"):
        points.labels("key:(")


def test_a_group_without_an_attribute_says_so(source):
    plain = Points.of_arrays({"z": np.zeros((2, 60))}).parts["z"]
    points = Points({**Points.of_stores({"x": source}, field="target_mu").parts, "z": plain})
    assert points.labels("label")[-2:].tolist() == ["(none)", "(none)"]
    assert np.isnan(points.attributes["age"][-2:]).all()
    assert points.labels("age")[-1] == "(none)"


def test_the_digest_tells_other_points_apart(tmp_path):
    digests = {Points.of_arrays({"a": np.eye(3) * n}).digest for n in (1, 2)}
    for seed in (0, 1):
        convert(Encoded(seed=seed), tmp_path / str(seed), format="memmap")
        stored = {"s": Store(tmp_path / str(seed))}
        digests |= {Points.of_stores(stored).digest, Points.of_stores(stored, field="target_sigma").digest}
    assert len(digests) == 6
    again = Points.of_stores({"s": Store(tmp_path / "0")})
    assert again.digest in digests


def test_what_is_no_space_is_refused(source):
    with pytest.raises(SchemaError, match="different size"):
        Points.of_arrays({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))})
    with pytest.raises(SchemaError, match="no points"):
        Points.of_arrays({"a": np.zeros((0, 3))})
    with pytest.raises(SchemaError, match="expected latents"):
        Points.of_stores({"x": source.select("label")})
    with pytest.raises(IndexError, match="expected 0 to 13"):
        Points.of_stores({"x": source}).located(14)
    with pytest.raises(UnknownNameError, match="Groups: condition, target"):
        Points.of_stores({"x": source}).rows_of("conditon")


class Table(Source):
    """Vectors of a source that tells nothing of its content, beside a patient's number."""

    schema = Schema(
        [
            Field(name="z", kind="latent", axes="c", shape=(2,)),
            Field(name="patient", kind="attribute", axes=""),
        ]
    )
    keys = tuple("abcdef")

    def __init__(self, seed=0, patients=range(6), dtype="int64"):
        self.vectors = np.random.default_rng(seed).normal(size=(6, 2)).astype("float32")
        self.patients = np.array(patients, dtype)

    def __repr__(self):
        return "vectors of table.csv"

    def read(self, index):
        return Sample(
            self.keys[index], self.schema, {"z": self.vectors[index], "patient": self.patients[index]}
        )


def test_long_numbers_keep_their_digits():
    ids = [10012345, 10012346, 2**53, 2**53 + 1, -7, 0]
    points = Points.of_stores({"x": Table(patients=ids)})
    assert points.labels("patient").tolist() == [str(i) for i in ids]
    floats = [10012345.0, 0.1, 1.5, np.nan, np.inf, 1e30]
    labels = ["10012345", "0.1", "1.5", "(none)", "inf", "1e+30"]
    for dtype in ("float32", "float64"):
        assert Points.of_stores({"x": Table(0, floats, dtype)}).labels("patient").tolist() == labels
    plain = Points.of_arrays({"z": np.zeros((1, 2))}).parts["z"]
    both = Points({**points.parts, "z": plain})
    assert both.labels("patient").tolist() == [*(str(i) for i in ids), "(none)"]


def test_sources_of_one_name_and_other_numbers_are_told_apart(monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.vectors._HASHED", 4 * 2 * 4)
    made = [
        lambda source: source,
        lambda source: Concat([source, source]),
        lambda source: source[1:],
        lambda source: source.select("z"),
        lambda source: Map(source, lambda sample: sample),
    ]
    digests = [[Points.of_stores({"x": f(Table(seed))}).digest for seed in (0, 1, 0)] for f in made]
    assert all(one != other and one == again for one, other, again in digests)
    few = Points.of_stores({"x": Table()[:3]}).digest
    assert len({few, *(digest for three in digests for digest in three)}) >= 7


def test_what_is_chosen_from_stores_is_not_read_for_a_digest(tmp_path, monkeypatch):
    convert(Encoded(), tmp_path / "store", format="memmap")
    store = Store(tmp_path / "store")
    sources = [store, store[1:4], Concat([store, store]), Concat([store[1:], store])]
    read = []
    monkeypatch.setattr(Vectors, "read", lambda *given: read.append(given))
    digests = [Points.of_stores({"x": source}, field="target_mu").digest for source in sources]
    assert len(set(digests)) == 4
    assert not read


def test_coordinates_keep_the_digits_of_a_patient(tmp_path):
    points = Points.of_stores({"x": Table(patients=[10000012345, 10000012346, 1, 2, 3, 4])})
    path = write_coordinates(points, project(points, Pca()), tmp_path / "c.csv")
    rows = [line.split(",")[2] for line in path.read_text().splitlines()]
    assert rows[:4] == ["patient", "10000012345", "10000012346", "1"]
