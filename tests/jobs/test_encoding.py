import logging
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from voxloom.errors import (
    CheckpointError,
    ConfigError,
    DamagedStoreError,
    DataError,
    Interrupted,
    MissingDataError,
    OutputExistsError,
)
from voxloom.formats import Store
from voxloom.inference import ImageEncoder, Trained
from voxloom.jobs import EncodeOptions, encode, encoded_source, encoding, train
from voxloom.models.perceptual import squeezenet_features
from voxloom.sources import write_image
from voxloom.testing.images import snapshot, write_pairs
from voxloom.testing.recipes import small_config


@pytest.fixture(scope="module")
def checkpoint(vae):
    return vae.folder


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(encoding, "_SHARD_SAMPLES", 2)


def contents(folder):
    return {name: digest for name, (digest, _) in snapshot(folder).items()}


def test_a_folder_becomes_a_store_of_latents(checkpoint, pairs, tmp_path):
    told = []
    store = encode(
        checkpoint, pairs / "dente", tmp_path / "out", progress=lambda *each: told.append(each[:2])
    )
    assert list(store.schema) == ["image_mu", "image_sigma"]
    assert store.schema["image_mu"].kind == "latent"
    assert store.gather([0, 7])["image_sigma"].shape == (2, 2, 8, 8)
    assert store.keys[0] == "p0_00.tif"
    assert told[-1] == (8, 8)
    facts = store.manifest.facts["encoded"]
    assert facts["checkpoint"] == str(checkpoint / "checkpoints" / "best.pt")
    assert facts["preparation"]["normalization"]["name"] == "range"
    assert facts["size"] == [16, 16]
    assert facts["input"]["path"] == str(pairs / "dente")
    assert len(facts["weights"]) == 16


def test_pairs_and_checkpoints_of_a_latent_model_and_exports(checkpoint, config, pairs, tmp_path):
    ldm = train("ldm", config(overrides={"diffusion_train.max_epochs": 1})).folder
    Trained.load(checkpoint).save(tmp_path / "vae.safetensors")
    sides = {"target": pairs / "edente", "condition": pairs / "dente"}
    options = EncodeOptions(images=sides, format="memmap", batch_size=3)
    store = encode(ldm, None, tmp_path / "out", options=options)
    assert list(store.schema) == ["target_mu", "target_sigma", "condition_mu", "condition_sigma"]
    before = snapshot(tmp_path / "out")
    for same in (checkpoint, tmp_path / "vae.safetensors"):
        encode(same, None, tmp_path / "out", options=options)  # the same weights: nothing to do
    assert snapshot(tmp_path / "out") == before
    single = encode(checkpoint, pairs / "dente", tmp_path / "single")
    assert np.allclose(store.column("condition_mu"), single.column("image_mu"), atol=1e-5)


def test_retrained_weights_never_return_old_latents(checkpoint, pairs, tmp_path):
    out, images = tmp_path / "out", pairs / "dente"
    old = np.array(encode(checkpoint, images, out).column("image_mu"))
    other = small_config("vae", pairs, tmp_path / "vae", {"autoencoder_train.max_epochs": 1, "seed": 7})
    retrained = train("vae", other).folder
    with pytest.raises(OutputExistsError, match=r"holds latents of other weights.*overwrite \(--overwrite\)"):
        encode(retrained, images, out)
    store = encode(retrained, images, out, options=EncodeOptions(overwrite=True))
    assert not np.allclose(store.column("image_mu"), old, atol=1e-2)


def test_changed_images_are_not_taken_for_the_old_ones(checkpoint, tmp_path):
    images = write_pairs(tmp_path / "data", 3) / "dente"
    encode(checkpoint, images, tmp_path / "out")
    write_image(images / "p0_00.tif", tifffile.imread(images / "p0_00.tif") / 2)
    with pytest.raises(OutputExistsError, match="changed or moved since"):
        encode(checkpoint, images, tmp_path / "out")


