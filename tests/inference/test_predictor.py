import json

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from voxloom.errors import OutputExistsError
from voxloom.inference import Predictor, make_output
from voxloom.panels import panel
from voxloom.source import Subset
from voxloom.sources import ImageFolder, PairFolder, write_image
from voxloom.testing.images import glyph
from voxloom.transforms import Preparation

FIXED = Preparation(normalization={"name": "range", "low": 0, "high": 200})


class Same:
    """Gives back what it is given; with noise where several samples are asked for."""

    is_random = True

    def __init__(self, noise=0.0):
        self.noise, self.asked = noise, []

    def __call__(self, image_BCHW, keys, sample=0):
        self.asked.append((list(keys), sample))
        return image_BCHW + self.noise * sample

    def describe(self):
        return {"solver": "none"}


@pytest.fixture
def folder(tmp_path):
    """Two glyphs of different size, as conditions and as targets."""
    for name, size in (("a", (28, 20)), ("b c.d", (21, 35))):
        write_image(tmp_path / "condition" / f"{name}.tif", 200 * glyph(*size))
        write_image(tmp_path / "target" / f"{name}.tif", 100 * glyph(*size))
    return tmp_path


def conditions(folder):
    return ImageFolder(folder / "condition", field="condition", prefix="")


def read(path):
    image = tifffile.imread(path)
    assert image.dtype == np.float32
    return image


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_names_sizes_units_and_orientation_are_those_of_the_files(folder, fit):
    preparation = FIXED.model_copy(update={"fit": fit})
    out = folder / "out"
    record = Predictor(Same(), preparation, (112, 140), original_size=True).run(conditions(folder), out)
    assert sorted(p.name for p in (out / "prediction").iterdir()) == ["a.tif", "b c.d.tif"]
    for name, size in (("a", (28, 20)), ("b c.d", (21, 35))):
        given, made = read(out / "condition" / f"{name}.tif"), read(out / "prediction" / f"{name}.tif")
        assert made.shape == given.shape == size
        assert np.allclose(given, 200 * glyph(*size), atol=1e-3)
        right = np.abs(made - given).mean()
        assert right < 12  # enlarged and made smaller again
        for turned in (given[::-1], given[:, ::-1], given[::-1, ::-1]):
            assert np.abs(made - turned).mean() > 3 * right
    assert (record["units"], record["original_size"]) == ("file", True)


def test_without_original_size_the_networks_size_is_kept(folder):
    out = folder / "out"
    Predictor(Same(), FIXED, (28, 20)).run(conditions(folder), out)
    assert read(out / "prediction" / "b c.d.tif").shape == (28, 20)
    assert np.allclose(read(out / "prediction" / "a.tif"), 200 * glyph(28, 20), atol=1e-3)


def test_panels_show_what_the_files_hold_in_one_window(folder):
    out = folder / "out"
    pairs = PairFolder(folder / "target", folder / "condition")
    Predictor(Same(), FIXED, (28, 20)).run(pairs, out)
    shown = np.asarray(Image.open(out / "panels" / "a.png"))
    letter = glyph(28, 20)
    row = [("condition", 200 * letter), ("target", 100 * letter), ("prediction", 200 * letter)]
    # Equal but for rounding; what `panel` draws is tested with it.
    expected = panel(row).astype(int)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() <= 1


def test_without_targets_condition_and_prediction_are_shown(folder):
    out = folder / "out"
    Predictor(Same(), FIXED, (28, 20)).run(conditions(folder), out)
    assert sorted(p.name for p in out.iterdir()) == ["condition", "panels", "predict.json", "prediction"]
    letter = 200 * glyph(28, 20)
    expected = panel([("condition", letter), ("prediction", letter)], difference=False).astype(int)
    assert np.abs(np.asarray(Image.open(out / "panels" / "a.png")) - expected).max() <= 1


def test_several_samples_give_mean_and_deviation(folder):
    out = folder / "out"
    same = Same(noise=0.1)  # of a range of 2, which stands for 200: 0, 10 and 20
    record = Predictor(same, FIXED, (28, 20), num_samples=3, original_size=True).run(conditions(folder), out)
    given = read(out / "condition" / "a.tif")
    assert np.allclose(read(out / "prediction" / "a.tif"), given + 10, atol=1e-3)
    assert np.allclose(read(out / "deviation" / "a.tif"), np.std([0, 10, 20]), atol=1e-3)
    assert record["samples_per_image"] == 3
    assert [sample for _, sample in same.asked] == [0, 1, 2]


def test_where_units_are_lost_it_is_said(folder):
    record = Predictor(Same(), Preparation(), (28, 20)).run(conditions(folder), folder / "out")
    assert record["units"] == "normalised"


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_every_image_is_predicted_once_whatever_the_batch(folder, batch_size):
    out, told = folder / f"out{batch_size}", []
    record = Predictor(Same(), FIXED, (28, 20), batch_size=batch_size).run(
        Subset(conditions(folder), [1, 0]), out, facts={"task": "x"},
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(1, 2), (2, 2)]
    assert record == json.loads((out / "predict.json").read_text())
    assert (record["images"], record["solver"], record["task"]) == (2, "none", "x")


def test_arithmetic_in_bf16_gives_float32_files(folder):
    class Network(Same):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Conv2d(1, 1, 1)

        def __call__(self, image_BCHW, keys, sample=0):
            out = self.net(image_BCHW)
            assert out.dtype == torch.bfloat16
            return out.float()

    Predictor(Network(), FIXED, (28, 20), precision=torch.bfloat16).run(conditions(folder), folder / "out")
    assert read(folder / "out" / "prediction" / "a.tif").shape == (28, 20)


def test_an_output_is_new_or_replaced_on_request_and_only_its_own_files_go(tmp_path):
    out = tmp_path / "out"
    make_output(out, overwrite=False)
    make_output(out, overwrite=False)  # empty still
    (out / "prediction").mkdir()
    (out / "prediction" / "old.tif").touch()
    (out / "evaluation").mkdir()
    (out / "evaluation" / "summary.json").touch()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"exists already\. Name another one .*--overwrite"):
        make_output(out, overwrite=False)
    make_output(out, overwrite=True)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    with pytest.raises(OutputExistsError, match="holds files that are no predictions"):
        make_output(out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
