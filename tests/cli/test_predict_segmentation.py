"""``voxloom predict segmentation`` and what shows its results, as a person runs them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from voxloom.inference.segmentation import segmentation_model
from voxloom.inference.trained import Trained
from voxloom.jobs.serving import VolumeServer
from voxloom.testing.segmentation import write_segmentation, write_split
from voxloom.testing.volumes import write_volume
from voxloom.volumes import Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    write_split(folder)
    return folder


@pytest.fixture
def trained(call, folder, monkeypatch):
    """Return a function that trains once under a name, and gives the run's folder."""
    monkeypatch.setenv("VOXLOOM_CACHE", str(folder / "cache"))
    recipe = write_segmentation(folder / "small.json", folder / "split.csv")

    def run(name, *settings):
        if not (folder / name).exists():
            more = [word for each in settings for word in ("--set", each)]
            done = call(
                "train", "segmentation", "-c", recipe, "--run-dir", folder / name, "--max-epochs", 1, *more
            )
            assert done.code == 0, done.err
        return folder / name

    return run


@pytest.fixture
def of_two(call, folder, tmp_path, monkeypatch):
    """A network that sees two volumes at each place."""
    monkeypatch.setenv("VOXLOOM_CACHE", str(folder / "cache"))
    other, run = folder / "1/em.zarr", tmp_path / "two"
    rows = [
        {
            "raw": {"raw": str(folder / f"{n}/em.zarr"), "light": str(other)},
            "gt": str(folder / f"{n}/gt.zarr/[mito]"),
        }
        for n in (2, 3)
    ]
    recipe = write_segmentation(tmp_path / "two.json", folder / "split.csv")
    settings = json.loads(recipe.read_text())
    data = settings["segmentation_data"]
    data |= {"split": {"train": rows[:1], "validate": rows[1:]}, "classes": ["mito"]}
    data["inputs"]["light"] = data["inputs"]["raw"]
    recipe.write_text(json.dumps(settings))
    done = call("train", "segmentation", "-c", recipe, "--run-dir", run, "--max-epochs", 1)
    assert done.code == 0, done.err
    return run


@pytest.fixture
def predict(call, folder, tmp_path):
    def run(checkpoint, *arguments, output="p.zarr"):
        return call(
            "predict", "segmentation", "--checkpoint", checkpoint, "--input", folder / "3/em.zarr",
            "--output", tmp_path / output, "--device", "cpu", "--shard", 16, 16, 16, *arguments,
        )  # fmt: skip

    return run


def voxels(path, level=0):
    return Volume.open(str(path)).array(level).read().result()


def test_what_was_trained_is_predicted_and_shown(trained, predict, call, folder, tmp_path, monkeypatch):
    run, output = trained("run"), tmp_path / "p.zarr"
    done = predict(run, "--threshold", 0.5)
    assert done.code == 0, done.err
    assert f"4 shards in {output}, 4 of them predicted now" in done.out
    assert f"voxloom inspect {output} --preview" in done.out
    assert f"napari --plugin napari-ome-zarr {folder / '3/em.zarr'} {output}" in done.out
    made = Volume.open(str(output))
    assert made.channels == ("mito", "er")
    assert made.levels[0].grid == Volume.open(str(folder / "3/em.zarr")).levels[0].grid
    assert dict(made.label("segmentation").classes) == {1: "mito", 2: "er"}
    again = predict(run, "--threshold", 0.5)
    assert "4 shards" in again.out
    assert "0 of them predicted now" in again.out
    other = predict(run, "--threshold", 0.5, "--blend", "flat")
    assert other.code == 1
    assert "blend was 'hann', now 'flat'" in other.err
    told = call("inspect", output, "--preview", tmp_path / "p.png")
    assert told.code == 0, told.err
    assert "2 channels: mito, er" in told.out
    assert "16 x 20 x 24" in told.out
    assert "2 classes: 1 mito, 2 er" in told.out
    assert np.ptp(np.asarray(Image.open(tmp_path / "p.png"))) > 200
    facts = json.loads(call("inspect", output, "--json").out)
    assert facts["labels"][0]["levels"][0]["spacing"] == [8, 8, 8]
    monkeypatch.setattr(VolumeServer, "serve_forever", lambda server: None)
    state = call("view", folder / "3/em.zarr", output, "--state", tmp_path / "state.json")
    assert state.code == 0, state.err
    layers = json.loads((tmp_path / "state.json").read_text())["layers"]
    assert [layer["type"] for layer in layers] == ["image", "image", "image", "segmentation"]


