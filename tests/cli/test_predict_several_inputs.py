"""``voxloom predict segmentation`` of a network that sees several volumes at each place."""

import json

import numpy as np
import pytest

from voxloom.testing.segmentation import write_segmentation, write_split
from voxloom.volumes import Volume


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    write_split(tmp_path)
    return tmp_path


@pytest.fixture
def run(call, folder):
    """The folder of a run whose second input is of another volume."""

    def row(number):
        raw = {"raw": str(folder / f"{number}/em.zarr"), "light": str(folder / "1/em.zarr")}
        return {"raw": raw, "gt": str(folder / f"{number}/gt.zarr/[mito]")}

    recipe = write_segmentation(folder / "two.json", folder / "split.csv")
    settings = json.loads(recipe.read_text())
    data = settings["segmentation_data"]
    data |= {"split": {"train": [row(2)], "validate": [row(3)]}, "classes": ["mito"]}
    data["inputs"]["light"] = data["inputs"]["raw"]
    recipe.write_text(json.dumps(settings))
    done = call("train", "segmentation", "-c", recipe, "--run-dir", folder / "run", "--max-epochs", 1)
    assert done.code == 0, done.err
    return folder / "run"


def test_each_input_is_read_from_its_own_volume(run, call, folder):
    here, other = folder / "3/em.zarr", folder / "1/em.zarr"

    def predict(output, *paths):
        inputs = [word for path in paths for word in ("--input", path)]
        return call(
            "predict", "segmentation", "--checkpoint", run, *inputs, "--output", folder / output,
            "--device", "cpu", "--shard", 16, 16, 16, "--write", "probabilities",
        )  # fmt: skip

    done = predict("p.zarr", f"light={other}", f"raw={here}")
    assert done.code == 0, done.err
    assert f"voxloom view {other} {here} {folder / 'p.zarr'}" in done.out
    assert predict("q.zarr", f"raw={here}", f"light={here}").code == 0
    one, twice = (Volume.open(str(folder / name)).array(0).read().result() for name in ("p.zarr", "q.zarr"))
    assert not np.array_equal(one, twice)
    for paths, message in {
        (here,): "from 2 volumes at each place (raw, light). Expected one for each: --input raw=PATH",
        (f"raw={here}",): "no volume for light",
        (f"raw={here}", f"ligth={other}"): "input 'ligth'",
        (here, other): "several inputs need a name each",
    }.items():
        failed = predict("r.zarr", *paths)
        assert failed.code != 0
        assert message in failed.err
        assert not (folder / "r.zarr").exists()
