"""All that the page asks for, of points in two groups, with a decoder and a translator made of numpy."""

import csv
import io
import threading
import time

import numpy as np
import pytest

from voxloom.analysis.explorer import FieldChoice, Images, Session, SessionOptions
from voxloom.analysis.explorer.checkpoint import line
from voxloom.analysis.explorer.choices import begun, methods_of, settled
from voxloom.analysis.explorer.spreadsheet import cell
from voxloom.analysis.explorer.worker import Stopped
from voxloom.analysis.latents import Pca, Points, project
from voxloom.analysis.latents.series import Scatter
from voxloom.errors import ConfigError, DataError, UnknownNameError, VoxloomError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

COUNT = 30


class Pairs(Source):
    """Latents of pairs, a class and a number."""

    schema = Schema(
        [
            Field(name="condition_mu", kind="latent", axes="cyx", shape=(2, 3, 3)),
            Field(name="target_mu", kind="latent", axes="cyx", shape=(2, 3, 3)),
            Field(name="site", kind="class", axes="", dtype="int64", shape=(), categories=("x", "=y")),
            Field(name="age", kind="attribute", axes="", dtype="float32", shape=()),
        ]
    )
    keys = tuple(f"=p{i // 3}_{i}" if i == 4 else f"p{i // 3}_{i}" for i in range(COUNT))

    def read(self, index):
        rng = np.random.default_rng(index)
        arrays = {name: rng.normal(size=(2, 3, 3)).astype("float32") for name in list(self.schema)[:2]}
        arrays |= {"site": np.array(index % 2), "age": np.array(index / 2 if index else np.nan, "float32")}
        return Sample(self.keys[index], self.schema, arrays)


class Photos(Source):
    """Their images, the target brighter; the last one is not there."""

    schema = Schema([Field(name="condition"), Field(name="target")])
    keys = Pairs.keys[:-1]

    def read(self, index):
        ramp = np.linspace(0, 1e-3, 400).reshape(1, 20, 20) * (index + 1)
        return Sample(self.keys[index], self.schema, {"condition": ramp, "target": 3 * ramp})


class Decoder:
    def __init__(self):
        self.asked = []

    def decode(self, mu):
        self.asked.append(mu)
        return np.repeat(np.repeat(mu[:, 0], 4, 1), 4, 2) + 1000


class Translator:
    """Doubles, when it is let."""

    def __init__(self):
        self.free = threading.Event()

    def __call__(self, image, key, samples=1, *, seed=42, progress=None):
        for done in range(samples):
            progress(done + 1, samples)
            while not self.free.wait(0.01):
                progress(done + 1, samples)
        if key == Pairs.keys[3]:
            raise DataError("this one cannot be translated.")
        return 2 * image[0], None if samples == 1 else np.abs(image[0]) * 0.1


class InPlace:
    """Computes projections in this process."""

    pid = None

    def __init__(self, points, fit="joint"):
        self.points, self.fit, self.asked = points, fit, []

    def run(self, request, progress, wish):
        self.asked.append(request)
        if wish() != "go":
            raise Stopped
        return project(self.points, request, fit=self.fit, progress=progress)

    def close(self):
        pass


@pytest.fixture
def points():
    return Points.of_stores({"latents": Pairs()})


@pytest.fixture
def translator():
    return Translator()


@pytest.fixture
def session(points, translator):
    photos = Photos()
    session = Session(
        points,
        images=Images(points, {"condition": photos, "target": photos}),
        decoder=Decoder(),
        translator=translator,
        options=SessionOptions(title="pairs", labels={"patient": "key:p([0-9]+)"}),
        worker=InPlace(points),
    )
    yield session
    translator.free.set()
    session.close()


def over(session, job, seconds=10):
    end = time.monotonic() + seconds
    while not job.is_over and time.monotonic() < end:
        time.sleep(0.005)
        job = session.job(job.id)
    return job


@pytest.fixture
def key(session):
    return over(session, session.request("pca", {}, page="one")).key


def test_it_says_what_there_is(session):
    assert (session.title, session.groups, len(session.points)) == ("pairs", ("condition", "target"), 60)
    assert (session.has_images, session.can_decode, session.can_translate) == (True, True, True)
    assert session.fields == (
        FieldChoice("group", "category", 2),
        FieldChoice("patient", "category", 10),
        FieldChoice("site", "category", 2),
        FieldChoice("age", "number", 0),
    )
    names, codes = session.labels("site")
    assert (names, codes[:4].tolist()) == (("=y", "x"), [1, 0, 1, 0])
    assert np.isnan(session.labels("age")[0])
    assert session.labels("age")[31] == 0.5
    with pytest.raises(UnknownNameError, match="Known: group, patient, site, age"):
        session.labels("key:(a+)+$")  # expressions are the user's, not the page's


