"""``voxloom train segmentation`` as a person runs it."""

import json

import numpy as np
import pytest
import yaml

from voxloom.config import load_config
from voxloom.testing.segmentation import write_segmentation, write_split
from voxloom.testing.volumes import write_volume


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("volumes"))


@pytest.fixture
def segment(call, volumes, tmp_path, monkeypatch):
    """Return a function that trains the small segmentation: ``segment("run", "--lr", 1)``."""
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    recipe = write_segmentation(tmp_path / "small.json", volumes)

    def run(name, *arguments):
        return call("train", "segmentation", "-c", recipe, "--run-dir", tmp_path / name, *arguments)

    return run


def test_a_run_from_a_file_and_options(segment, tmp_path):
    done = segment(
        "run", "--max-epochs", 1, "--batch-size", 4, "--lr", "3e-3", "--seed", 5, "--num-workers", 1
    )
    assert done.code == 0, done.err
    shown = yaml.safe_load(done.out.partition("\nfinished: ")[0])
    assert shown["segmentation_train"]["lr"] == 3e-3
    assert "data_base_dir" not in shown  # of images
    assert f"next: voxloom predict segmentation --checkpoint {tmp_path / 'run'} --input raw.zarr" in done.out
    assert "2 datasets to learn from (mito in 2, er in 1), 1 dataset to validate on (mito in 1" in done.log
    assert json.loads((tmp_path / "run" / "run.json").read_text())["total_steps"] == 2


def test_a_yaml_file_of_its_own_section(call, volumes, tmp_path):
    path = tmp_path / "segmentation.yaml"
    path.write_text(f"""
segmentation: {{device: cpu, num_workers: 0, run_dir: {tmp_path / "run"}, trackers: [jsonl]}}
segmentation_data:
  inputs: {{raw: {{shape: [1, 8, 8], spacing: [8, 8, 8]}}}}
  classes: [mito]
  drawing: {{length: 2}}
  augment: true
segmenter_def: {{channels: [4, 8], num_res_units: 1}}
segmentation_train: {{max_epochs: 1}}
""")
    done = call("train", "segmentation", "-c", path, "--split", volumes)
    assert done.code == 0, done.err
    assert "each raw 1 x 8 x 8 uint8" in done.log


def test_a_run_goes_on_from_its_folder_alone(segment, call, tmp_path, rows):
    assert segment("run", "--max-epochs", 1).code == 0
    assert segment("run").code == 1  # it is there already
    more = call("train", "segmentation", "--resume", tmp_path / "run", "--max-epochs", 2)
    assert more.code == 0, more.err
    assert segment("whole").code == 0
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--data-dir", "x"], "No such option"),
        (["--set", "segmentation_data.inputs.raw.shape=[8, 8, 9]"], "8 x 8 x 9 voxels (z, y, x): expected"),
        (["--set", "segmentation_data.drawing.lenght=3"], "Did you mean 'length'"),
        (["--set", "segmentation_data.classes=[mito, mito]"], "each once"),
        (["--set", "segmentation_data=null"], "segmentation_data is not set"),
        (["--set", "segmentation_data.augment={rotation: {z: [9, 3]}}"], "expected the lower one first"),
    ],
)
def test_what_cannot_be_trained_is_told(segment, tmp_path, arguments, message):
    failed = segment("run", *arguments)
    assert failed.code in (1, 2)
    assert message in failed.err
    assert "Traceback" not in failed.err
    assert segment("run", "--max-epochs", 1).code == 0


def test_a_checkpoint_of_another_task_is_refused(segment, trained):
    failed = segment("run", "--resume", trained / "regression" / "checkpoints" / "last.pt")
    assert failed.code == 1
    assert "checkpoint of task 'regression'" in failed.err


def test_the_shipped_file_is_a_configuration(call, tmp_path):
    assert call("init", tmp_path / "config").code == 0
    config = load_config("segmentation", [tmp_path / "config" / "segmentation.yaml"])
    assert config.segmenter(channels=1).out_channels == 2
    assert config.segmentation_data.augmentation.rotation[0] == (-180, 180)


def test_a_class_that_nobody_annotated_is_refused(segment, tmp_path):
    failed = segment("run", "--set", "segmentation_data.classes=[mito, golgi]")
    assert failed.code == 1
    assert (
        "classes golgi: annotated in none of the 2 datasets to learn from; annotated are: mito" in failed.err
    )
    assert "Take it out of segmentation_data.classes" in failed.err
    assert not (tmp_path / "run").exists()


def test_no_configuration_stands_before_an_error(segment, tmp_path):
    failed = segment("run", "--split", "nowhere.csv")
    assert failed.out == ""
    assert not (tmp_path / "run").exists()


def test_a_missing_unit_is_stated_in_the_configuration(segment, tmp_path):
    raw = write_volume(tmp_path / "raw.zarr", np.zeros((8, 8, 8), np.uint8))
    path = raw / "zarr.json"
    path.write_text(path.read_text().replace(', "unit": "nanometer"', ""))
    (tmp_path / "split.csv").write_text(f"split,raw\ntrain,{raw}\nvalidate,{raw}\n")
    failed = segment("run", "--split", tmp_path / "split.csv")
    assert "--set segmentation_data.unit=nanometer (or another length)" in failed.err
    assert "spacing=" not in failed.err
