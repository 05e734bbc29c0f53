import json
import shutil

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image

from voxloom.models import Autoencoder
from voxloom.models.unet import UNet
from voxloom.panels import panel
from voxloom.testing.images import glyph, snapshot, write_pairs
from voxloom.testing.recipes import write_recipe

TASKS = ("vae", "ldm", "regression", "pix2pix")


@pytest.fixture
def predict(call, trained, tmp_path):
    """Return a function that predicts with a finished run: ``predict("ldm", "out", "--steps", 3)``."""

    def run(task, name, *arguments, checkpoint=None):
        given = checkpoint or trained / task
        return call("predict", task, "--checkpoint", given, "-o", tmp_path / name, *arguments)

    return run


def images(folder):
    return {p.relative_to(folder).as_posix(): tifffile.imread(p) for p in sorted(folder.rglob("*.tif"))}


def close(a, b, atol=1e-3):  # in units of files, 0 to 255
    assert a.keys() == b.keys()
    for name in a:
        assert np.allclose(a[name], b[name], atol=atol), name


@pytest.mark.parametrize("task", TASKS)
def test_held_out_images_keep_their_names(predict, trained, tmp_path, task):
    done = predict(task, "out")
    assert done.code == 0, done.err
    out = tmp_path / "out"
    held = json.loads((trained / task / "split.json").read_text())["validation"]
    made = images(out / "prediction")
    assert list(made) == sorted(f"{key}.tif" for key in held)
    assert {(image.dtype.name, image.shape) for image in made.values()} == {("float32", (16, 16))}
    shown = sorted(p.relative_to(out / "panels").as_posix() for p in (out / "panels").rglob("*.png"))
    assert shown == sorted(f"{key}.png" for key in held)
    given = "original" if task == "vae" else "condition"
    assert images(out / given).keys() == made.keys()
    if task != "vae":
        assert images(out / "target").keys() == made.keys()
    record = json.loads((out / "predict.json").read_text())
    assert (record["task"], record["images"], record["units"]) == (task, len(held), "file")
    assert record["checkpoint"] == str(trained / task / "checkpoints" / "best.pt")
    if task == "ldm":
        assert (record["solver"], record["num_steps"], record["seed"]) == ("dpmpp_2m", 2, 42)
    target = out / ("original" if task == "vae" else "target")
    assert f"next: voxloom evaluate --pred {out / 'prediction'} --target {target}" in done.out


@pytest.mark.parametrize("task", TASKS)
def test_what_evaluate_is_advised_works(predict, call, tmp_path, task):
    assert predict(task, "out").code == 0
    target = "original" if task == "vae" else "target"
    done = call("evaluate", "--pred", tmp_path / "out" / "prediction", "--target", tmp_path / "out" / target)
    assert done.code == 0, done.err
    assert "PSNR" in done.out


def test_the_size_of_the_file_on_request(predict, pairs, tmp_path):
    assert predict("regression", "out", "--original-size").code == 0
    held = images(tmp_path / "out" / "condition")
    assert {image.shape for image in held.values()} == {(24, 20)}
    files = images(pairs / "dente")
    close(held, {name: files[name] for name in held})
    assert {image.shape for image in images(tmp_path / "out" / "prediction").values()} == {(24, 20)}


def test_a_folder_of_conditions_without_targets(predict, tmp_path):
    folder = tmp_path / "anything"
    folder.mkdir()
    tifffile.imwrite(folder / "scan 1.TIFF", (200 * glyph(30, 22)).astype(np.uint16))
    Image.fromarray((200 * glyph(17, 40)).astype(np.uint8)).save(folder / "b.png")
    (folder / "notes.txt").touch()
    before = snapshot(folder)
    for task in TASKS:
        done = predict(task, f"out {task}", "--input-dir", folder, "--original-size")
        assert done.code == 0, done.err
        out = tmp_path / f"out {task}"
        found = {name: image.shape for name, image in images(out / "prediction").items()}
        assert found == {"b.tif": (17, 40), "scan 1.tif": (30, 22)}
        assert not (out / "target").exists()
        assert ("next: voxloom evaluate" in done.out) is (task == "vae")
    assert snapshot(folder) == before