def test_names_have_the_order_of_the_figures():
    arrays = {"mr": np.eye(3), "ct": np.ones((1, 3))}
    keys = {"mr": ["p10", "p2", "none"], "ct": ["p2"]}
    points = Points.of_arrays(arrays, keys)
    session = Session(points, options=SessionOptions(labels={"patient": "key:p[0-9]+"}))
    for name, by in (("group", "group"), ("patient", "key:p[0-9]+")):
        known = {"keys": points.keys, "groups": points.groups, "labels": points.labels(by)}
        drawn = Scatter(coordinates=np.zeros((4, 2)), **known)
        names, codes = session.labels(name)
        assert names == drawn.label_names
        assert [names[code] for code in codes] == drawn.labels.tolist()
    assert session.labels("group")[0] == ("mr", "ct")
    with pytest.raises(UnknownNameError, match="Did you mean 'patient'"):
        session.labels("patent")
    assert session.close()


def test_a_projection_is_asked_for_and_found_again(session, key):
    assert session.request("pca", {}, page="two").state == "ready"
    assert session.job(key).progress == 1
    found = project(session.points, Pca())
    assert np.array_equal(session.coordinates(key), found.coordinates)
    assert session.projected(key).fitted_on == "all groups jointly"
    cube = over(session, session.request("pca", {}, 3, page="one"))
    assert session.coordinates(cube.key).shape == (60, 3)
    assert len(session._worker.asked) == 2


@pytest.mark.parametrize(
    ("method", "parameters", "dims"),
    [
        ("../pca", {}, 2),
        ("pca", {}, 4),
        ("umap", {"n_neighbors": float("nan")}, 2),
        ("umap", {"n_neighbors": 10**9}, 2),
        ("umap", {"n_neighbors": True}, 2),
        ("umap", {"n_neighbors": "3"}, 2),
        ("umap", {"seed": 3}, 2),
        ("tsne", {"perplexity": -1}, 2),
    ],
)
def test_what_cannot_be_meant_is_refused(session, method, parameters, dims):
    with pytest.raises(ConfigError):
        session.request(method, parameters, dims)
    assert session._worker.asked == []


def test_what_is_not_known_can_be_asked_for_again(session):
    assert session.job("0123").state == "cancelled"
    assert "ask for it again" in session.job("0123").message
    assert session.cancel("0123").state == "cancelled"
    with pytest.raises(UnknownNameError, match="ask for it again"):
        session.coordinates("0123")


def test_a_failure_is_told_in_words(points):
    bad = Points.of_arrays({"a": np.full((6, 3), np.nan)}, {"a": list("abcdef")})
    session = Session(bad)
    try:
        job = over(session, session.request("pca", {}), 60)
        assert job.state == "failed"
        assert "Traceback" not in job.message
        assert "a" in job.message
    finally:
        session.close()


def test_rows_are_checked_everywhere(session, key):
    for row in (-1, 60, 10**30, 1.0, "1", True, None):
        for ask in (session.facts, session.thumbnail, session.image, session.neighbours, session.translate):
            with pytest.raises(IndexError, match="expected 0 to 59"):
                ask(row)
        for ask in (session.panel, session.along, lambda a, b: session.compare(a, b, key)):
            with pytest.raises(IndexError):
                ask(0, row)
        with pytest.raises(IndexError):
            session.export([0, row])


def test_absurd_sizes_are_refused(session):
    for ask in (
        lambda: session.neighbours(0, 10**6),
        lambda: session.along(0, 1, 1),
        lambda: session.along(0, 1, 10**6),
        lambda: session.translate(0, samples=0),
        lambda: session.translate(0, samples=10**6),
        lambda: session.image(0, 10**6),
        lambda: session.panel(0, 1, 1),
    ):
        with pytest.raises(ConfigError, match="expected"):
            ask()


def test_facts_name_the_image_and_what_is_known(session):
    facts = session.facts(33)
    assert (facts.key, facts.group) == ("p1_3", "target")
    assert facts.attributes == {"patient": "1", "site": "=y", "age": "1.5"}
    assert facts.window[1] == pytest.approx(4 * 3e-3, rel=0.02)
    assert session.facts(3).window[1] == pytest.approx(4 * 1e-3, rel=0.02)
    assert session.facts(0).attributes["age"] == ""
    assert "no image has the key" in session.facts(59).problem
    assert session.thumbnail(59).problem
    assert not session.thumbnail(3).problem
    assert not session.panel(3, 33).problem