def test_features_are_kept_beside_the_latents(checkpoint, pairs, tmp_path):
    images = write_pairs(tmp_path / "data", 3) / "dente"
    small = {"autoencoder_train.max_epochs": 1, "autoencoder_train.patch_size": [32, 32]}
    larger = train("vae", small_config("vae", pairs, tmp_path / "vae", small)).folder
    torch.manual_seed(0)
    weights = tmp_path / "squeezenet1_1.pth"
    torch.save(squeezenet_features().state_dict(prefix="features."), weights)
    encode(larger, images, tmp_path / "plain")
    options = EncodeOptions(features=weights)
    with pytest.raises(ConfigError, match=r"16 x 16 pixels.*larger patch_size"):
        encode(checkpoint, images, tmp_path / "out", options=options)
    store = encode(larger, images, tmp_path / "out", options=options)
    assert list(store.schema) == ["image_mu", "image_sigma", "image_features"]
    features = store.column("image_features")
    assert features.shape == (3, 512)
    assert np.std(features, axis=0).max() > 0
    with pytest.raises(OutputExistsError, match="latents of other features"):
        encode(larger, images, tmp_path / "plain", options=options)
    with pytest.raises(MissingDataError, match=r"no\.pth"):
        encode(larger, images, tmp_path / "new", options=EncodeOptions(features=tmp_path / "no.pth"))


def encode_slowly(checkpoint, images, out, num_workers=0):
    """Encode with a network that takes its time, as a process of its own."""
    whole = ImageEncoder.__call__

    def slow(self, image):
        time.sleep(0.05)
        return whole(self, image)

    ImageEncoder.__call__ = slow
    try:
        encode(checkpoint, images, out, options=EncodeOptions(batch_size=3, num_workers=num_workers))
    except Interrupted:
        sys.exit(130)


def killed(arguments, sign, when):
    process = multiprocessing.get_context("fork").Process(target=encode_slowly, args=arguments)
    process.start()
    end = time.monotonic() + 60
    while not when() and time.monotonic() < end:
        assert process.exitcode in (None, 0), "it has failed"
        time.sleep(0.002)
    os.kill(process.pid, sign)
    process.join(20)
    process.kill()  # where it hangs
    return process.exitcode


@pytest.mark.usefixtures("small_shards")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_killed_at_any_moment_it_is_gone_on_with_to_the_same_bytes(checkpoint, tmp_path):
    images = write_pairs(tmp_path / "data", 11) / "dente"
    encode(checkpoint, images, tmp_path / "whole", options=EncodeOptions(batch_size=3))
    out, chance = tmp_path / "out", random.Random(0)
    for records in (0, 1, 1, 3, 5):  # of six
        code = killed(
            (checkpoint, images, out), signal.SIGKILL,
            lambda: (out / "journal").is_dir() and len(list(out.glob("journal/0*.json"))) >= records,  # noqa: B023
        )  # fmt: skip
        assert code == -signal.SIGKILL
        time.sleep(chance.uniform(0, 0.02))
        if (out / "manifest.json").exists():
            break
        with pytest.raises(DataError):
            Store(out)
    encode(checkpoint, images, out, options=EncodeOptions(batch_size=3))
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_a_stop_ends_the_processes_that_read_ahead(checkpoint, tmp_path, sign):
    images = write_pairs(tmp_path / "data", 11) / "dente"
    out = tmp_path / "out"
    assert killed((checkpoint, images, out, 1), sign, lambda: any(out.glob("journal/*.tmp"))) == 130
    assert len(encode(checkpoint, images, out)) == 11


SCRIPT = """
import multiprocessing, sys
from voxloom.errors import DataError
from voxloom.jobs import EncodeOptions, encode
for on_error in ("skip", "fail"):
    options = EncodeOptions(on_error=on_error, num_workers=2, batch_size=2, device="cpu")
    try:
        print(len(encode(*sys.argv[1:3], f"{sys.argv[3]}/{on_error}", options=options)))
    except DataError as error:
        print("p1_02" in str(error))
    assert not multiprocessing.active_children()
"""


def test_an_image_that_cannot_be_read_leaves_no_process_that_would_be_waited_for(checkpoint, tmp_path):
    images = write_pairs(tmp_path / "data", 11) / "dente"
    (images / "p1_02.tif").write_bytes(b"garbage")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, checkpoint, images, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "10\nTrue\n"), done.stderr


