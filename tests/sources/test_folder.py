import pickle

import numpy as np
import pytest

from voxloom.errors import ConfigError, DataError, MissingDataError, PairingError, UnreadableImageError
from voxloom.sources import ImageFolder, PairFolder, ReadPolicy, readable, write_image, write_png
from voxloom.testing.sources import check_source


def fill(folder, stems, shape=(4, 5)):
    for stem in stems:
        write_image(folder / f"{stem}.tif", np.full(shape, len(stem)))
    return folder


def test_images_have_keys_a_schema_and_files(tmp_path):
    images = ImageFolder(fill(tmp_path / "edente", ["b", "a"]))
    assert images.keys == ["edente/a", "edente/b"]
    assert len(images) == 2
    assert [images.path(i).name for i in range(2)] == ["a.tif", "b.tif"]
    assert list(images.schema) == ["image"]
    assert images.schema["image"].dtype == "float32"
    sample = images[-1]
    assert sample.key == "edente/b"
    assert sample["image"].shape == (1, 4, 5)
    assert repr(images) == f"2 images of {tmp_path / 'edente'}"


def test_the_prefix_and_the_field_can_be_chosen(tmp_path, monkeypatch):
    folder = fill(tmp_path / "x", ["a"])
    assert ImageFolder(folder, prefix="train").keys == ["train/a"]
    assert ImageFolder(folder, prefix="").keys == ["a"]
    assert list(ImageFolder(folder, field="mri")[0]) == ["mri"]
    monkeypatch.chdir(folder)
    assert ImageFolder(".").keys == ["x/a"]


def test_a_sample_tells_its_own_type(tmp_path):
    folder = fill(tmp_path, ["a"])
    write_png(folder / "b.png", np.ones((3, 3), np.uint8))
    images = ImageFolder(folder)
    assert [images[i].schema["image"].dtype for i in range(2)] == ["float32", "uint8"]


def test_images_survive_pickling_and_are_pure(tmp_path):
    images = pickle.loads(pickle.dumps(ImageFolder(fill(tmp_path, ["a", "b"]))))
    np.testing.assert_array_equal(images[0]["image"], images[0]["image"])
    with pytest.raises(IndexError):
        images[2]


def test_the_policy_reaches_the_reader(tmp_path):
    write_image(tmp_path / "a.tif", np.array([[np.nan, 1]]))
    with pytest.raises(DataError, match=r"a\.tif"):
        ImageFolder(tmp_path)[0]
    assert ImageFolder(tmp_path, ReadPolicy(nonfinite="zero"))[0]["image"].tolist() == [[[0, 1]]]


def test_images_at_rest_are_their_files(tmp_path):
    for side in "tc":
        fill(tmp_path / side, ["a", "bb"])
    images, pairs = ImageFolder(tmp_path / "t"), PairFolder(tmp_path / "t", tmp_path / "c")
    check_source(images)
    check_source(pairs)
    data = (tmp_path / "t" / "bb.tif").read_bytes()
    assert images.cells(1) == {"image": data}
    assert pairs.cells(1)["target"] == data
    assert (images.nbytes(1), pairs.nbytes(1)) == (len(data), 2 * len(data))
    (tmp_path / "t" / "bb.tif").unlink()
    with pytest.raises(MissingDataError, match=r"bb\.tif: no such file"):
        pairs.cells(1)
    with pytest.raises(MissingDataError, match=r"bb\.tif: no such file"):
        images.nbytes(1)


def test_pairs_are_matched_by_name_never_by_position(tmp_path):
    for stem, value in (("a", 1), ("b", 2), ("c", 3)):
        write_image(tmp_path / "t" / f"{stem}.tif", np.full((2, 2), value))
        write_png(tmp_path / "c" / f"{stem}.PNG", np.full((2, 2), value, np.uint8))
    (tmp_path / "c" / "a.PNG").rename(tmp_path / "c" / "zz.PNG")
    with pytest.raises(PairingError) as caught:
        PairFolder(tmp_path / "t", tmp_path / "c")
    message = str(caught.value)
    assert "(target): 1 without a partner: a.tif" in message
    assert "(condition): 1 without a partner: zz.PNG" in message
    assert "unmatched='drop'" in message
    pairs = PairFolder(tmp_path / "t", tmp_path / "c", unmatched="drop")
    assert pairs.keys == ["b", "c"]
    assert pairs.dropped == ["t/a.tif", "c/zz.PNG"]
    for sample in (pairs[0], pairs[1]):
        assert list(sample) == ["target", "condition"]
        assert sample["target"].max() == sample["condition"].max()
    assert {name: path.name for name, path in pairs.path(0).items()} == {
        "target": "b.tif",
        "condition": "b.PNG",
    }
    assert {name: field.dtype for name, field in pairs.schema.items()} == {
        "target": "float32",
        "condition": "uint8",
    }


def test_only_the_first_ten_names_are_listed(tmp_path):
    fill(tmp_path / "t", [f"{i:02}" for i in range(30)])
    fill(tmp_path / "c", ["00"])
    with pytest.raises(PairingError) as caught:
        PairFolder(tmp_path / "t", tmp_path / "c")
    message = str(caught.value)
    assert message.startswith("1 pairs, and images")
    assert "29 without a partner: 01.tif" in message
    assert "10.tif, ..." in message
    assert "11.tif" not in message


def test_folders_without_any_pair_are_refused_even_when_dropping(tmp_path):
    fill(tmp_path / "t", ["a"])
    fill(tmp_path / "c", ["b"])
    with pytest.raises(PairingError, match="the right two folders"):
        PairFolder(tmp_path / "t", tmp_path / "c", unmatched="drop")


def test_decomposed_and_composed_names_match(tmp_path):
    fill(tmp_path / "t", ["caf\u00e9"])
    fill(tmp_path / "c", ["cafe\u0301"])
    assert PairFolder(tmp_path / "t", tmp_path / "c").keys == ["caf\u00e9"]


def test_pairs_can_have_a_prefix_and_survive_pickling(tmp_path):
    for side in "tc":
        fill(tmp_path / side, ["a"])
    pairs = pickle.loads(pickle.dumps(PairFolder(tmp_path / "t", tmp_path / "c", prefix="val")))
    assert pairs.keys == ["val/a"]
    assert pairs[0]["condition"].shape == (1, 4, 5)


def test_a_missing_side_and_an_unknown_option(tmp_path):
    fill(tmp_path / "t", ["a"])
    with pytest.raises(MissingDataError, match="no such folder"):
        PairFolder(tmp_path / "t", tmp_path / "c")
    with pytest.raises(ConfigError, match="'error' or 'drop'"):
        PairFolder(tmp_path / "t", tmp_path / "t", unmatched="ignore")


def test_unreadable_files_are_found_and_told(tmp_path):
    folder = fill(tmp_path / "x", ["b", "c"])
    (folder / "a.tif").touch()
    (folder / "d.tif").write_bytes(b"no image")
    seen = []
    usable, failures = readable(ImageFolder(folder), progress=lambda done, total: seen.append((done, total)))
    assert usable.keys == ["x/b", "x/c"]
    assert [key for key, _ in failures] == ["x/a", "x/d"]
    assert "a.tif: an empty file" in failures[0][1]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert usable.schema["image"].dtype == "float32"  # though the first file of the folder is bad


def test_a_folder_of_bad_files_has_no_schema(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(UnreadableImageError, match=r"a\.tif"):
        _ = ImageFolder(tmp_path).schema