def test_one_tile_is_what_the_network_makes_of_it(trained, predict, folder, tmp_path):
    checkpoint = trained("exclusive", "segmentation_train.exclusive=true")
    done = predict(checkpoint, "--write", "values", "--overlap", 0)
    assert done.code == 0, done.err
    model = segmentation_model(Trained.load(checkpoint), device=torch.device("cpu"), precision=None)
    assert model.channels == ("background", "mito", "er")
    raw = voxels(folder / "3/em.zarr")
    expected = model(raw[None, :, :8, :8, :8])[0].numpy()
    np.testing.assert_allclose(voxels(tmp_path / "p.zarr")[:, :8, :8, :8], expected, atol=1e-6)
    direct = Trained.load(checkpoint).models["segmenter"](torch.from_numpy(raw[None, :, :8, :8, :8]) / 255)
    np.testing.assert_allclose(direct.softmax(1)[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", ["[1, 8, 8]", "[8, 1, 8]"])
def test_a_network_of_planes_goes_plane_by_plane(trained, predict, folder, tmp_path, shape):
    checkpoint = trained(f"planes{shape[1]}", f"segmentation_data.inputs.raw.shape={shape}")
    done = predict(checkpoint, "--write", "probabilities", "--batch-size", 8)
    assert done.code == 0, done.err
    assert voxels(tmp_path / "p.zarr").shape == (2, 16, 20, 24)


def test_labels_that_exclude_each_other(trained, predict, tmp_path):
    checkpoint = trained("exclusive", "segmentation_train.exclusive=true")
    done = predict(checkpoint, "--write", "labels", "--ngff", "0.4", output="l.zarr")
    assert done.code == 0, done.err
    assert set(np.unique(voxels(tmp_path / "l.zarr"))) <= {0, 1, 2}
    assert (tmp_path / "l.zarr" / ".zattrs").is_file()


def test_ranks_take_their_shares(trained, predict, monkeypatch):
    checkpoint = trained("run")
    for rank in ("0", "1"):
        for name, value in {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, value)
        done = predict(checkpoint, "--threshold", 0.5)
        assert done.code == 0, done.err
        expected = "2 of 4 shards" if rank == "0" else "4 shards in"
        assert expected in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write", "masks"], "expected probabilities too"),
        (["--channel", "nucleus"], "nucleus"),
        (["--overlap", "1"], "Invalid value for '--overlap'"),
        (["--device", "tpu9"], "device 'tpu9'"),
    ],
)
def test_what_cannot_be_meant_is_told(trained, predict, tmp_path, arguments, message):
    done = predict(trained("run"), *arguments)
    assert done.code != 0
    assert message in done.err
    assert not (tmp_path / "p.zarr").exists()


def test_values_of_another_type_are_refused_unless_meant(trained, predict, folder, call, tmp_path):
    raw = voxels(folder / "3/em.zarr")[0]
    deep = write_volume(tmp_path / "deep.zarr", raw.astype(np.uint16) * 16)
    command = (
        "predict", "segmentation", "--checkpoint", trained("run"), "--input", deep, "--device", "cpu",
        "--output", tmp_path / "p.zarr", "--shard", 16, 16, 16,
    )  # fmt: skip
    failed = call(*command)
    assert failed.code == 1
    assert "holds uint16, and the network learned from uint8" in failed.err
    done = call(*command, "--any-type", "--write", "probabilities,labels", "--spacing", 8, 8, 8)
    assert done.code == 0, done.err
    assert "so is the output" in done.log


def test_products_are_listed_with_commas(trained, predict, tmp_path):
    done = predict(trained("run"), "--write", "probabilities, masks")
    assert done.code == 0, done.err
    assert set(Volume.open(tmp_path / "p.zarr").label_names) == {"mito", "er"}
    failed = predict(trained("run"), "--write", "labels,mask")
    assert "'mask' is not one of" in failed.err


def test_what_is_no_checkpoint_is_told(predict, tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 1")
    failed = predict(tmp_path / "run.yaml")
    assert failed.code == 1
    assert "run.yaml is no checkpoint: expected a run's folder" in failed.err


def test_other_shards_are_told_in_the_words_of_the_command(trained, predict):
    assert predict(trained("run")).code == 0
    failed = predict(trained("run"), "--shard", 8, 8, 8)
    assert "--shard was 16 16 16, now 8 8 8" in failed.err
