import json
import logging

import numpy as np
import pytest

from voxloom.errors import ConfigError, DataError, MissingDataError, PairingError
from voxloom.sources import Layout, Parts, Split, write_image
from voxloom.testing.images import snapshot, write_pairs


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data"), 8, size=(6, 5))


@pytest.fixture
def data(tmp_path):
    return write_pairs(tmp_path / "data", 8, size=(6, 5))


def parts(folder, kind="pairs", *, seed=0, split=None, **layout):
    return Parts(Layout(data_base_dir=folder, **layout), kind, seed, split=split)


def keys(made):
    return list(made.train.keys), list(made.validation.keys)


def patients(names):
    return {name.rsplit("/")[-1].split("_")[0] for name in names}


def test_names_of_the_folders_are_free_and_a_wrong_one_is_named(shared):
    layout = Layout(data_base_dir=shared)
    assert layout.folders("both") == ["edente", "dente"]
    assert layout.folders("dente") == ["dente"]
    with pytest.raises(ConfigError, match=r"data_source 'dent': expected 'edente', 'dente' or 'both'"):
        layout.folders("dent")
    with pytest.raises(MissingDataError, match=r"jaws: no such folder\. Folders beside it: dente, edente"):
        parts(shared, target="jaws")


def test_images_of_both_folders_and_of_one(shared):
    both = parts(shared, "images", train_split=0.75)
    assert [len(part) for part in keys(both)] == [12, 4]
    assert {key.split("/")[0] for key in both.train.keys} == {"edente", "dente"}
    stems = [{key.split("/")[1] for key in part} for part in keys(both)]
    assert not stems[0] & stems[1], "the two images of a pair are on different sides"
    one = parts(shared, "images", data_source="dente")
    assert all(key.startswith("dente/") for part in keys(one) for key in part)


def test_images_and_pairs_hold_out_the_same_names(shared):
    """So that a latent model is never judged on what its autoencoder has learnt."""
    images, pairs = (parts(shared, kind, train_split=0.75) for kind in ("images", "pairs"))
    assert {key.split("/")[1] for key in images.validation.keys} == set(pairs.validation.keys)


def test_the_fraction_is_exact_and_follows_the_seed(shared):
    made = [parts(shared, train_split=0.5, seed=seed) for seed in (0, 0, 1)]
    assert [len(part) for part in keys(made[0])] == [4, 4]
    assert keys(made[0]) == keys(made[1]) != keys(made[2])
    train, validation = keys(made[0])
    assert sorted([*train, *validation]) == sorted(made[0].source.keys)


def test_a_group_is_never_divided(shared):
    train, validation = keys(parts(shared, "images", group=r"^(p\d)_", train_split=0.6))
    assert not patients(train) & patients(validation)
    with pytest.raises(DataError, match="is not found in"):
        parts(shared, group=r"^(q\d)_")
    with pytest.raises(ConfigError, match="regular expression"):
        parts(shared, group="(")


def test_a_split_file_decides(shared, tmp_path, caplog):
    file = tmp_path / "split.json"
    Split(train=("p0_00", "p1_02"), validation=("p3_06",)).save(file)
    with caplog.at_level(logging.WARNING):
        made = parts(shared, split_file=file)
    assert keys(made) == (["p0_00", "p1_02"], ["p3_06"])
    assert "left out" in caplog.text
    file.write_text(json.dumps({"train": ["p0_00"], "validation": ["p9_99"]}))
    with pytest.raises(MissingDataError, match=r"'p9_99'.*Keys are like 'p0_00'"):
        parts(shared, split_file=file)
    with pytest.raises(MissingDataError, match="no such split file"):
        parts(shared, split_file=tmp_path / "nowhere.json")


def test_a_folder_may_validate_even_with_equal_names(shared, tmp_path):
    other = write_pairs(tmp_path / "val", 3, size=(6, 5), seed=9)
    made = parts(shared, val_dir=other)
    assert [len(part) for part in keys(made)] == [8, 3]
    assert made.validation.keys[0] == made.train.keys[0]
    assert (made.validation[0]["target"] != made.train[0]["target"]).any()
    assert len(made.source) == 11
    again = parts(shared, val_dir=other, split=made.split)
    assert keys(again) == keys(made)
    with pytest.raises(MissingDataError, match="no such folder"):
        parts(shared, val_dir=tmp_path)


