import logging
import os
import pickle

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import ConfigError, DataError, MissingDataError, PairingError, SchemaError
from voxloom.sample import Field
from voxloom.sources import Files, FileSource, Values, class_folder, flat_folder, paired_folders
from voxloom.sources.columns import kind_of
from voxloom.sources.listing import key_of, list_tree, unique
from voxloom.testing.sources import check_source

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def save(path, pixels=PIXELS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    else:
        Image.fromarray(pixels).save(path, **options)
    return path


def palette(path):
    """A mask with the indices 0, 1, 2 and colours."""
    image = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5) % 3, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def classes(tmp_path):
    """Two classes with files, one without, and things that do not belong there."""
    root = tmp_path / "pets"
    for name in ("dog/b.JPG", "dog/a.png", "cat/deep/er/1.webp", "cat/2.bmp", "cat/deep-x/3.gif"):
        save(root / name)
    (root / "bird").mkdir()
    save(root / "stray.png")
    for name in ("notes.txt", "dog/.DS_Store", "dog/._a.png", "dog/Thumbs.db"):
        (root / name).touch()
    return root


def test_class_folders_are_read_as_promised(classes):
    source = class_folder(classes)
    check_source(source)
    assert source.keys == ["cat/2.bmp", "cat/deep-x/3.gif", "cat/deep/er/1.webp", "dog/a.png", "dog/b.JPG"]
    assert [int(sample["label"]) for sample in source] == [1, 1, 1, 2, 2]
    assert source.schema["label"].categories == ("bird", "cat", "dog")
    assert source.schema["image"] == Field(name="image", axes="yxc", dtype="uint8")
    assert repr(source) == f"5 samples of {classes}"
    np.testing.assert_array_equal(source[3]["image"], PIXELS)


def test_cells_are_the_files(classes):
    source = class_folder(classes)
    for index in range(len(source)):
        assert source.path(index) == classes / source.keys[index]
        data = source.path(index).read_bytes()
        assert source.cells(index)["image"] == data
        assert source.nbytes(index) == len(data)
    with pytest.raises(ConfigError, match="lies in no file"):
        source.path(0, "label")


def test_what_does_not_belong_is_counted_and_an_empty_class_told(classes, caplog):
    with caplog.at_level(logging.INFO, "voxloom"):
        source = class_folder(classes)
    assert source.ignored.count == 5
    assert set(source.ignored.names) == {
        "stray.png", "notes.txt", "dog/.DS_Store", "dog/._a.png", "dog/Thumbs.db",
    }  # fmt: skip
    assert "1 classes without images: bird" in caplog.text


def test_the_order_is_that_of_torchvision(tmp_path):
    """Sorted walks of sorted class folders, as its ImageFolder's make_dataset goes through them."""
    for name in ("b/z.png", "b/a/x.png", "b/a-b/x.png", "b/a/c/y.png", "b/a.png", "B/1.png", "a b/1.png"):
        save(tmp_path / name)
    expected = [
        os.path.relpath(os.path.join(folder, name), tmp_path)
        for top in sorted(entry.name for entry in os.scandir(tmp_path) if entry.is_dir())
        for folder, _, names in sorted(os.walk(tmp_path / top, followlinks=True))
        for name in sorted(names)
    ]
    assert class_folder(tmp_path).keys == expected


def test_the_label_alone_opens_no_file(classes):
    for file in classes.rglob("*.*"):
        file.write_bytes(b"no image")
    labels = class_folder(classes).select("label")
    assert labels[-1]["label"] == 2
    assert list(labels.schema) == ["label"]
    with pytest.raises(SchemaError, match="Did you mean 'label'"):
        labels.select("lable")


