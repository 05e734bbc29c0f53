import json

import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.testing.images import snapshot
from voxloom.testing.volumes import phantom, write_classes, write_volume


@pytest.fixture
def pets(tmp_path):
    rng = np.random.default_rng(0)
    for i, name in enumerate(("hund/ä 1.jpg", "hund/2.png", "katze/3.png", "katze/4.png")):
        path = tmp_path / "haus tiere" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8 + i, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / "haus tiere"


def test_a_folder_of_classes(call, pets):
    before = snapshot(pets)
    done = call("inspect", pets)
    assert done.code == 0, done.err
    for said in (
        "4 samples of",
        "8-11 x 9 x 3",
        "png (3) jpeg (1), RGB",
        "label: 2 classes",
        "katze  2  ###",
    ):
        assert said in done.out, done.out
    assert snapshot(pets) == before


def test_a_store_and_its_contact_sheet(call, pets, tmp_path):
    store = convert(pets, tmp_path / "ein speicher", format="memmap", size=(8, 8), samples_per_shard=3).path
    before = snapshot(store)
    done = call("inspect", store, "--preview", tmp_path / "blatt ü.png", "--samples", 3)
    assert done.code == 0, done.err
    for said in (
        f"4 samples in {store} (memmap): 2 shards, ", "not compressed", "written by voxloom",
        "samples_per_shard 3", "8 x 8 x 3", "fixed", "hund   2  ###", "over 3 samples",
        f"Contact sheet: {tmp_path / 'blatt ü.png'}",
    ):  # fmt: skip
        assert said in done.out, done.out
    with Image.open(tmp_path / "blatt ü.png") as sheet:
        assert sheet.mode == "RGB"
    assert snapshot(store) == before