def test_a_resume_takes_the_split_as_it_was(data):
    made = parts(data, train_split=0.75)
    write_pairs(data, 12, size=(6, 5))  # files have come since
    assert keys(parts(data, train_split=0.5, seed=3, split=made.split)) == keys(made)
    (data / "edente" / f"{made.train.keys[0]}.tif").unlink()
    (data / "dente" / f"{made.train.keys[0]}.tif").unlink()
    with pytest.raises(MissingDataError, match=f"'{made.train.keys[0]}'.*Bring the files back"):
        parts(data, split=made.split)


def test_a_resume_with_a_folder_that_validates_names_what_is_gone(data, tmp_path):
    other = write_pairs(tmp_path / "val", 3, size=(6, 5))
    split = parts(data, val_dir=other).split
    for side in ("edente", "dente"):
        (other / side / "p0_01.tif").unlink()
    with pytest.raises(MissingDataError, match="'p0_01'"):
        parts(data, val_dir=other, split=split)


@pytest.mark.parametrize("kind", ["images", "pairs"])
def test_a_subset_takes_an_even_share(shared, kind):
    made = parts(shared, kind, subset_size=4, group=r"^(p\d)_", train_split=0.5)
    assert patients(made.source.keys) == {"p0", "p1", "p2", "p3"}
    assert sum(map(len, keys(made))) == len(made.source) == 4


def test_a_subset_goes_on_as_it_was_and_says_nothing_of_the_rest(shared, caplog):
    made = parts(shared, subset_size=4)
    with caplog.at_level(logging.WARNING):
        again = parts(shared, subset_size=4, split=made.split)
    assert keys(again) == keys(made)
    assert caplog.text == ""


def test_a_subset_of_a_split_file_keeps_both_parts(shared, tmp_path, caplog):
    names = list(parts(shared).source.keys)
    Split(train=tuple(names[:6]), validation=tuple(names[6:])).save(tmp_path / "split.csv")
    with caplog.at_level(logging.WARNING):
        made = parts(shared, split_file=tmp_path / "split.csv", subset_size=4)
    assert [len(part) for part in keys(made)] == [3, 1]
    assert set(made.validation.keys) <= set(names[6:])
    assert caplog.text == ""


def test_a_subset_of_a_folder_that_validates(shared, tmp_path):
    other = write_pairs(tmp_path / "val", 5, size=(6, 5))
    made = parts(shared, val_dir=other, subset_size=2)
    assert [len(part) for part in keys(made)] == [2, 2]


def test_too_few_images_are_refused_with_the_cure(data):
    with pytest.raises(DataError, match=r"1 images to train and 0 to validate.*at least one of each"):
        parts(data, subset_size=1)


def test_images_without_a_partner_are_refused_or_counted(data):
    (data / "dente" / "p0_00.tif").rename(data / "dente" / "other.tif")
    with pytest.raises(PairingError, match=r"p0_00\.tif(.|\n)*other\.tif(.|\n)*unmatched='drop'"):
        parts(data)
    made = parts(data, unmatched="drop")
    assert len(made.source) == 7
    assert made.skipped == [("edente/p0_00.tif", "no partner"), ("dente/other.tif", "no partner")]


def test_files_that_cannot_be_read_are_found_at_the_start(data, tmp_path):
    bad = data / "edente" / "p2_05.tif"
    bad.write_bytes(bad.read_bytes()[:100])
    assert len(parts(data).source) == 8  # met when it is read
    made = parts(data, on_error="skip")
    assert len(made.source) == 7
    ((key, reason),) = made.skipped
    assert key == "p2_05"
    assert "p2_05.tif" in reason
    file = tmp_path / "split.json"
    Split(train=("p0_00", "p2_05"), validation=("p1_02",)).save(file)
    assert keys(parts(data, on_error="skip", split_file=file)) == (["p0_00"], ["p1_02"])


def test_nothing_is_written_into_the_data(shared):
    before = snapshot(shared)
    made = parts(shared, "images", on_error="skip")
    assert made.train[0]["image"].shape == (1, 6, 5)
    assert snapshot(shared) == before


def test_one_split_file_of_stems_serves_images_and_pairs(tmp_path):
    for side in ("a", "b"):
        for stem in ("1", "2", "3"):
            write_image(tmp_path / side / f"{stem}.tif", np.eye(4))
    file = tmp_path / "split.json"
    Split(train=("1", "3"), validation=("2",)).save(file)
    layout = Layout(data_base_dir=tmp_path, target="a", condition="b", split_file=file)
    assert Parts(layout, "pairs", 0).split == Split.load(file)
    assert Parts(layout, "images", 0).split == Split(
        train=("a/1", "b/1", "a/3", "b/3"), validation=("a/2", "b/2")
    )