def test_a_folder_of_conditions_with_their_targets(predict, tmp_path):
    data = write_pairs(tmp_path / "other", 3, seed=8)
    done = predict("ldm", "out", "--input-dir", data / "dente", "--target-dir", data / "edente")
    assert done.code == 0, done.err
    assert list(images(tmp_path / "out" / "target")) == ["p0_00.tif", "p0_01.tif", "p1_02.tif"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
@pytest.mark.parametrize("task", ["ldm", "vae"])
def test_neither_batch_nor_workers_nor_company_change_a_prediction(predict, pairs, tmp_path, task):
    folder = ["--input-dir", pairs / "dente"]
    for name, more in (
        ("whole", []), ("single", ["--batch-size", 1]), ("workers", ["--num-workers", 1, "--batch-size", 3]),
        ("some", ["--num-samples", 3]), ("precise", ["--precision", "bf16"]),
    ):  # fmt: skip
        done = predict(task, name, *folder, *more)
        assert done.code == 0, done.err
    whole = images(tmp_path / "whole" / "prediction")
    assert len(whole) == 8
    close(images(tmp_path / "single" / "prediction"), whole)
    close(images(tmp_path / "workers" / "prediction"), whole)
    some = images(tmp_path / "some" / "prediction")
    assert list(some) == ["p0_00.tif", "p1_02.tif", "p2_05.tif"]  # evenly spread
    close(some, {name: whole[name] for name in some})
    close(images(tmp_path / "precise" / "prediction"), whole, atol=25)


def test_seed_and_steps_and_solver_are_heeded(predict, tmp_path):
    for name, more in (
        ("a", ["--steps", 5]), ("again", ["--steps", 5]), ("b", ["--steps", 5, "--seed", 1]),
        ("c", ["--steps", 7]), ("d", ["--steps", 5, "--solver", "ddim"]),
    ):  # fmt: skip
        assert predict("ldm", name, *more).code == 0
    made = {name: images(tmp_path / name / "prediction") for name in ("a", "again", "b", "c", "d")}
    close(made["a"], made["again"], atol=0)
    for other in "bcd":
        assert any(not np.allclose(made["a"][n], made[other][n], atol=1e-2) for n in made["a"])


def test_several_samples_give_mean_and_deviation(predict, tmp_path):
    done = predict("ldm", "out", "--samples-per-image", 3)
    assert done.code == 0, done.err
    assert predict("ldm", "one").code == 0
    deviation = images(tmp_path / "out" / "deviation")
    mean, one = images(tmp_path / "out" / "prediction"), images(tmp_path / "one" / "prediction")
    assert deviation.keys() == mean.keys() == one.keys()
    for name in mean:
        assert deviation[name].min() >= 0
        assert deviation[name].max() > 0
        # one of three lies within sqrt(2) deviations of their mean
        assert (np.abs(one[name] - mean[name]) <= 1.42 * deviation[name] + 1e-3).all()
    refused = predict("regression", "other", "--samples-per-image", 2)
    assert refused.code == 1
    assert "gives the same prediction each time" in refused.err


def test_a_run_a_checkpoint_and_an_export_predict_alike(predict, call, trained, tmp_path):
    for task in ("ldm", "pix2pix"):
        exported = tmp_path / f"{task}.safetensors"
        told = call("export", trained / task, exported)
        assert told.code == 0
        assert "MiB" in told.out
        assert call("export", trained / task, exported).code == 1
        assert call("export", trained / task, exported, "--overwrite").code == 0
        forms = (trained / task, trained / task / "checkpoints" / "best.pt", exported)
        for i, checkpoint in enumerate(forms):
            done = predict(task, f"{task}{i}", checkpoint=checkpoint)
            assert done.code == 0, done.err
        made = [images(tmp_path / f"{task}{i}" / "prediction") for i in range(3)]
        close(made[0], made[1], atol=0)
        close(made[0], made[2], atol=0)


def test_the_output_has_a_name_of_its_own(predict, call, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("predict", "vae", "--checkpoint", trained / "vae" / "checkpoints" / "best.pt").code == 0
    assert (tmp_path / "predictions_vae" / "predict.json").is_file()


def test_an_output_that_exists_is_refused_or_replaced(predict, tmp_path):
    assert predict("vae", "out").code == 0
    refused = predict("vae", "out")
    assert refused.code == 1
    assert "exists already. Name another one (--output-dir), or replace it (--overwrite)" in refused.err
    assert predict("vae", "out", "--overwrite", "--num-samples", 1).code == 0
    assert len(images(tmp_path / "out" / "prediction")) == 1
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").touch()
    refused = predict("vae", "thesis", "--overwrite")
    assert refused.code == 1
    assert "no predictions, so it is not replaced" in refused.err


@pytest.mark.parametrize("where", ["", "out"])
def test_nothing_is_put_among_the_data(call, trained, tmp_path, where):
    folder = write_pairs(tmp_path / "data", 2) / "dente"
    before = snapshot(folder)
    failed = call(
        "predict", "ldm", "--checkpoint", trained / "ldm", "--input-dir", folder, "-o", folder / where
    )  # fmt: skip
    assert failed.code == 1
    assert "lies within the data folder" in failed.err
    assert snapshot(folder) == before


def test_not_even_among_those_of_the_training(predict, call, trained, pairs):
    failed = call("predict", "vae", "--checkpoint", trained / "vae", "-o", pairs / "edente" / "out")
    assert failed.code == 1
    assert "lies within the data folder" in failed.err


def test_what_cannot_predict_is_told(predict, trained, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "bare.pt")
    for task, checkpoint, said in (
        ("ldm", tmp_path / "nowhere", "nowhere does not exist: expected a run's folder"),
        ("ldm", tmp_path, "holds no checkpoint"),
        ("ldm", tmp_path / "bare.pt", "holds weights alone"),
        (
            "ldm",
            trained / "vae",
            "is a checkpoint of task 'vae': expected one of 'ldm'. Use: voxloom predict vae",
        ),
    ):
        failed = predict(task, "out", checkpoint=checkpoint)
        assert failed.code == 1
        assert said in failed.err
        assert not (tmp_path / "out").exists()
    for more, said in (
        (["--solver", "eular"], "Did you mean 'euler'"),
        (["--solver", "euler"], "Those that do: ddim, ddpm, dpmpp_2m"),
        (["--device", "cuda:9"], "usable GPUs"),
        (["--input-dir", tmp_path / "no"], "no such folder"),
    ):
        failed = predict("ldm", "out", *more)
        assert failed.code == 1
        assert said in failed.err
        assert not (tmp_path / "out").exists()


def test_data_that_have_moved_are_told_with_the_cure(call, tmp_path):
    data = write_pairs(tmp_path / "data", 8)
    recipe = write_recipe(tmp_path / "small.json", data)
    assert (
        call("train", "regression", "-c", recipe, "--run-dir", tmp_path / "run", "--max-epochs", 1).code == 0
    )
    held = json.loads((tmp_path / "run" / "split.json").read_text())["validation"][0]
    for side in ("edente", "dente"):
        (data / side / f"{held}.tif").unlink()
    gone = call("predict", "regression", "--checkpoint", tmp_path / "run", "-o", tmp_path / "out")
    assert gone.code == 1
    assert f"1 of 2 validation images of the training are gone from {data}, first '{held}'" in gone.err
    shutil.rmtree(data)
    lost = call("predict", "regression", "--checkpoint", tmp_path / "run", "-o", tmp_path / "out")
    assert lost.code == 1
    assert "to predict others, name their folder (--input-dir)" in lost.err


# -- orientation: through networks that give back what they get -------------------------------------


@pytest.fixture
def identity(monkeypatch):
    """Networks whose output is their input, with parameters that have a part in it."""

    def nothing(module):
        return 0 * torch.stack([p.sum() for p in module.parameters()]).sum()

    def encode(self, x):
        mu = F.pixel_unshuffle(x, 2) + nothing(self)
        return mu, torch.full_like(mu, -30.0)

    monkeypatch.setattr(Autoencoder, "encode", encode)
    monkeypatch.setattr(Autoencoder, "decode", lambda self, z: F.pixel_shuffle(z, 2) + nothing(self))
    monkeypatch.setattr(UNet, "forward", lambda self, x: x + nothing(self))


@pytest.fixture
def glyphs(tmp_path):
    """Pairs of two equal glyphs, each pair of another brightness."""
    folder = tmp_path / "glyphs"
    for i in range(8):
        for side in ("edente", "dente"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / side / f"{i}.tif", (100 + 10 * i) * glyph(28, 20))
    return folder


def test_the_orientation_of_the_file_is_that_of_every_picture(call, glyphs, tmp_path, identity):
    recipe = write_recipe(
        tmp_path / "small.json", glyphs, trackers=["jsonl", "previews"], latent_channels=4,
        process="flow", autoencoder_path=str(tmp_path / "vae"),
    )  # fmt: skip
    for task in TASKS:
        section = {"vae": "autoencoder_train", "ldm": "diffusion_train"}.get(task, f"{task}_train")
        done = call(
            "train", task, "-c", recipe, "--run-dir", tmp_path / task, "--max-epochs", 1, "--lr", 1e-12,
            "--set", f"{section}.patch_size=[28, 20]", "--set", "autoencoder_train.adv_weight=0",
        )  # fmt: skip
        assert done.code == 0, done.err
        out = tmp_path / f"out {task}"
        made = call("predict", task, "--checkpoint", tmp_path / task, "-o", out)
        assert made.code == 0, made.err
        files = images(glyphs) if task == "vae" else images(glyphs / "edente")
        for folder in out.iterdir():
            if folder.name not in ("panels", "predict.json"):
                found = images(folder)
                close(found, {name: files[name] for name in found}, atol=0.01)
        rows = []
        for path in sorted((out / "panels").rglob("*.png")):
            letter = files[path.relative_to(out / "panels").with_suffix(".tif").as_posix()]
            titles = ("original", "prediction") if task == "vae" else ("condition", "target", "prediction")
            compare(path, panel([(title, letter) for title in titles]))
            for turned in (letter[::-1], letter[:, ::-1], letter[::-1, ::-1]):
                with pytest.raises(AssertionError):
                    compare(path, panel([(title, turned) for title in titles]))
            rows.append(letter)
        preview = tmp_path / task / "previews" / "epoch_0000_preview.png"
        titles = ("original", "reconstruction") if task == "vae" else ("condition", "target", "prediction")
        first = rows[:2]  # the first batch that validates
        drawn = [panel([(title, letter / 127.5 - 1) for title in titles]) for letter in first]
        compare(preview, np.concatenate(drawn))


def compare(path, expected):
    """But for the difference at the right, whose colours magnify a rounding, and the words below."""
    shown = np.asarray(Image.open(path)).astype(int)
    assert shown.shape == expected.shape
    assert (np.abs(shown - expected.astype(int)) <= 1).mean() > 0.98