def test_everything_as_json(call, pets, tmp_path):
    (pets / "katze" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    store = convert(pets, tmp_path / "s", size=(8, 8), on_error="skip").path
    found = json.loads(call("inspect", store, "--json", "--preview", tmp_path / "p.png").out)
    assert (found["samples"], found["classes"]) == (3, {"label": {"hund": 2, "katze": 1}})
    assert found["store"]["skipped"][0][0] == "katze/4.png"
    assert found["fields"][0]["statistics"]["shapes"] == [[8, 8, 3]]
    told = call("inspect", store).out
    assert "1 sample was left out when it was written:\n  katze/4.png: " in told


def test_a_flat_folder_pairs_and_a_table(call, pets, tmp_path):
    assert "2 samples of" in call("inspect", pets / "hund").out
    for folder in ("images", "masks"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "pairs" / folder / "a.png")
    done = call("inspect", tmp_path / "pairs", "--preview", tmp_path / "p.png")
    assert done.code == 0, done.err
    assert "mask" in done.out
    (pets / "liste.csv").write_text(
        "path,label,age\nhund/2.png,hund,3\nkatze/3.png,katze,4\n", encoding="utf-8"
    )
    done = call("inspect", pets / "liste.csv")
    assert done.code == 0, done.err
    assert "age" in done.out


def test_a_page_into_a_folder_that_is_not_there_yet(call, pets, tmp_path):
    before = snapshot(pets)
    done = call("inspect", pets, "--all", "--preview", tmp_path / "neu" / "ö" / "seite.html")
    assert done.code == 0, done.err
    assert "note: image: 4 sizes" in done.out
    assert f"Page: {tmp_path / 'neu' / 'ö' / 'seite.html'}" in done.out
    assert "haus tiere" in (tmp_path / "neu" / "ö" / "seite.html").read_text(encoding="utf-8")
    assert snapshot(pets) == before


def test_pairs_by_name_and_without_partners(call, tmp_path):
    for folder, stems in (("a", "123456789"), ("b", "23456789x")):
        (tmp_path / folder).mkdir()
        for stem in stems:
            array = np.random.default_rng(ord(stem)).integers(0, 255, (20, 20), dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / folder / f"{stem}.png")
    named = ("--image", f"target={tmp_path / 'a'}", "--image", f"condition={tmp_path / 'b'}")
    done = call("inspect", *named, "--preview", tmp_path / "p.png")
    assert done.code == 0, done.err
    assert "warning: 2 files without a partner (a/1.png, b/x.png)" in done.out
    assert "partners of target and condition match" in done.out
    found = json.loads(call("inspect", *named, "--json").out)
    assert found["correspondences"][0]["p"] < 0.01
    assert {each["name"] for each in found["warnings"]} == {"no partner"}


def test_a_split_of_folders_and_another_path(call, pets, tmp_path):
    for part, folder in (("train", "hund"), ("test", "katze")):
        (tmp_path / "split" / part).mkdir(parents=True)
        for file in (pets / folder).iterdir():
            (tmp_path / "split" / part / file.name).write_bytes(file.read_bytes())
    done = call("inspect", tmp_path / "split", "--preview", tmp_path / "p.png")
    assert done.code == 0, done.err
    assert "train\n=====" in done.out
    assert "Between the parts: nothing was found; compared were all 2 and all 2 images of image." in done.out
    found = json.loads(call("inspect", pets / "hund", "--against", pets / "hund", "--json").out)
    assert list(found["parts"]) == ["hund", "hund (against)"]
    assert [each["name"] for each in found["warnings"]] == ["leak"]
    (one, key), (other, same) = found["warnings"][0]["pairs"][0]
    assert (one, other) == ("hund", "hund (against)")
    assert key == same


def test_a_run_is_its_split(call, trained):
    done = call("inspect", trained / "vae")
    assert done.code == 0, done.err
    assert "validation\n==========" in done.out


def test_draws_of_a_configuration(call, recipe, tmp_path):
    done = call("inspect", "--transforms", recipe, "--task", "regression", "--preview", tmp_path / "t.png")
    assert done.code == 0, done.err
    assert "Draws with seed" in done.out
    assert (tmp_path / "t.png").is_file()
    assert "--preview OUT.png" in call("inspect", "--transforms", recipe).err
    assert call("inspect", "--transforms", tmp_path / "none.json", "--preview", tmp_path / "n.png").code == 1


def test_a_page_of_a_volume(call, tmp_path):
    raw = write_volume(tmp_path / "em.zarr", phantom((8, 9, 10)))
    done = call("inspect", raw, "--preview", tmp_path / "v.html")
    assert done.code == 0, done.err
    assert "Middle slices" in (tmp_path / "v.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument 'PATH'"),
        (["{}/nothing"], 1, "no such file or folder"),
        (["{}/haus tiere/hund/2.png"], 1, "Expected a folder"),
        (["{}/haus tiere", "--samples", "0"], 2, "0 is not in the range"),
        (["{}/haus tiere", "--layout", "classses"], 2, "'classses' is not one of"),
        (["{}/haus tiere", "--preview", "{}/sheet.jpg"], 2, "expected a name that ends in .png"),
        (["{}/haus tieree"], 1, "Did you mean 'haus tiere'?"),
        (["{}/haus tiere", "--layout", "pairs"], 1, "--image NAME=FOLDER --mask NAME=FOLDER"),
        (["{}/haus tiere", "--jsno"], 2, "--json"),
    ],
)
def test_slips_are_told_and_nothing_is_written(call, pets, tmp_path, arguments, code, said):
    before = snapshot(tmp_path)
    failed = call("inspect", *(argument.format(tmp_path) for argument in arguments))
    assert failed.code == code, failed.err
    assert said in failed.err, failed.err
    assert snapshot(tmp_path) == before


def test_an_unfinished_store_says_how_far_it_is(call, tmp_path):
    (tmp_path / "s" / "journal").mkdir(parents=True)
    (tmp_path / "s" / "journal" / "plan.json").write_text("{")
    failed = call("inspect", tmp_path / "s")
    assert failed.code == 1
    assert "0 shards are finished" in failed.err
    assert "--resume" in failed.err


def test_the_help_has_an_example(call):
    assert "voxloom inspect photos_store --preview photos.png" in call("inspect", "--help").out


