"""A session put together from stores, their images and a checkpoint; served until it is stopped."""

import http.client
import logging
import threading
import time

import numpy as np
import pytest
import torch

from voxloom.analysis.explorer import Serving
from voxloom.conversion import convert
from voxloom.errors import CheckpointError, ConfigError, MissingDataError, UnknownNameError
from voxloom.formats import Store
from voxloom.inference import Trained
from voxloom.jobs import EncodeOptions, encode, exploring, train
from voxloom.jobs.exploring import ExploreOptions, open_session, serve
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import small_config


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Pairs that are encoded, and in one test gone."""
    return write_pairs(tmp_path_factory.mktemp("explored"), 8)


@pytest.fixture(scope="module")
def latents(vae, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents") / "latents"
    sides = {"target": images / "edente", "condition": images / "dente"}
    return encode(vae.folder, None, folder, options=EncodeOptions(images=sides))


@pytest.fixture(scope="module")
def ldm(pairs, vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage2") / "ldm"
    short = {"diffusion_train.max_epochs": 1, "autoencoder_path": str(vae.folder)}
    return train("ldm", small_config("ldm", pairs, folder, short)).folder


@pytest.fixture
def opened():
    """Return a function that opens a session and closes it in the end."""
    sessions = []

    def session_of(*stores, **options):
        named = {store.path.name: store for store in stores}
        sessions.append(open_session(named, ExploreOptions(**options)))
        return sessions[-1]

    yield session_of
    for session in sessions:
        session.close()


def over(session, job, seconds=60):
    end = time.monotonic() + seconds
    while not job.is_over and time.monotonic() < end:
        time.sleep(0.01)
        job = session.job(job.id)
    return job


def test_a_store_finds_its_images_again(opened, latents, images):
    session = opened(latents)
    assert (session.title, session.groups) == ("target, condition", ("target", "condition"))
    assert (session.has_images, session.can_decode, session.can_translate) == (True, False, False)
    assert session.notices == ()
    facts = session.facts(9)
    assert (facts.group, facts.problem) == ("condition", "")
    assert facts.key == latents.keys[1]
    job = over(session, session.request("pca", {}, page="one"))
    assert job.state == "ready"
    assert session.coordinates(job.key).shape == (16, 2)


def test_a_latent_model_decodes_and_translates(opened, latents, ldm):
    session = opened(latents, checkpoint=ldm)
    assert (session.can_decode, session.can_translate) == (True, True)
    assert len(set(session.along(0, 9, 3))) == 3
    job = over(session, session.translate(2, samples=2))
    assert (job.state, job.message) == ("ready", "")
    titles = [picture.title for picture in session.translated(job.key).pictures]
    assert titles == ["condition", "target", "mean translation", "deviation"]


def test_a_checkpoint_that_did_not_encode_these_does_not_decode_them(opened, latents, pairs, ldm, tmp_path):
    other = {"autoencoder_train.max_epochs": 1, "seed": 7}
    vae = train("vae", small_config("vae", pairs, tmp_path / "vae", other)).folder
    with pytest.raises(CheckpointError, match=r"other weights.*translates nothing"):
        opened(latents, checkpoint=vae)
    regression = train(
        "regression", small_config("regression", pairs, tmp_path / "r", {"regression_train.max_epochs": 1})
    ).folder
    session = opened(latents, checkpoint=regression)
    assert (session.can_decode, session.can_translate) == (False, True)
    assert "no autoencoder" in session.notices[0]
    job = over(session, session.translate(2))
    assert [p.title for p in session.translated(job.key).pictures] == ["condition", "target", "translation"]
    with pytest.raises(MissingDataError, match="does not exist"):
        opened(latents, checkpoint=tmp_path / "nothing")


def test_images_that_are_gone_are_told_once_and_can_be_named(opened, latents, images, caplog, tmp_path):
    away = images.rename(images.with_name("away"))
    try:
        with caplog.at_level(logging.WARNING):
            session = opened(latents)
        assert not session.has_images
        assert [r.getMessage() for r in caplog.records if "No pictures" in r.getMessage()] == list(
            session.notices
        )
        assert "--images" in session.thumbnail(0).problem
        assert over(session, session.request("pca", {})).state == "ready"
        assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1

        named = opened(latents, images=away / "edente")
        assert (named.thumbnail(3).problem, named.notices) == ("", ())
        with pytest.raises(MissingDataError):
            opened(latents, images=images)
    finally:
        away.rename(images)


def test_one_image_that_is_gone_is_told_in_its_place(opened, latents, images):
    session = opened(latents)
    file = images / "edente" / f"{latents.keys[4]}.tif"
    kept = file.read_bytes()
    file.unlink()
    try:
        assert file.name in session.image(4).problem
        assert session.image(5).problem == ""
    finally:
        file.write_bytes(kept)
    assert session.image(4).problem == ""


class Features(Source):
    """Vectors beside their images, a class and a patient."""

    schema = Schema(
        [
            Field(name="photo"),
            Field(name="vector", kind="latent", axes="c", shape=(5,)),
            Field(name="site", kind="class", axes="", dtype="int64", shape=(), categories=("x", "y")),
        ]
    )
    keys = tuple(f"p{i // 2}_{i}" for i in range(6))

    def read(self, index):
        rng = np.random.default_rng(index)
        arrays = {"photo": rng.random((1, 8, 8), "float32"), "vector": rng.random(5, "float32")}
        arrays["site"] = np.array(index % 2)
        return Sample(self.keys[index], self.schema, arrays)


@pytest.fixture
def features(tmp_path):
    convert(Features(), tmp_path / "features", format="memmap")
    return Store(tmp_path / "features")


def test_vectors_of_any_store_are_explored_with_the_images_beside_them(opened, features, latents):
    patient = "key:^p([0-9]+)"
    session = opened(features, max_points=4, patient=patient, color_by="class", method="umap")
    assert (len(session.points), session.has_images) == (4, True)
    assert session.image(3).problem == ""
    assert [field.name for field in session.fields] == ["site", "group", "patient"]
    assert next(iter(session.methods)) == "umap"
    session = opened(features, patient=patient, color_by=patient, parameters={"n_neighbors": 3})
    assert [field.name for field in session.fields] == ["patient", "group", "site"]
    assert session.methods["umap"][0].default == 3
    assert opened(features, color_by="key:[0-9]$").fields[0].name == "label"
    with pytest.raises(CheckpointError, match="nothing to do"):
        opened(features, checkpoint=encoded_with(latents))


def encoded_with(store):
    return store.manifest.facts["encoded"]["checkpoint"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"color_by": "sight"}, UnknownNameError),
        ({"patient": "key:("}, ConfigError),
        ({"patient": "key:nothing"}, ConfigError),
        ({"fit": "other"}, UnknownNameError),
        ({"method": "umpa"}, UnknownNameError),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(opened, features, options, error):
    with pytest.raises(error):
        opened(features, **options)


def test_it_serves_until_it_is_stopped(opened, features, monkeypatch):
    session, made = opened(features), []

    class Remembered(Serving):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(exploring, "Serving", Remembered)
    told = []
    thread = threading.Thread(target=serve, args=(session, 0, told.append), daemon=True)
    thread.start()
    while not told:
        time.sleep(0.01)
    assert over(session, session.request("pca", {})).state == "ready"
    pid = session._worker.pid
    connection = http.client.HTTPConnection("127.0.0.1", made[0].port, timeout=20)
    for path in ("/", "/image/2", "/_dash-layout"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    connection.request("GET", "/_dash-layout", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()
    made[0].stop()
    thread.join(20)
    assert pid is not None
    assert session._worker.pid is None


def test_bare_weights_of_an_older_system_decode_with_their_configuration(
    opened, latents, vae, pairs, tmp_path
):
    torch.save(Trained.load(vae.folder).models["autoencoder"].state_dict(), tmp_path / "autoencoder_last.pt")
    config = small_config("vae", pairs, tmp_path / "vae")
    session = opened(latents, checkpoint=tmp_path / "autoencoder_last.pt", config=config)
    assert (session.can_decode, session.can_translate) == (True, False)
    with pytest.raises(CheckpointError):
        opened(latents, checkpoint=tmp_path / "autoencoder_last.pt")
