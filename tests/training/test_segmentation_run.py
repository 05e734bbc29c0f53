"""Whole runs of the segmentation on tiny volumes: the same whatever workers, ranks and stops there are."""

import json
import shutil

import numpy as np
import pytest
import torch

from voxloom.errors import ConfigError, Interrupted, MissingDataError, VoxloomError
from voxloom.jobs import train
from voxloom.testing.segmentation import small_segmentation, write_split
from voxloom.testing.volumes import write_volume

DATA = "segmentation_data"
TURNED = {
    f"{DATA}.augment": {"rotation": {"z": 180}, "elastic": {"spacing": 60, "sd": 8}},
    f"{DATA}.values.augment": {"probability": 1.0},
}


@pytest.fixture(scope="session")
def split(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("volumes"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(split, tmp_path):
    """Return a function that trains: ``run("name", key=value)``, with dots as two underscores."""

    def start(name, *, resume=None, **overrides):
        given = {key.replace("__", "."): value for key, value in overrides.items()}
        return train("segmentation", small_segmentation(split, tmp_path / name, given), resume=resume)

    return start


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_a_run_keeps_what_a_prediction_needs(run, final, rows, split):
    done = run("run", trackers=["jsonl", "previews"])
    state = final(done)
    assert state["facts"]["classes"] == ["mito", "er"]
    assert state["facts"]["values"]["scale"] == 1 / 255
    assert state["model_configs"]["segmenter"]["out_channels"] == 2
    assert [len(state["split"][part]) for part in ("train", "validation")] == [2, 1]
    assert state["split"]["train"][1] == {
        "raw": str(split.parent / "2/em.zarr"), "gt": [str(split.parent / "2/gt.zarr/[mito]")],
    }  # fmt: skip
    assert json.loads((done.folder / "split.json").read_text()) == state["split"]
    assert json.loads((done.folder / "skipped.json").read_text()) == {}
    validation = [row for row in rows(done) if row["split"] == "validation"]
    assert {"loss", "dice", "iou", "dice/mito", "dice/er", "iou/mito"} <= set(validation[-1])
    assert len(list((done.folder / "previews").glob("*.png"))) == 2
    facts = json.loads((done.folder / "run.json").read_text())
    assert facts["samples"] == {"train": 8, "validation": 4}


def test_twenty_steps_are_ten_a_stop_and_ten_more(run, final, rows, stop_after, monkeypatch):
    settings = TURNED | {"segmentation_train__max_epochs": 5, "segmentation_train__ema_decay": 0.9}
    whole = run("whole", **settings)
    stop_after(10)
    with pytest.raises(Interrupted, match=r"stopped at step 10 .*--resume"):
        run("parts", **settings)
    monkeypatch.undo()
    parts = run("parts", resume="auto", **settings)
    assert same(final(whole), final(parts))
    assert rows(whole) == rows(parts)


@pytest.mark.parametrize("crops", [1, 4])
def test_workers_change_nothing(run, final, crops):
    settings = TURNED | {f"{DATA}__drawing": {"length": 8 // crops, "crops_per_block": crops}}
    alone, helped = (run(f"run{n}", num_workers=n, **settings) for n in (0, 2))
    assert same(final(alone)["models"], final(helped)["models"])


KINDS = {
    "2D": {f"{DATA}.inputs": {"raw": {"shape": [1, 8, 8], "spacing": [8, 8, 8]}}, **TURNED},
    "exclusive": {
        "segmentation_train.exclusive": True,
        f"{DATA}.classes": {"names": ["mito", "er"], "excludes": {"mito": ["er"]}},
    },
    "small target": {
        f"{DATA}.target": {"shape": [4, 4, 4], "spacing": [8, 8, 8]},
        f"{DATA}.drawing.kind": "balanced",
    },
    "two inputs": {
        f"{DATA}.inputs.far": {"shape": [8, 8, 8], "spacing": [16, 16, 16]},
        "segmentation_train.channels_last": True,
        "segmentation_train.class_weights": {"er": 3},
        "segmentation_train.positive_weights": "balanced",
    },
    "weights": {
        f"{DATA}.drawing.weights": {"2/gt.zarr": 3},
        f"{DATA}.values.percentiles": [1, 99],
        "segmentation_train.precision": "bf16",
    },
}


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_every_kind_of_patch_trains(run, settings, rows):
    done = run("run", segmentation_train__max_epochs=1, **settings)
    assert json.loads((done.folder / "run.json").read_text())["status"] == "finished"
    assert rows(done)[-1]["dice"] > 0


def test_a_split_may_stand_in_the_configuration(run, split, final):
    root = split.parent
    given = {
        "train": [{"raw": str(root / "?/em.zarr"), "gt": str(root / "?/gt.zarr/[mito]")}],
        "validate": [{"raw": {"raw": str(root / "3/em.zarr")}, "gt": str(root / "3/gt.zarr/[er,mito]")}],
    }
    done = run("run", **{f"{DATA}__split": given, f"{DATA}__classes": ["mito"]})
    assert len(final(done)["split"]["train"]) == 3


def test_the_split_of_a_checkpoint_counts_and_not_what_came_since(tmp_path, final):
    path = write_split(tmp_path / "volumes")
    config = small_segmentation(path, tmp_path / "run")
    before = final(train("segmentation", config))["split"]
    path.write_text('validate,1/em.zarr,"1/gt.zarr/[mito]"\n')
    more = small_segmentation(path, tmp_path / "run", {"segmentation_train.max_epochs": 3})
    assert final(train("segmentation", more, resume="auto"))["split"] == before


def test_a_dataset_that_is_broken_is_an_error_with_its_row_or_left_out(tmp_path):
    path = write_split(tmp_path / "volumes")
    shutil.rmtree(tmp_path / "volumes/2/em.zarr")
    with pytest.raises(VoxloomError, match=r"split\.csv, row 3: .*2/em\.zarr"):
        train("segmentation", small_segmentation(path, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    config = small_segmentation(path, tmp_path / "run", {f"{DATA}.on_error": "skip"})
    done = train("segmentation", config)
    (where,) = json.loads((done.folder / "skipped.json").read_text())
    assert where.endswith("split.csv, row 3")


def test_channels_are_counted(tmp_path, split, final):
    path = write_volume(tmp_path / "colour.zarr", np.zeros((3, 8, 8, 8), np.uint8))
    gt = f"{split.parent}/1/gt.zarr/[mito]"
    given = {part: [{"raw": str(path), "gt": gt}] for part in ("train", "validate")}
    settings = {f"{DATA}.split": given, f"{DATA}.classes": ["mito"]}
    done = train("segmentation", small_segmentation("x", tmp_path / "run", settings))
    assert final(done)["model_configs"]["segmenter"]["in_channels"] == 3


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {f"{DATA}.drawing.weights": {"4": 1}},
            ConfigError,
            r"no dataset '4' to learn from\. Datasets: 1/gt",
        ),
        ({f"{DATA}.inputs.raw.shape": [8, 9, 8]}, ConfigError, "8 x 9 x 8 voxels"),
        ({"segmentation_train.class_weights": {"mitto": 2}}, ConfigError, "no class 'mitto'.* mean 'mito'"),
        ({"segmenter_def.strides": [[1, 2]]}, ConfigError, "expected 3 numbers a level"),
        ({f"{DATA}.target": {"shape": [16, 8, 8], "spacing": [8, 8, 8]}}, ConfigError, "as many voxels"),
        ({f"{DATA}.target": {"shape": [8, 8, 8], "spacing": [4, 8, 8]}}, ConfigError, "the same spacing"),
        ({f"{DATA}.split": "nowhere.csv"}, MissingDataError, "nowhere.csv: no such file"),
        ({f"{DATA}.classes": ["nucleus"]}, VoxloomError, "nucleus"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_made(split, tmp_path, settings, kind, message):
    with pytest.raises(kind, match=message):
        train("segmentation", small_segmentation(split, tmp_path / "run", settings))
    assert not (tmp_path / "run").exists()


def test_a_segmentation_needs_its_data(split, tmp_path):
    config = small_segmentation(split, tmp_path / "run").model_copy(update={DATA: None})
    with pytest.raises(ConfigError, match="segmentation_data is not set: a segmentation needs volumes"):
        train("segmentation", config)


def test_a_split_without_validation_is_refused(tmp_path):
    path = write_split(tmp_path / "volumes")
    path.write_text('train,1/em.zarr,"1/gt.zarr/[mito]"\n')
    with pytest.raises(MissingDataError, match="no dataset of the validation part"):
        train("segmentation", small_segmentation(path, tmp_path / "run", {f"{DATA}.classes": ["mito"]}))


def test_no_run_lies_within_a_volume(split, tmp_path):
    for place in ("1/em.zarr/run", "3/gt.zarr/run"):
        with pytest.raises(VoxloomError, match="lies within the data folder"):
            train("segmentation", small_segmentation(split, split.parent / place))
    assert not (split.parent / "1/em.zarr/run").exists()
