import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

import voxloom
from voxloom.errors import (
    ConfigError,
    DamagedStoreError,
    DataError,
    MissingDataError,
    PairingError,
    UnfinishedStoreError,
)
from voxloom.formats.store import Store
from voxloom.sources import FileSource, TarFolder, open_source
from voxloom.testing.stores import Counting, write_store


def save(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (5, 4), 7).save(root / name)
    return root


def test_the_root_has_it_under_a_short_name():
    assert voxloom.open is open_source
    assert voxloom.Store is Store
    assert voxloom.convert.__module__ == "voxloom.conversion.convert"
    assert voxloom.verify.__module__ == "voxloom.conversion.verify"


def test_a_store_is_opened_and_told_to_verify(tmp_path):
    write_store(tmp_path / "store", Counting(5))
    store = voxloom.open(tmp_path / "store", verify=True)
    assert isinstance(store, Store)
    assert len(store) == 5
    assert store[1]["label"] == 1
    with pytest.raises(MissingDataError, match="is no store"):
        open_source(save(tmp_path / "x", "1.png"), layout="store")


def test_half_made_and_damaged_stores_say_so(tmp_path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "plan.json").write_text("{}")
    with pytest.raises(UnfinishedStoreError, match="--resume"):
        open_source(tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "vox')
    with pytest.raises(DamagedStoreError, match="not a whole JSON file"):
        open_source(tmp_path)


def test_the_manifest_of_something_else_is_a_stray_file(tmp_path):
    (save(tmp_path, "a/1.png") / "manifest.json").write_text(json.dumps({"name": "app"}))
    assert open_source(tmp_path).keys == ["a/1.png"]


def test_classes_with_odd_names_are_classes(tmp_path):
    save(tmp_path, "journal/1.png", "unmasked/1.png", "masked/1.png")
    assert open_source(tmp_path).schema["label"].categories == ("journal", "masked", "unmasked")
    save(tmp_path / "two", "nomask/1.png", "masked/1.png")
    assert list(open_source(tmp_path / "two").schema) == ["image", "label"]


def test_a_flat_folder_and_class_folders(tmp_path):
    save(tmp_path, "cat/1.png", "dog/x/2.png")
    assert isinstance(open_source(tmp_path), FileSource)
    assert open_source(str(tmp_path / "cat")).keys == ["1.png"]
    assert open_source(tmp_path / "cat", layout="flat").keys == ["1.png"]
    (tmp_path / "cat" / "empty").mkdir()
    (tmp_path / "dog" / "list.csv").touch()
    (tmp_path / "list.csv").touch()  # a stray file among classes
    assert len(open_source(tmp_path)) == 2
    assert open_source(tmp_path / "cat").keys == ["1.png"]


def test_images_and_masks_are_pairs(tmp_path):
    save(tmp_path, "images/1.jpg", "images/2.jpg", "Masks/1.png", "Masks/2.png")
    source = open_source(tmp_path)
    assert source.keys == ["1", "2"]
    assert [(field.name, field.kind) for field in source.schema.values()] == [
        ("image", "image"),
        ("mask", "mask"),
    ]
    assert list(open_source(tmp_path, layout="pairs").schema) == ["image", "mask"]
    assert list(open_source(tmp_path, layout="classes").schema) == ["image", "label"]
    save(tmp_path, "Masks/3.png")
    with pytest.raises(PairingError, match=r"3\.png"):
        open_source(tmp_path)


def test_folders_of_fields_can_be_named(tmp_path):
    save(tmp_path, "mri/1.png", "ct/1.png", "other/x.png")
    source = open_source(tmp_path, fields={"target": "mri", "condition": "ct"})
    assert list(source.schema) == ["target", "condition"]
    assert source.keys == ["1"]
    with pytest.raises(DataError, match=r"which folders belong together.*ct, mri, other"):
        open_source(tmp_path, layout="pairs")
    with pytest.raises(ConfigError, match="fields name the folders of pairs"):
        open_source(tmp_path, layout="flat", fields={"image": "mri"})


def test_masks_of_other_images_are_a_class(tmp_path):
    save(tmp_path, "images/1.jpg", "masks/2.png")
    assert list(open_source(tmp_path).schema) == ["image", "label"]


def test_tables_and_tars(tmp_path):
    save(tmp_path / "a", "1.png")
    (tmp_path / "a" / "t.csv").write_text("image\n1.png\n")
    assert open_source(tmp_path / "a" / "t.csv").keys == ["1.png"]
    with pytest.raises(
        DataError, match=r"found 1 images, tables \(t\.csv\).*layout='flat' or the table.*t\.csv"
    ):
        open_source(tmp_path / "a")
    assert open_source(tmp_path / "a", layout="flat").keys == ["1.png"]
    write_tar(tmp_path / "b" / "0.tar")
    assert isinstance(open_source(tmp_path / "b"), TarFolder)
    assert open_source(tmp_path / "b" / "0.tar")[0]["label"] == 3


def write_tar(path):
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("a.cls")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"3"))