def test_a_bad_file_is_named_and_condemns_no_other(tmp_path):
    save(tmp_path / "x" / "c.png")
    (tmp_path / "x" / "a.png").touch()
    (tmp_path / "x" / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    source = class_folder(tmp_path)
    assert source.schema["image"].dtype == "uint8"
    for index, name in ((0, "a.png"), (1, "b.jpg")):
        with pytest.raises(DataError, match=name):
            source[index]
    (tmp_path / "x" / "c.png").unlink()
    with pytest.raises(MissingDataError, match=r"c\.png: no such file"):
        source.cells(2)
    with pytest.raises(MissingDataError, match=r"c\.png: no such file"):
        source.nbytes(2)
    with pytest.raises(DataError, match=r"a\.png"):
        _ = class_folder(tmp_path).schema


def test_types_may_differ_from_file_to_file(tmp_path):
    save(tmp_path / "1.png", PIXELS[..., 0])
    save(tmp_path / "2.png", PIXELS[..., 0].astype(np.uint16) * 999)
    save(tmp_path / "3.tif", PIXELS.astype(np.float32) / 7)
    source = flat_folder(tmp_path)
    check_source(source)
    assert [sample.schema["image"].dtype for sample in source] == ["uint8", "uint16", "float32"]
    assert [sample["image"].shape for sample in source] == [(4, 5, 1), (4, 5, 1), (4, 5, 3)]


def test_a_stack_keeps_its_axes(tmp_path):
    tifffile.imwrite(tmp_path / "1.tif", np.zeros((6, 4, 5), np.uint16), photometric="minisblack")
    assert flat_folder(tmp_path).schema["image"].axes == "zyx"
    check_source(flat_folder(tmp_path))


def test_names_of_all_kinds(tmp_path):
    for name in ("caf\u00e9/1.png", "cafe\u0301 2/\u4e2d \u6587.png", "a b/#1.png"):
        save(tmp_path / name)
    source = class_folder(tmp_path)
    assert sorted(source.keys) == ["a b/#1.png", "caf\u00e9 2/\u4e2d \u6587.png", "caf\u00e9/1.png"]
    assert set(source.schema["label"].categories) == {"a b", "caf\u00e9", "caf\u00e9 2"}
    check_source(source)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    try:
        open(path, "wb").close()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(DataError, match="not UTF-8"):
        flat_folder(tmp_path)


def test_two_spellings_of_one_key_are_refused(tmp_path):
    for name in ("caf\u00e9.png", "cafe\u0301.png"):
        save(tmp_path / name)
    with pytest.raises(DataError, match=r"two samples have the key 'caf.\.png'"):
        flat_folder(tmp_path)


def test_links_are_followed_and_circles_are_not(tmp_path, caplog):
    save(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "a" / "round").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    source = class_folder(tmp_path / "root")
    assert source.keys == ["a/gone.png", "b/1.png"]
    assert source.ignored.names == ["a/round/"]
    assert "leads back" in caplog.text
    with pytest.raises(MissingDataError, match=r"gone\.png"):
        source[0]
    assert source[1]["label"] == 1


def test_a_pipe_is_not_opened(tmp_path):
    save(tmp_path / "1.png")
    os.mkfifo(tmp_path / "2.png")
    assert flat_folder(tmp_path).ignored.names == ["2.png"]


def test_a_folder_that_cannot_be_read_is_named(classes, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).rstrip("/").endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cat/deep/?: this folder could not be read \(Permission denied\)"):
        class_folder(classes)


@pytest.mark.parametrize("opened", [class_folder, flat_folder])
def test_folders_without_images(opened, tmp_path):
    with pytest.raises(MissingDataError, match="no such folder"):
        opened(tmp_path / "none")
    (tmp_path / "a.txt").touch()
    with pytest.raises(MissingDataError, match="not a folder"):
        opened(tmp_path / "a.txt")
    with pytest.raises(MissingDataError, match=r"found 1 \(a\.txt\)"):
        opened(tmp_path)


def test_masks_move_with_their_images(tmp_path):
    save(tmp_path / "img" / "1.jpg")
    save(tmp_path / "img" / "2.png", PIXELS[..., 0])
    for stem in "12":
        palette(tmp_path / "seg" / f"{stem}.png")
        save(tmp_path / "depth" / f"{stem}.tif", PIXELS[..., 0].astype(np.float32))
    folders = {"image": tmp_path / "img", "mask": tmp_path / "seg", "depth": tmp_path / "depth"}
    source = paired_folders(folders)
    check_source(source)
    assert source.keys == ["1", "2"]
    assert source.schema["mask"] == Field(name="mask", kind="mask", axes="yx", dtype="uint8")
    assert source.schema["depth"].dtype == "float32"
    assert source[0]["mask"].max() == 2  # the indices, not the colours
    coloured = paired_folders(folders, {"mask": "image"})
    assert coloured[0]["mask"].shape == (4, 5, 3)
    assert source.nbytes(1) == sum(source.path(1, name).stat().st_size for name in folders)
    assert source.folders == folders


def test_partners_are_asked_for(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/2.png", "b/3.png"):
        save(tmp_path / name)
    (tmp_path / "b" / "x.txt").touch()
    folders = {"image": tmp_path / "a", "mask": tmp_path / "b"}
    with pytest.raises(PairingError, match=r"\(image\): 1 without a partner: 1\.png"):
        paired_folders(folders)
    source = paired_folders(folders, unmatched="drop")
    assert source.keys == ["2"]
    assert source.ignored.names == ["a/1.png", "b/3.png", "b/x.txt"]
    assert source.ignored.count == 3
    with pytest.raises(ConfigError, match="kinds for"):
        paired_folders(folders, {"masks": "mask"})
    with pytest.raises(ConfigError, match="no folder"):
        paired_folders({})
    save(tmp_path / "a" / "2.jpg")
    with pytest.raises(DataError, match="differ only in what follows the name"):
        paired_folders(folders, unmatched="drop")


def test_columns_must_be_equally_long():
    with pytest.raises(DataError, match="expected the same"):
        FileSource(["a"], {"image": Files(["a", "b"])})


def test_values_are_copies(tmp_path):
    numbers = np.arange(2, dtype=np.float32)
    field = Field(name="age", kind="attribute", axes="", shape=())
    source = FileSource(["a", "b"], {"age": Values(numbers, field)})
    source[0]["age"][...] = 9
    assert numbers.tolist() == [0, 1]
    check_source(source)


def test_a_source_survives_a_change_of_the_working_folder(tmp_path, monkeypatch):
    save(tmp_path / "in" / "1.png")
    monkeypatch.chdir(tmp_path)
    source = flat_folder("in")
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(source))[0]["image"].shape == (4, 5, 3)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)))
def test_keys_are_composed_and_stay_so(names):
    for name in names:
        assert key_of(key_of(name)) == key_of(name)


