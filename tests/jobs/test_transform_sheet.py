import json

import numpy as np
import pytest
import torch
from PIL import Image

from voxloom.config import load_config
from voxloom.errors import ConfigError
from voxloom.inference.encode import LatentCache
from voxloom.jobs.config_task import task_of
from voxloom.jobs.data import Place, data_of
from voxloom.jobs.objectives import build_objective
from voxloom.jobs.transform_sheet import draws_of, write_draws
from voxloom.loading import Loader, Order
from voxloom.ranks import Rank
from voxloom.seeding import rng_for
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import write_recipe
from voxloom.testing.translation import write_raw, write_volume_recipe
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.transforms import Augment


@pytest.fixture
def recipe(tmp_path):
    return lambda **more: write_recipe(
        tmp_path / "small.json", write_pairs(tmp_path / "data", 4), run_dir=str(tmp_path / "run"), **more
    )


def _data(task, file):
    config = load_config(task, [file])
    return config, data_of(task, config)(
        task, config, None, Place(Rank(), torch.device("cpu"), lambda _: None)
    )


def _batches(config, material, epochs):
    """Yield the batches that a training sees in each epoch."""
    order = Order(length=len(material.train), batch_size=2, seed=config.seed, shuffle=True)
    loader = Loader(material.train, material.train_transform, order=order, seed=config.seed)
    for _ in range(epochs):
        yield list(loader)


@pytest.mark.parametrize("task", ["regression", "vae"])
def test_draws_are_those_of_a_training(recipe, task):
    file = recipe(augment=True, seed=7)
    found = draws_of(file, task=task, samples=2, draws=3)
    assert (found.seed, found.is_random, len(found.rows), found.task) == (7, True, 2, task)
    titles = [each.title for each in found.rows[0]]
    assert titles == ["as in the file", "prepared", "draw 0", "draw 1", "draw 2"]
    assert found.rows[0][2].told
    config, data = _data(task, file)
    compared = 0
    for epoch, batches in enumerate(_batches(config, data.material(), 3)):
        seen = {key: (batch, row) for batch in batches for row, key in enumerate(batch.keys)}
        for drawn in (row[2 + epoch].sample for row in found.rows):
            batch, row = seen[drawn.key]
            for name, array in drawn.items():
                assert np.array_equal(batch[name][row].numpy(), array)
                compared += 1
    assert compared == (12 if task == "regression" else 6)


def test_draws_of_a_latent_model_are_the_copies_that_it_encodes(recipe, monkeypatch):
    file = recipe(augment=True, seed=7)
    found = draws_of(file, task="ldm", draws=7)
    row = found.rows[0]
    assert [each.title for each in row[2:]] == ["variant 0", "variant 1"]  # augment_variants of the recipe
    assert "encoded once" in found.meaning
    config, data = _data("ldm", file)
    cache = LatentCache(root="none", autoencoder=None, seed=config.seed)
    transform = config.preparation.transform(config.diffusion_train.image_size, config.augmentation)
    for variant in range(2):
        for batch in cache._batches(data.parts.train, transform, variant):
            if row[0].sample.key in batch.keys:
                place = batch.keys.index(row[0].sample.key)
                assert np.array_equal(batch["target"][place].numpy(), row[2 + variant].sample["target"])


def test_a_latent_model_of_volumes_shows_the_tiles_that_it_encodes(tmp_path):
    for name in ("target", "condition"):
        write_raw(tmp_path / f"{name}.zarr")
    sides = {"target": "target.zarr", "condition": "condition.zarr"}
    file = write_volume_recipe(tmp_path / "small.json", tmp_path, **sides)
    found = draws_of(file, task="ldm", draws=2)
    _, data = _data("ldm", file)
    tile = data.sources[0][len(data.sources[0]) // 2]
    assert found.rows[0][0].sample.key == tile.key
    assert np.array_equal(found.rows[0][0].sample["target"], tile["target"])
    assert (found.is_random, len(found.rows[0])) == (False, 2)


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


@pytest.fixture
def segmentation(tmp_path):
    """Return the file of a segmentation that flips, turns and changes values."""
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
        "drawing": {"length": 6},
    }
    file = tmp_path / "seg.json"
    file.write_text(json.dumps({"segmentation_data": data, "segmenter_def": {"channels": [4, 8]}}))
    return file


def test_patches_keep_their_place_and_labels_move_along(segmentation, tmp_path):
    found = draws_of(segmentation, draws=2)
    lies, prepared, *draws = found.rows[0]
    assert lies.sample["raw"].dtype == np.uint8
    assert prepared.sample["raw"].max() <= 1
    assert set(np.unique(lies.sample["labels"])) <= {0, 1, 2}
    assert all("flip y" in each.told and "about z" in each.told for each in draws)
    assert {each.sample["raw"].shape for each in draws} == {(1, 8, 16, 16)}
    assert "at the place of epoch 0" in found.meaning
    with pytest.raises(ConfigError, match="its own volumes"):
        draws_of(segmentation, tmp_path)
    write_draws(tmp_path / "sheet.png", found)


def test_the_first_draw_of_a_patch_is_what_a_segmentation_learns_from(segmentation):
    drawn = draws_of(segmentation, draws=1).rows[0][2].sample
    config, data = _data("segmentation", segmentation)
    material = data.material()
    objective = build_objective("segmentation", config, material)
    index = len(material.train) // 2
    (batches,) = _batches(config, material, 1)
    batch, row = next((b, list(b.indices).index(index)) for b in batches if index in b.indices)
    learned = objective.prepare(batch, config.seed, training=True)["image"][row].numpy()
    assert np.array_equal(learned, drawn["raw"])


def test_the_task_is_found_in_the_file(tmp_path):
    file = tmp_path / "c.json"
    for content, task in (
        ({"segmentation_data": {}}, "segmentation"),
        ({"regression_train": {}}, "regression"),
        ({"ldm": {}}, "ldm"),
        ({"autoencoder_train": {}, "segmentation_data": None}, "vae"),
        ({}, "vae"),
    ):
        file.write_text(json.dumps(content))
        assert task_of(file) == task
    with pytest.raises(ConfigError, match="Did you mean 'vae'"):
        task_of(file, "vea")
    file.write_text(json.dumps({"vae": {}, "regression_train": {}}))
    with pytest.raises(ConfigError, match=r"settings of vae, regression.*--task vae"):
        task_of(file)
    assert task_of(file, "regression") == "regression"


def test_the_configuration_of_a_run_says_its_task(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "config.json"
    file.write_text(load_config("pix2pix", [recipe()]).model_dump_json())  # as a run writes it: all sections
    with pytest.raises(ConfigError, match="--task"):
        task_of(file)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"task": "pix2pix"}))
    found = draws_of(file)
    assert (found.task, found.file) == ("pix2pix", "config.json")
    page = write_draws(tmp_path / "page.html", found).read_text()
    assert "pix2pix" in page
