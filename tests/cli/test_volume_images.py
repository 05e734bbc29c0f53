"""A VAE, a latent model and translators on volumes, as a person runs them."""

import json

import numpy as np
import pytest

from voxloom.testing.translation import write_raw, write_volume_recipe
from voxloom.testing.volumes import write_volume
from voxloom.volumes import Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Volumes that no test may change: one by itself, and two sides of a pair."""
    folder = tmp_path_factory.mktemp("volumes")
    for name in ("raw.zarr", "pair/mri.zarr", "pair/ct.zarr"):
        write_raw(folder / name)
    return folder


@pytest.fixture
def train(call, folder, tmp_path):
    """Return a function that trains: ``train("vae", "run", "raw.zarr", spatial_dims=3)``."""

    def run(task, name, base, *arguments, **values):
        recipe = write_volume_recipe(tmp_path / f"{name}.json", folder / base, **values)
        return call("train", task, "-c", recipe, "--run-dir", tmp_path / name, *arguments)

    return run


@pytest.mark.parametrize("dims", [2, 3])
def test_a_vae_trains_on_a_volume_and_writes_its_reconstruction_as_one(train, call, folder, tmp_path, dims):
    done = train("vae", "run", "raw.zarr", spatial_dims=dims)
    assert done.code == 0, done.err
    assert "values 0 to 255 become -1 to 1" in done.log
    assert f"next: voxloom predict vae --checkpoint {tmp_path / 'run'} --input raw.zarr" in done.out
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["volume_data"]["spacing"] == [16, 8, 8]
    assert config["preparation"]["normalization"]["high"] == 255
    out = tmp_path / "recon.zarr"
    told = call(
        *("predict", "vae", "--checkpoint", tmp_path / "run", "--input-dir", folder / "raw.zarr"),
        *("--output", out, "--device", "cpu", "--shard", 16, 16, 16),
    )
    assert told.code == 0, told.err
    assert "look: voxloom inspect" in told.out
    raw, made = Volume.open(folder / "raw.zarr"), Volume.open(out)
    assert made.levels[0].grid == raw.levels[0].grid
    assert (made.dtype, made.channels) == (np.uint8, ("reconstruction",))
    assert made.read(made.bounding_box).std() > 0


@pytest.mark.parametrize("task", ["regression", "pix2pix"])
def test_a_translator_trains_on_two_volumes(train, call, folder, tmp_path, task):
    sides = {"condition": "mri.zarr", "target": "ct.zarr", "volume_data": {"augment": True}}
    assert train(task, "run", "pair", **sides).code == 0
    args = ("--checkpoint", tmp_path / "run", "--input", folder / "pair/mri.zarr", "--shard", 16, 16, 16)
    done = call("predict", task, *args, "-o", tmp_path / "made.zarr", "--device", "cpu")
    assert done.code == 0, done.err
    assert Volume.open(tmp_path / "made.zarr").channels == ("translation",)


def test_a_latent_model_trains_on_channels_of_one_volume(train, call, folder, tmp_path):
    raw = Volume.open(folder / "raw.zarr")
    one = raw.read(raw.bounding_box)[0]
    both = write_volume(tmp_path / "both.zarr", np.stack([one, 255 - one]), spacing=(16, 8, 8))
    assert train("vae", "vae", "raw.zarr").code == 0
    data = {"volume_data": {"channels": {"condition": 0, "target": 1}}}
    done = train("ldm", "ldm", both, autoencoder_path=str(tmp_path / "vae"), **data)
    assert done.code == 0, done.err
    made = [tmp_path / "one.zarr", tmp_path / "four.zarr"]
    for path, size in zip(made, (1, 4), strict=True):
        args = ("--checkpoint", tmp_path / "ldm", "--input", both, "--batch-size", size)
        assert call("predict", "ldm", *args, "-o", path, "--device", "cpu", "--shard", 16, 16, 16).code == 0
    one, four = (Volume.open(path).read(raw.bounding_box).astype(int) for path in made)
    assert np.abs(one - four).max() <= 1  # the noise of a tile does not depend on its neighbours


def test_a_resumed_run_is_the_run(train, rows, tmp_path):
    values = {"volume_data": {"augment": {"rotation": 20}}, "spatial_dims": 3}
    assert train("vae", "whole", "raw.zarr", **values).code == 0
    assert train("vae", "part", "raw.zarr", "--max-epochs", 1, **values).code == 0
    done = train("vae", "part", "raw.zarr", "--resume", **values)
    assert done.code == 0, done.err
    assert rows(tmp_path / "part") == rows(tmp_path / "whole")


def test_a_split_names_many(train, folder, tmp_path):
    split = tmp_path / "split.csv"
    raws = [folder / name for name in ("pair/mri.zarr", "pair/ct.zarr", "raw.zarr")]
    split.write_text(f"train,{raws[0]}\ntrain,{raws[1]}\nvalidate,{raws[2]}\n")
    done = train("vae", "run", "nowhere", "--split", split)
    assert done.code == 0, done.err
    assert "2 volumes to learn from, 1 volume to validate on" in done.log
    listed = json.loads((tmp_path / "run/split.json").read_text())
    assert listed["validation"] == [{"raw": {"image": str(raws[2])}}]


def test_what_cannot_be_is_said(train, call, folder, tmp_path):
    assert "3 channels" in train("vae", "many", write_volume(
        tmp_path / "rgb.zarr", np.zeros((3, 4, 16, 16), np.uint8)
    )).err  # fmt: skip
    assert "volume_data.augment" in train("vae", "turned", "raw.zarr", augment=True).err
    assert train("vae", "run", "raw.zarr", spatial_dims=3).code == 0
    run = ("--checkpoint", tmp_path / "run", "--device", "cpu")
    assert "was trained on volumes" in call("predict", "vae", *run, "-o", tmp_path / "a").err
    few = call("predict", "vae", *run, "--input", folder / "raw.zarr", "--num-samples", 2)
    assert "--num-samples is for folders" in few.err
    assert "--overlap is for a volume" in call("predict", "vae", *run, "--overlap", 0.5).err
