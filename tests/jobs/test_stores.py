"""A store trains and predicts as the folders that it was made of, bit for bit."""

import json
import os
import shutil

import pytest
import torch

from voxloom.conversion import convert
from voxloom.errors import ConfigError, OutputExistsError, PairingError
from voxloom.inference import LatentCache
from voxloom.inference.origin import origin_of
from voxloom.jobs import PredictOptions, predict, train
from voxloom.jobs.latents import first_stage
from voxloom.jobs.outputs import data_folders, refuse_among
from voxloom.models import Autoencoder
from voxloom.models.checkpoint import read_checkpoint
from voxloom.source import Concat, Map
from voxloom.sources import ImageFolder, Layout, PairFolder, ReadPolicy
from voxloom.sources.files import class_folder, flat_folder, paired_folders
from voxloom.sources.stored import images_at
from voxloom.testing.images import snapshot
from voxloom.testing.recipes import small_config
from voxloom.testing.stores import Counting, write_store
from voxloom.transforms import Preparation

SECTIONS = {"vae": "autoencoder_train", "ldm": "diffusion_train", "regression": "regression_train"}
CPU = torch.device("cpu")
PLAIN = Preparation().transform((16, 16))


@pytest.fixture(scope="module")
def stores(pairs, tmp_path_factory):
    """The session's pairs, as stores of several kinds."""
    root = tmp_path_factory.mktemp("stores")
    source = PairFolder(pairs / "edente", pairs / "dente")
    folders = paired_folders({"edente": pairs / "edente", "dente": pairs / "dente"})
    convert(source, root / "memmap", format="memmap")
    convert(folders, root / "arrow", format="arrow", samples_per_shard=3)
    convert(ImageFolder(pairs / "dente"), root / "conditions", encoding="npy")
    convert(flat_folder(pairs / "edente"), root / "targets")
    return root


@pytest.fixture(scope="module")
def trained(pairs, vae, tmp_path_factory):
    """Return a function that gives a run of three steps, from the folders or from a store."""
    made = {}

    def run(task, data, base, **overrides):
        if (task, data) not in made:
            folder = tmp_path_factory.mktemp("runs") / data
            first = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
            settings = {**first, f"{SECTIONS[task]}.max_epochs": 1, **overrides}
            made[task, data] = train(task, small_config(task, base, folder, settings))
        return made[task, data]

    return run


@pytest.fixture
def encoded(monkeypatch):
    """Counts the images that are encoded."""
    encode, counted = Autoencoder.encode, []
    monkeypatch.setattr(Autoencoder, "encode", lambda self, x: counted.append(len(x)) or encode(self, x))
    return counted


def rows(run):
    """The metrics without what the clock tells."""
    listed = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("time", "images_per_second")} for row in listed]


def pictures(folder):
    return {name: digest for name, (digest, _) in snapshot(folder).items() if name.endswith((".tif", ".png"))}


@pytest.mark.parametrize("form", ["memmap", "arrow"])
@pytest.mark.parametrize("task", SECTIONS)
def test_a_store_trains_as_the_folder_it_was_made_of(trained, pairs, stores, task, form):
    before = snapshot(stores)
    folder, store = trained(task, "folder", pairs), trained(task, form, stores / form)
    assert len(rows(folder)) >= 3
    assert rows(folder) == rows(store)
    assert folder.read("split.json") == store.read("split.json")
    first, second = (read_checkpoint(run.checkpoints / "last.pt")["models"] for run in (folder, store))
    for name, tensors in first.items():
        assert all(torch.equal(tensor, second[name][key]) for key, tensor in tensors.items()), name
    assert snapshot(stores) == before


@pytest.mark.parametrize("task", SECTIONS)
def test_held_out_samples_of_a_store_are_predicted(trained, pairs, stores, tmp_path, task):
    for name, base in (("folder", pairs), ("memmap", stores / "memmap")):
        predict(task, trained(task, name, base).folder, tmp_path / name)
    made = pictures(tmp_path / "memmap")
    assert made
    assert made == pictures(tmp_path / "folder")


def test_a_store_is_predicted_as_its_folder(trained, pairs, stores, tmp_path):
    """Results are named by the key, which is the stem, whatever the store's keys looked like."""
    run = trained("regression", "folder", pairs).folder
    inputs = {
        "folders": (pairs / "dente", pairs / "edente"),
        "stores": (stores / "conditions", stores / "targets"),
        "mixed": (stores / "conditions", pairs / "edente"),
        "one": (stores / "arrow", None),
    }
    options = PredictOptions(original_size=True, num_samples=3)
    for name, (given, target) in inputs.items():
        predict("regression", run, tmp_path / name, input_dir=given, target_dir=target, options=options)
        assert pictures(tmp_path / name) == pictures(tmp_path / "folders"), name
    assert "target/p0_00.tif" in pictures(tmp_path / "one")
    predict("regression", run, tmp_path / "alone", input_dir=stores / "conditions", options=options)
    assert "prediction/p0_00.tif" in pictures(tmp_path / "alone")
    with pytest.raises(ConfigError, match="leave out --target-dir"):
        predict("regression", run, tmp_path / "x", input_dir=stores / "arrow", target_dir=pairs / "edente")
    assert not (tmp_path / "x").exists()