def test_distances_are_the_true_ones(session, key):
    vectors, places = session.points.vectors(np.arange(60)), session.coordinates(key)
    found = session.compare(3, 40, key)
    assert found.latent_distance == pytest.approx(np.linalg.norm(vectors[3] - vectors[40]))
    assert found.plane_distance == pytest.approx(np.linalg.norm(places[3] - places[40]))
    far = np.linalg.norm(vectors - vectors[3], axis=1)
    near = session.neighbours(3, 4)
    assert [row for row, _ in near] == np.argsort(far)[1:5].tolist()
    assert [distance for _, distance in near] == pytest.approx(np.sort(far)[1:5])


def test_a_selection_is_exported_and_never_a_formula(session, key):
    rows = list(csv.reader(io.StringIO(session.export([4, 0], key).decode())))
    assert rows[0] == ["key", "group", "patient", "site", "age", "x", "y"]
    assert rows[1][:5] == ["'=p1_4", "condition", "1", "x", "2"]
    assert rows[2][:5] == ["p0_0", "condition", "0", "x", ""]
    assert np.allclose(np.array(rows[1][5:], float), session.coordinates(key)[4], rtol=1e-5)
    assert session.export([]).decode().split() == ["key,group,patient,site,age"]
    assert session.export(range(60)).count(b"\n") == 61


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("@sum(a)", "'@sum(a)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-1e3", "-1e3"),
        ("-a", "'-a"), ("\t=1", "'\t=1"), ("=1", "'=1"), ("a=1", "a=1"), (0.1, "0.1"),
        (np.float32(-2), "-2"), ("", ""),
    ],
)  # fmt: skip
def test_texts_that_a_spreadsheet_would_compute_are_marked(value, written):
    assert cell(value) == written


def test_images_between_two_points_lie_on_the_straight_line(session):
    pictures = session.along(0, 31, 5)
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 5
    assert len(set(pictures)) == 5
    (asked,) = session._decoder.asked
    assert asked.shape == (5, 2, 3, 3)
    assert np.allclose(asked[[0, -1]].reshape(2, -1), session.points.vectors([0, 31]), atol=1e-6)
    assert np.allclose(np.diff(asked, axis=0), np.diff(asked, axis=0)[:1], atol=1e-5)
    assert np.array_equal(asked, line(session.points, 0, 31, 5))
    assert session.along(0, 31, 5) == pictures
    assert len(session._decoder.asked) == 1


def test_a_condition_is_translated_with_its_deviation(session, translator):
    job = session.translate(35, samples=4, page="one")
    assert not job.is_over
    translator.free.set()
    job = over(session, job)
    assert job.state == "ready"
    found = session.translated(job.key)
    assert [picture.title for picture in found.pictures] == [
        "condition",
        "target",
        "mean translation",
        "deviation",
    ]
    assert "deviation from 0" in found.note
    assert session.translate(35, samples=4, page="two").state == "ready"
    one = over(session, session.translate(35, samples=1))
    assert [p.title for p in session.translated(one.key).pictures] == ["condition", "target", "translation"]


def test_a_translation_is_cancelled_and_a_failure_told(session, translator):
    job = session.translate(0, page="one")
    while session.job(job.id).state != "running":
        time.sleep(0.005)
    assert session.cancel(job.id).state == "cancelled"
    with pytest.raises(UnknownNameError):
        session.translated(job.key)
    translator.free.set()
    assert over(session, session.translate(3)).message == "this one cannot be translated."
    assert "no image has the key" in over(session, session.translate(29)).message
    assert over(session, session.translate(0)).state == "ready"


def test_points_alone_are_enough(points):
    session = Session(points, worker=InPlace(points))
    assert (session.has_images, session.can_decode, session.can_translate) == (False, False, False)
    assert "no images are known" in session.thumbnail(0).problem
    for ask in (lambda: session.along(0, 1), lambda: session.translate(0)):
        with pytest.raises(VoxloomError, match="checkpoint"):
            ask()
    assert session.export([0])
    session.close()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16, 100, 100_000])
def test_sliders_are_bounded_by_the_points_and_hold_their_defaults(count):
    for method, sliders in methods_of(count).items():
        assert list(settled(methods_of(count), method, {})) == [slider.name for slider in sliders]
        for slider in sliders:
            assert slider.low <= slider.default <= slider.high
            assert slider.nearest(slider.default) == slider.default
            assert slider.nearest(slider.high) == slider.high


def test_the_first_method_and_its_sliders_can_be_chosen(points):
    methods = begun(methods_of(60), "tsne", {"perplexity": 500, "n_neighbors": 40, "min_dist": 0.5})
    assert list(methods) == ["tsne", "pca", "umap"]
    assert [slider.default for slider in (*methods["tsne"], *methods["umap"])] == [19, 40, 0.5]
    with pytest.raises(UnknownNameError, match="umap"):
        begun(methods_of(60), "umpa", {})
    with pytest.raises(UnknownNameError, match="min_dist"):
        begun(methods_of(60), "umap", {"min_dits": 1})