def test_an_older_folder(tmp_path):
    for name in ("images", "labels", "metadata"):
        (tmp_path / name).mkdir()
    np.zeros((3, 4, 4), np.uint8).tofile(tmp_path / "images" / "images_0.npy")
    np.arange(3).tofile(tmp_path / "labels" / "labels_0.npy")
    facts = {"num_images_per_array": 5, "len": 3, "mode": "L", "shape": [4, 4]}
    (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts))
    assert open_source(tmp_path)[2]["label"] == 2
    assert len(open_source(tmp_path, layout="older")) == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a.png", "b/1.png"],
            "found 1 images, 1 folders of images .b..*layout='flat' or layout='classes'",
        ),
        (["train/a/1.png", "val/a/1.png"], r"2 folders of images \(train, val\).*or the folder of one part"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(tmp_path, names, message):
    save(tmp_path, *names)
    with pytest.raises(DataError, match=f"more than one way: .*{message}"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, layout="classes")) > 0


def test_what_cannot_be_read_says_what_there_is(tmp_path):
    with pytest.raises(MissingDataError, match="no such file or folder"):
        open_source(tmp_path / "none")
    with pytest.raises(MissingDataError, match="nothing here that can be read; found nothing"):
        open_source(tmp_path)
    (tmp_path / "x.pdf").touch()
    (tmp_path / "sub").mkdir()
    with pytest.raises(MissingDataError, match=r"found 2 \((x\.pdf, sub/|sub/, x\.pdf)\)"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"a file that ends in '\.pdf'"):
        open_source(tmp_path / "x.pdf")


def test_options_that_do_not_go_together(tmp_path):
    save(tmp_path, "1.png")
    with pytest.raises(ConfigError, match=r"layout 'clases'.*Did you mean 'classes'"):
        open_source(tmp_path, layout="clases")
    with pytest.raises(ConfigError, match="is no store"):
        open_source(tmp_path, verify=True)


def test_a_name_that_is_too_long_names_nothing():
    with pytest.raises(MissingDataError, match=r"x{200}\.\.\.: no such file or folder"):
        voxloom.open("x" * 5000)
    for layout in ("table", "tar", "flat", "classes", "older"):
        with pytest.raises(DataError):
            open_source(f"{'x' * 5000}.csv", layout=layout)


def test_target_and_condition_are_pairs(tmp_path):
    save(tmp_path, "Target/1.png", "Target/2.png", "condition/1.png", "condition/2.png")
    source = open_source(tmp_path)
    assert [(field.name, field.kind) for field in source.schema.values()] == [
        ("target", "image"),
        ("condition", "image"),
    ]
    assert list(open_source(tmp_path, layout="pairs").schema) == ["target", "condition"]


def test_two_classes_that_may_be_pairs_are_told(tmp_path, caplog):
    caplog.set_level("INFO", "voxloom")
    save(tmp_path, "ct/1.png", "ct/2.png", "mri/1.png", "mri/2.png")
    assert open_source(tmp_path).schema["label"].categories == ("ct", "mri")
    assert 'fields={"target": "ct", "condition": "mri"}' in caplog.text
    caplog.clear()
    save(tmp_path, "mri/3.png")
    open_source(tmp_path)
    assert not caplog.text


def test_labels_in_a_file_are_no_older_layout(tmp_path):
    save(tmp_path, "images/1.png", "metadata/1.png")
    (tmp_path / "labels").touch()
    (tmp_path / "metadata" / "metadata.json").write_text("{}")
    assert open_source(tmp_path).schema["label"].categories == ("images", "metadata")
    with pytest.raises(MissingDataError, match="no folder of the Dataset Conversion Library"):
        open_source(tmp_path, layout="older")