def test_keys_that_stand_twice():
    assert unique(["a", "b"], "here") == ["a", "b"]
    with pytest.raises(DataError, match="here: two samples have the key 'b'"):
        unique(["a", "b", "c", "b"], "here")


def test_a_folder_is_listed_without_a_look_at_its_files(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / "x" / f"{number}.png").parent.mkdir(exist_ok=True)
        (tmp_path / "x" / f"{number}.png").touch()
    looked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *a, **k: looked.append(path) or stat(path, *a, **k))
    assert len(list_tree(str(tmp_path)).files) == 20
    assert len(looked) == 1


def test_one_field_in_the_form_that_is_asked_for(classes):
    source = class_folder(classes)
    path = source.path(3)
    assert source.get(3, "image", "bytes") == path.read_bytes()
    np.testing.assert_array_equal(source.get(3, "image"), PIXELS)
    np.testing.assert_array_equal(source.get(-2, "image", "tensor").numpy(), PIXELS)
    with source.get(3, "image", "pil") as image:
        assert (image.size, image.mode) == ((5, 4), "RGB")
    assert source.get(3, "label") == 2
    with pytest.raises(SchemaError, match="no field 'imgae'"):
        source.get(0, "imgae")
    with pytest.raises(IndexError, match="of a source of 5"):
        source.get(5, "image")
    with pytest.raises(TypeError, match="expected an index"):
        source.get("dog/a.png", "image")


def test_scaled_jpegs_are_decoded_smaller_and_nothing_else(tmp_path):
    large = np.kron(PIXELS, np.ones((16, 16, 1), np.uint8))  # 64 x 80
    for name in ("image/1.jpg", "image/2.png", "mask/1.jpg", "mask/2.png"):
        save(tmp_path / name, large if name.startswith("image") else large[..., 0])
    source = paired_folders({name: tmp_path / name for name in ("image", "mask")})
    scaled = source.scaled(16, 16)
    assert [s["image"].shape for s in scaled] == [(16, 20, 3), (64, 80, 3)]
    assert [s["mask"].shape for s in scaled] == [(64, 80), (64, 80)]
    assert scaled.select("image")[0]["image"].shape == (16, 20, 3)
    assert scaled.get(0, "image", "tensor").shape == (16, 20, 3)
    assert source.scaled(17, 16)[0]["image"].shape == (32, 40, 3)
    assert source[0]["image"].shape == (64, 80, 3)
    assert scaled.cells(0) == source.cells(0)
    assert pickle.loads(pickle.dumps(scaled))[0]["image"].shape == (16, 20, 3)
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        source.scaled(0, 16)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mask", "mask"), ("MASKS", "mask"), ("label_fine", "mask"), ("imageMask2", "mask"), ("gt", "mask"),
        ("Annotations", "mask"), ("seg-1", "mask"), ("instances", "mask"), ("segue", "image"),
        ("masked", "image"), ("labelled", "image"), ("annotator", "image"), ("photo", "image"),
    ],
)  # fmt: skip
def test_names_of_masks_are_whole_words(name, kind):
    assert kind_of(name) == kind