def test_a_vae_reconstructs_what_a_store_holds(trained, pairs, stores, tmp_path):
    run = trained("vae", "folder", pairs).folder
    for name, given in (("a", pairs / "dente"), ("b", stores / "conditions"), ("c", stores / "memmap")):
        predict("vae", run, tmp_path / name, input_dir=given)
    one = pictures(tmp_path / "a")
    assert one == pictures(tmp_path / "b")
    both = pictures(tmp_path / "c")
    assert len(both) == 2 * len(one)
    assert both["prediction/dente/p0_00.tif"] == one["prediction/p0_00.tif"]


def test_a_store_validates(config, pairs, stores):
    run = train("regression", config("run", {"val_dir": str(stores / "arrow")}, task="regression"))
    split = run.read("split.json")
    assert split["train"] == split["validation"]
    assert len(split["train"]) == 8


@pytest.mark.parametrize("name", ["memmap", "arrow"])
@pytest.mark.parametrize("where", ["", "shards", "runs/a"])
def test_nothing_is_written_into_a_store(config, trained, pairs, stores, name, where):
    before = snapshot(stores)
    inside = stores / name / where
    data = {"data_base_dir": str(stores / name)}
    with pytest.raises(OutputExistsError, match="Name another folder with --run-dir"):
        train("vae", config("run", {**data, "run_dir": str(inside)}, task="vae"))
    with pytest.raises(OutputExistsError, match="Name another latent_cache_dir"):
        train("ldm", config("run", {**data, "latent_cache_dir": str(inside)}))
    run = trained("regression", "folder", pairs).folder
    with pytest.raises(OutputExistsError, match="--output-dir"):
        predict("regression", run, inside, input_dir=stores / name)
    assert snapshot(stores) == before


def test_a_store_is_a_folder_of_data_as_a_whole(stores, pairs, tmp_path):
    layout = Layout(data_base_dir=stores / "memmap", val_dir=pairs)
    assert data_folders(layout) == [stores / "memmap", pairs / "edente", pairs / "dente"]
    half = tmp_path / "half"
    (half / "journal").mkdir(parents=True)
    (half / "journal" / "plan.json").touch()
    assert data_folders(Layout(data_base_dir=half)) == [half]
    refuse_among(tmp_path / "half2", [half], "Elsewhere.")


def test_a_store_of_classes_makes_no_pairs(config, tmp_path):
    store = write_store(tmp_path / "store", Counting(6))
    with pytest.raises(PairingError, match=r"Expected two fields of images"):
        train("regression", config("run", {"data_base_dir": str(store)}, task="regression"))
    assert not (tmp_path / "run").exists()


# ---- latents


def test_latents_of_a_store_are_found_by_what_it_holds(config, stores, tmp_path, encoded):
    cache = LatentCache(tmp_path / "latents", first_stage(config(), CPU))

    def path(base, **layout):
        return cache.encode(Layout(data_base_dir=base, **layout).pairs(base)[:6], PLAIN).path

    first = path(stores / "memmap")
    assert sum(encoded) == 12
    shutil.copytree(stores / "memmap", tmp_path / "copy")
    for file in (tmp_path / "copy" / "shards").iterdir():
        os.utime(file, ns=(1, 1))
    assert path(tmp_path / "copy") == first, "a copy holds the same"
    assert sum(encoded) == 12
    others = [
        path(stores / "memmap", read=ReadPolicy(nonfinite="zero")),
        path(stores / "arrow"),
        path(stores / "arrow", target="dente", condition="edente"),
    ]
    assert len({first, *others}) == 4


def same(sample):
    return sample


def test_the_origin_is_found_through_all_that_wraps_a_source(stores, pairs):
    images = images_at(stores / "conditions")
    swapped = [Concat([images[:2], images[4:]]), Concat([images[4:], images[:2]])]
    folder = ImageFolder(pairs / "dente")
    sources = [
        images, images.store, images[2:], images[::-1], Map(images, same), images.select("image"), *swapped,
        swapped[0][::-1], Map(images[1:], same), folder, folder[1:], images_at(stores / "targets"),
        flat_folder(pairs / "dente"), class_folder(pairs),
    ]  # fmt: skip
    found = [json.dumps(origin_of(source)) for source in sources]
    assert len(set(found)) == len(found)
    assert found == [json.dumps(origin_of(source)) for source in sources]
    assert origin_of(Counting(3)) == origin_of(Counting(4)[:3]) != origin_of(Counting(4)[:3][::-1])


def test_a_cache_with_a_damaged_manifest_is_made_anew(config, stores, tmp_path, encoded):
    cache = LatentCache(tmp_path / "latents", first_stage(config(), CPU))
    source = Layout().pairs(stores / "memmap")
    path = cache.encode(source, PLAIN).path
    for damaged in ("{", json.dumps({"kind": "voxloom-arrays"}), ""):
        (path / "manifest.json").write_text(damaged)
        encoded.clear()
        assert len(cache.encode(source, PLAIN)) == 8
        assert sum(encoded) == 16
    file = path / "shards" / "00000.target_mu.npy"
    file.write_bytes(file.read_bytes()[:-1])
    assert len(cache.encode(source, PLAIN)[7]["target_mu"]) == 1