def test_a_preview_that_cannot_be_written_is_refused_first(call, pets, tmp_path, monkeypatch):
    monkeypatch.setattr("voxloom.jobs.reading.open_source", None)
    failed = call("inspect", pets, "--preview", tmp_path / "sheet.jpg")
    assert (failed.code, failed.out) == (2, "")


def test_a_split_of_volumes_is_verified(call, tmp_path):
    write_volume(tmp_path / "em.zarr", phantom((8, 9, 10)))
    gt = write_classes(tmp_path / "gt.zarr", {"mito": np.ones((8, 9, 10), np.uint8)})
    path = tmp_path / "split.csv"
    path.write_text(f'train,em.zarr,"{gt}"\n')
    done = call("inspect", path)
    assert done.code == 0, done.err
    assert "1 dataset to learn from, 0 to measure on; a training needs some" in done.out
    path.write_text("split,raw\ntrain,none.zarr\n")
    done = call("inspect", path, "--json")
    assert done.code == 1
    assert "row 2" in json.loads(done.out)[0]["problem"]
    assert call("inspect", path, "--preview", "p.png").code == 2


def test_labels_are_drawn_over_a_volume_that_is_named(call, pets, tmp_path):
    raw = write_volume(tmp_path / "em.zarr", phantom((8, 9, 10)))
    write_classes(tmp_path / "gt.zarr", {"mito": np.eye(9, 10, dtype=np.uint8)[None].repeat(8, 0)})
    pictures = [tmp_path / "alone.png", tmp_path / "over.png"]
    for picture, named in zip(pictures, ((), ("--raw", raw)), strict=True):
        done = call("inspect", tmp_path / "gt.zarr/mito", *named, "--preview", picture)
        assert done.code == 0, done.err
    assert pictures[0].read_bytes() != pictures[1].read_bytes()
    assert call("inspect", pets, "--raw", raw).code == 2


def test_a_unit_that_is_none_is_told_though_it_is_not_needed(call, tmp_path):
    raw = write_volume(tmp_path / "raw.zarr", np.zeros((4, 4, 4), np.uint8))
    failed = call("inspect", raw, "--unit", "furlong")
    assert failed.code == 1
    assert "furlong" in failed.err
    assert "2 x 2 x 2" in call("inspect", raw, "--spacing", 2, 2, 2).out


def test_without_a_unit_a_volume_is_shown_and_the_options_are_named(call, tmp_path):
    raw = write_volume(tmp_path / "raw.zarr", np.zeros((4, 4, 4), np.uint8))
    path = raw / "zarr.json"
    path.write_text(path.read_text().replace(', "unit": "nanometer"', ""))
    done = call("inspect", raw)
    assert done.code == 0, done.err
    assert "spacing (no unit)" in done.out
    assert "--unit micrometer where the numbers are right, else --spacing Z Y X in nm" in done.out
    assert "no unit" not in call("inspect", raw, "--unit", "nm").out
    assert call("inspect", raw, "--spacing", 8, 8, 8).code == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["{0}", "--task", "vae"], "--task goes with --transforms"),
        (["{0}", "--draws", "3"], "--draws goes with --transforms"),
        (["{0}", "--spacing", "1", "1", "1"], "--spacing goes with a volume"),
        (["{0}", "--unit", "nm"], "--unit goes with a volume"),
        (["{0}", "--all", "--samples", "1"], "leave --samples out"),
        (["{0}", "--image", "a={0}/hund"], "in the place of PATH"),
        (["{1}", "--against", "{0}"], "--against goes with images, and not with a volume"),
        (["{1}", "--all"], "--all goes with images"),
        (["--transforms", "{0}/c.json", "--preview", "x.png", "--json"], "--json goes with a volume"),
    ],
)
def test_no_option_is_ignored_in_silence(call, pets, tmp_path, more, said):
    raw = write_volume(tmp_path / "em.zarr", phantom((4, 5, 6)))
    done = call("inspect", *(each.format(pets, raw) for each in more))
    assert (done.code, said in " ".join(done.err.split())) == (2, True), done.err