@pytest.mark.usefixtures("small_shards")
def test_what_was_begun_with_other_weights_is_not_gone_on_with(checkpoint, pairs, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def stop(done, total, size):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped: 2 of 4 shards of .* finished and kept"):
        encode(checkpoint, pairs / "dente", out, progress=stop)
    half = tmp_path / "half"
    shutil.copytree(out, half)
    with monkeypatch.context() as patch:
        patch.setattr("voxloom.inference.image_encoder.weights_digest", lambda model: "0" * 16)
        with pytest.raises(OutputExistsError, match="latents of other weights"):
            encode(checkpoint, pairs / "dente", half)
        assert contents(half) == contents(out)
        encode(checkpoint, pairs / "dente", half, options=EncodeOptions(overwrite=True))
    assert len(encode(checkpoint, pairs / "dente", out)) == 8


def test_what_cannot_be_encoded_is_told(checkpoint, pairs, tmp_path):
    out = tmp_path / "out"
    folder = write_pairs(tmp_path / "data", 3) / "dente"
    (tmp_path / "empty").mkdir()
    for source, said in (
        (tmp_path / "daat", "Did you mean 'data'"),
        (tmp_path / "empty", "nothing here that can be read"),
    ):
        with pytest.raises(MissingDataError, match=said):
            encode(checkpoint, source, out)
    with pytest.raises(MissingDataError, match=f"Did you mean '{checkpoint.name}'"):
        encode(checkpoint.with_name(checkpoint.name + "x"), folder, out)
    for inside in (folder, folder / "out", folder.parent):
        with pytest.raises(OutputExistsError):
            encode(checkpoint, folder, inside)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match=r"thesis\.txt"):
        encode(checkpoint, folder, tmp_path / "thesis", options=EncodeOptions(overwrite=True))
    (folder / "p0_01.tif").write_bytes(b"")
    with pytest.raises(DataError, match=r"p0_01.tif.*empty"):
        encode(checkpoint, folder, out)
    store = encode(checkpoint, folder, out, options=EncodeOptions(on_error="skip"))
    assert list(store.keys) == ["p0_00.tif", "p1_02.tif"]
    regression = train("regression", small_config("regression", pairs, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="task 'regression', which has no autoencoder"):
        encode(regression.folder, folder, out)


def test_a_store_that_is_no_latents_or_damaged_is_told(checkpoint, pairs, tmp_path):
    out = tmp_path / "out"
    encode(checkpoint, pairs / "dente", out)
    with pytest.raises(OutputExistsError, match="store that `voxloom encode` has not written"):
        encode(checkpoint, pairs / "dente", _images_as_store(pairs, tmp_path))
    shard = next((out / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(DamagedStoreError):
        encode(checkpoint, pairs / "dente", out)
    assert len(encode(checkpoint, pairs / "dente", out, options=EncodeOptions(overwrite=True))) == 8


def _images_as_store(pairs, folder):
    from voxloom.conversion import convert

    return convert(pairs / "edente", folder / "images").path


def test_the_images_of_a_store_are_found_again(checkpoint, tmp_path, caplog, monkeypatch):
    data = write_pairs(tmp_path / "data", 4)
    (data / "dente" / "p0_01.tif").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    options = EncodeOptions(images={"target": "data/edente", "condition": "data/dente"}, on_error="skip")
    store = encode(checkpoint, None, tmp_path / "out", options=options)
    monkeypatch.chdir("/")
    images = encoded_source(store)
    assert list(images.keys) == list(store.keys) == ["p0_00", "p1_02", "p1_03"]
    expected = tifffile.imread(data / "dente" / "p1_02.tif")
    assert np.array_equal(images[1]["condition"][0], expected)
    assert list(images.select("target")[2]) == ["target"]
    for side in ("edente", "dente"):
        (data / side / "p1_02.tif").unlink()
    again = encoded_source(store)
    with pytest.raises(MissingDataError, match="p1_02: no such image any more"):
        again[1]
    assert again[2]["target"].shape == (1, 24, 20)
    shutil.rmtree(data)
    with caplog.at_level(logging.INFO, "voxloom"):
        assert encoded_source(store) is None
    assert "cannot be opened any more" in caplog.text
    with caplog.at_level(logging.INFO, "voxloom"):
        assert encoded_source(Store(_images_as_store(write_pairs(tmp_path / "new", 2), tmp_path))) is None
    assert "does not say which images" in caplog.text
