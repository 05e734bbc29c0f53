"""Splits, pairs and pages: what inspect finds between several images."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis.looking.alike import Likeness
from voxloom.errors import DataError, PairingError
from voxloom.jobs import inspection_alike
from voxloom.jobs.inspection import inspect, look
from voxloom.jobs.inspection_alike import compared_text
from voxloom.jobs.inspection_page import draw_sheet, histograms, write_inspection
from voxloom.jobs.inspection_parts import check_split, is_run, look_at, parts_of
from voxloom.jobs.inspection_run import parts_of_run
from voxloom.jobs.reading import SourceOptions
from voxloom.sources.files import paired_folders


def scene(seed, *, bright=1.0, side=40):
    """Discs on a noisy ground and the discs themselves, both uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), bool)
    for a, b, r in rng.uniform(4, 36, (5, 3)) * (1, 1, 0.2):
        mask |= (y - a) ** 2 + (x - b) ** 2 < r**2
    image = (mask * 60 + rng.normal(60, 12, mask.shape)) * bright
    return image.clip(0, 250).astype(np.uint8), mask.astype(np.uint8)


def write(folder, names, *, bright=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(scene(int(name), bright=bright)[0]).save(folder / f"{name}.png")


def write_pairs(root, number, *, shift=0):
    for i in range(number):
        image, _ = scene(i)
        _, mask = scene((i + shift) % number)
        for folder, array in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{i:02}.png")
    return root


def names(findings):
    return [each.name for each in findings]


def test_pairs_that_match_are_told_and_shuffled_ones_alarm(tmp_path):
    for shift in (0, 1):
        root = write_pairs(tmp_path / str(shift), 12, shift=shift)
        source = paired_folders({"image": root / "images", "mask": root / "masks"})
        found = inspect(source)
        (tested,) = found.correspondences
        assert tested.is_matched is (shift == 0)
        assert names(found.warnings) == (["not matched"] if shift else [])
    (warning,) = found.warnings
    assert warning.numbers["p"] > 0.01
    assert "p = " in warning.what


def test_few_pairs_are_not_judged(tmp_path):
    root = write_pairs(tmp_path, 5, shift=1)
    found = inspect(paired_folders({"image": root / "images", "mask": root / "masks"}))
    assert (found.correspondences, names(found.warnings)) == ((), ["too few pairs"])


def test_files_without_a_partner_are_listed(tmp_path):
    root = write_pairs(tmp_path, 9)
    (root / "masks" / "03.png").unlink()
    (root / "images" / "08.png").unlink()
    named = SourceOptions(images={"image": root / "images"}, masks={"mask": root / "masks"})
    for path, options in ((root, None), (None, named)):
        parts = parts_of(path, options)
        assert set(parts[""].dropped) == {"images/03.png", "masks/08.png"}
        (warning,) = [w for w in look_at(parts)[""].found.warnings if w.name == "no partner"]
        assert warning.number == 2
    for i in range(9):
        (root / "masks" / f"{i:02}.png").rename(root / "masks" / f"x{i}.png") if i not in (3, 8) else None
    with pytest.raises(PairingError):
        parts_of(None, named)


def test_near_duplicates_across_the_folders_of_a_split(tmp_path):
    write(tmp_path / "train", map(str, range(10)))
    write(tmp_path / "test", map(str, range(20, 26)))
    looked = look_at(parts_of(tmp_path))
    assert list(looked) == ["train", "test"]
    assert check_split(looked) == ()
    copy = Image.open(tmp_path / "train" / "4.png").resize((60, 60), Image.Resampling.BICUBIC)
    copy.save(tmp_path / "test" / "90.jpg", quality=95)
    (leak,) = check_split(look_at(parts_of(tmp_path)))
    assert (leak.name, leak.keys) == ("leak", ("train: 4.png = test: 90.jpg",))


def test_another_path_is_another_part_and_may_be_darker(tmp_path):
    write(tmp_path / "a", map(str, range(8)))
    write(tmp_path / "b", map(str, range(30, 38)), bright=0.3)
    looked = look_at(parts_of(tmp_path / "a", against=tmp_path / "b"))
    assert list(looked) == ["a", "b"]
    assert names(check_split(looked)) == ["ranges of parts"]
    same = parts_of(tmp_path / "a", against=tmp_path / "a")
    assert list(same) == ["a", "a (against)"]


def test_copies_within_are_counted(tmp_path):
    write(tmp_path, map(str, range(6)))
    for name in "xy":
        Image.open(tmp_path / "2.png").save(tmp_path / f"{name}.png")
    (found,) = inspect(parts_of(tmp_path)[""].source).warnings
    assert (found.name, found.numbers["images"]) == ("duplicates", 3)


def test_one_folder_of_a_split_is_that_part(tmp_path):
    write(tmp_path / "train", map(str, range(3)))
    assert list(parts_of(tmp_path)) == ["train"]


def test_all_samples_can_be_looked_at(tmp_path):
    write(tmp_path, map(str, range(9)))
    told = []
    source = parts_of(tmp_path)[""].source
    assert look(source, number=None, progress=lambda *each: told.append(each)).found.sampled == 9
    assert told[-1] == (9, 9)
    assert look(source, number=4).found.sampled == 4


def test_a_run_has_the_parts_of_its_split(vae):
    assert is_run(vae.folder)
    parts = parts_of_run(vae.folder)
    assert list(parts) == ["train", "validation"]
    train, validation = (set(part.source.keys) for part in parts.values())
    assert train
    assert validation
    assert not train & validation


def test_a_page_and_a_sheet_of_parts(tmp_path):
    write(tmp_path / "d" / "train", map(str, range(4)))
    write(tmp_path / "d" / "test", map(str, range(20, 23)))
    looked = look_at(parts_of(tmp_path / "d"))
    page = write_inspection(tmp_path / "new" / "page.html", "d", looked).read_text()
    assert "train: 4 of 4" in page
    assert page.count('<figure class="sample">') == 7
    assert list(histograms(looked)[0].shares) == ["train", "test"]
    draw_sheet(tmp_path / "sheet.png", looked, number=8)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 2 * 160


def test_a_page_of_masks_has_a_legend_and_their_pixels(tmp_path):
    looked = look_at(parts_of(write_pairs(tmp_path / "d", 9)))
    page = write_inspection(tmp_path / "page.html", "d", looked).read_text()
    assert 'class="legend"' in page
    assert "mask (pixels)" in page
    assert "partners of image and mask match" in page


def test_parts_without_a_common_field_are_not_called_clear(tmp_path):
    for part in ("a", "b"):
        write(tmp_path / part / "x", map(str, range(6)))
        write(tmp_path / part / "y", map(str, range(6)), bright=0.5)
    named = SourceOptions(images={"t": tmp_path / "a" / "x", "c": tmp_path / "a" / "y"})
    looked = look_at(parts_of(None, named, against=tmp_path / "b" / "x"))
    assert names(check_split(looked)) == ["not compared"]
    assert compared_text(looked) == ""
    one = SourceOptions(images={"t": tmp_path / "a" / "x"})
    looked = look_at(parts_of(None, one, against=tmp_path / "b" / "x"), number=4)
    assert names(check_split(looked)) == ["leak"]
    assert compared_text(looked) == "compared were 4 of 6 and 4 of 6 images of t / image (--all compares all)"


def test_each_field_that_parts_share_is_compared(tmp_path):
    for part, first in (("train", 0), ("test", 50)):
        write(tmp_path / part / "condition", map(str, range(first, first + 6)))
    for part in ("train", "test"):
        (tmp_path / part / "target").mkdir()
        for i, file in enumerate(sorted((tmp_path / part / "condition").iterdir())):
            Image.fromarray(scene(200 + i)[0]).save(tmp_path / part / "target" / file.name)
    looked = {
        part: look(paired_folders({side: tmp_path / part / side for side in ("condition", "target")}))
        for part in ("train", "test")
    }
    assert [(each.name, each.field) for each in check_split(looked) if each.name == "leak"] == [
        ("leak", "target")
    ]


def test_what_was_not_confirmed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection_alike, "_CONFIRMED", 2)
    for part in ("train", "test"):
        write(tmp_path / part, map(str, range(5)))
    (leak,) = check_split(look_at(parts_of(tmp_path)))
    assert leak.what.startswith("at least 2 pairs across the split")
    assert "more candidates were not read again" in leak.what


