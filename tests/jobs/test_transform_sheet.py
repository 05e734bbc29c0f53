import json

import numpy as np
import pytest
from PIL import Image

from voxloom.errors import ConfigError
from voxloom.jobs.transform_sheet import draws_of, task_of, write_draws
from voxloom.seeding import rng_for
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import write_recipe
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.transforms import Augment


@pytest.fixture
def recipe(tmp_path):
    return lambda **more: write_recipe(
        tmp_path / "small.json", write_pairs(tmp_path / "data", 4), run_dir=str(tmp_path / "run"), **more
    )


def test_draws_are_those_of_a_training(recipe):
    found = draws_of(recipe(augment=True, seed=7), task="regression", samples=2, draws=3)
    assert (found.seed, found.is_random, len(found.rows)) == (7, True, 2)
    titles = [each.title for each in found.rows[0]]
    assert titles == ["as in the file", "prepared", "draw 0", "draw 1", "draw 2"]
    first, *_ = (row[2] for row in found.rows)
    assert first.told
    again = draws_of(recipe(augment=True, seed=7), task="regression", samples=2, draws=1)
    assert np.array_equal(first.sample["target"], again.rows[0][2].sample["target"])
    other = draws_of(recipe(augment=True, seed=8), task="regression", samples=2, draws=1)
    assert not np.array_equal(first.sample["target"], other.rows[0][2].sample["target"])


def test_what_is_told_is_what_was_drawn():
    sure = Augment(flip_y=1, flip_x=0, right_angle=0, affine=1, elastic=1)
    told = sure.told(rng_for(0), (32, 32))
    assert told.splitlines()[0] == "flip y, bent"
    assert "zoom" in told
    assert (
        Augment(flip_y=0, flip_x=0, right_angle=0, affine=0, elastic=0).told(rng_for(0), (9, 9)) == "as it is"
    )


def test_without_augmentation_there_is_the_preparation_alone(recipe, tmp_path):
    found = draws_of(recipe(), task="vae")
    assert (found.is_random, [len(row) for row in found.rows]) == (False, [2])
    write_draws(tmp_path / "new" / "sheet.png", found)
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.mode == "RGB"


def test_other_images_can_be_taken(recipe, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        photo = np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / "photos" / f"{i}.png")
    found = draws_of(recipe(augment=True), tmp_path / "photos", task="vae", draws=2)
    assert found.rows[0][0].sample.key == "1.png"  # the middle one
    page = write_draws(tmp_path / "page.html", found).read_text()
    assert page.count('<figure class="sample">') == 4
    assert "seed" in page


def test_patches_keep_their_place_and_labels_move_along(tmp_path):
    raw = write_volume(tmp_path / "em.zarr", phantom((24, 40, 40)))
    half = np.zeros((24, 40, 40), np.uint8)
    half[:, :20] = 1
    gt = write_classes(tmp_path / "gt.zarr", {"mito": half, "er": 1 - half})
    rows = [{"raw": str(raw), "gt": str(gt)}]
    data = {
        "split": {"train": rows, "validate": rows},
        "inputs": {"raw": {"shape": [8, 16, 16], "spacing": [8, 8, 8]}},
        "classes": ["mito", "er"],
        "augment": {"mirror": [0, 1, 0], "transpose": [], "rotation": {"z": 30}},
        "values": {"augment": {"probability": 1.0}},
    }
    file = tmp_path / "seg.json"
    file.write_text(json.dumps({"segmentation_data": data, "segmenter_def": {"channels": [4, 8]}}))
    found = draws_of(file, draws=2)
    lies, prepared, *draws = found.rows[0]
    assert lies.sample["raw"].dtype == np.uint8
    assert prepared.sample["raw"].max() <= 1
    assert set(np.unique(lies.sample["labels"])) <= {0, 1, 2}
    assert all("flip y" in each.told and "about z" in each.told for each in draws)
    assert {each.sample["raw"].shape for each in draws} == {(1, 8, 16, 16)}
    with pytest.raises(ConfigError, match="its own volumes"):
        draws_of(file, tmp_path)
    write_draws(tmp_path / "sheet.png", found)


def test_the_task_is_found_in_the_file(tmp_path):
    file = tmp_path / "c.json"
    for content, task in (
        ({"segmentation_data": {}}, "segmentation"),
        ({"regression_train": {}}, "regression"),
        ({"ldm": {}}, "ldm"),
        ({}, "vae"),
    ):
        file.write_text(json.dumps(content))
        assert task_of(file) == task
    with pytest.raises(ConfigError, match="Did you mean 'vae'"):
        task_of(file, "vea")