def test_one_neighbour_among_many_is_a_note(tmp_path):
    alike = [(0, 300, Likeness(whole=0.99, fine=0.85))]
    labels, parts = [str(i) for i in range(500)], [0] * 300 + [1] * 200
    (note,) = inspection_alike._told_across(labels, alike, parts)
    assert (note.severity, "1 pair across the split is nearly" in note.what) == ("note", True)
    alike = [(0, 300, Likeness(whole=1, fine=1))]
    (leak,) = inspection_alike._told_across(labels, alike, parts)
    assert leak.severity == "warning"


def test_a_class_that_only_one_part_has(tmp_path):
    for part, labels in (("train", "abc"), ("test", "ab")):
        for i, label in enumerate(labels):
            write(tmp_path / part / label, [str(i + 10 * (part == "test"))])
    told = [each for each in check_split(look_at(parts_of(tmp_path))) if each.name == "classes of parts"]
    assert [each.what for each in told] == ["1 class not in each part: c (not in test)"]


def test_one_folder_beside_those_of_a_split_is_told(tmp_path, caplog):
    for part in ("train", "test", "holdout"):
        write(tmp_path / part, ["1", "2"])
    assert list(parts_of(tmp_path)) == [""]
    assert "holdout is no name of a part" in caplog.text


def test_a_run_whose_data_are_gone_says_what_helps(vae, tmp_path):
    shutil.copytree(vae.folder, tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    values = json.loads(file.read_text())
    values["data_base_dir"] = str(tmp_path / "gone")
    file.write_text(json.dumps(values))
    with pytest.raises(DataError, match="or name its data"):
        parts_of_run(tmp_path / "run")


def test_a_side_that_is_turned_is_told(tmp_path):
    root = write_pairs(tmp_path, 20)
    for file in (root / "masks").iterdir():
        Image.fromarray(np.rot90(np.asarray(Image.open(file))[:, :36]).copy()).save(file)
        image = root / "images" / file.name
        Image.fromarray(np.asarray(Image.open(image))[:, :36].copy()).save(image)
    found = inspect(paired_folders({"image": root / "images", "mask": root / "masks"})).warnings
    (told,) = [each for each in found if each.name == "not aligned"]
    assert "mask lies turned by 90 degrees against image" in told.what
    assert "sizes of fields" in names(found)
