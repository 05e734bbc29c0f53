import logging
import os
import re

import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert, verify
from voxloom.errors import (
    ConfigError,
    DataError,
    MissingDataError,
    OutputExistsError,
    SaveError,
    SchemaError,
    UnfinishedStoreError,
    UnreadableImageError,
)
from voxloom.formats import FORMATS, Store
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Concat, Source
from voxloom.sources.dataset import DatasetSource
from voxloom.sources.files import class_folder, paired_folders


class Arrays(Source):
    """Given samples."""

    schema = keys = None

    def __init__(self, fields, samples):
        self.schema = Schema(fields)
        self.samples = samples
        self.keys = [f"k{i}" for i in range(len(samples))]

    def read(self, index):
        return Sample(self.keys[index], self.schema, self.samples[index])


FORMAT_NAMES = sorted(FORMATS)


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_files_are_copied_byte_for_byte(photos, tmp_path, name):
    source = class_folder(photos)
    report = convert(photos, tmp_path / "store", format=name, samples_per_shard=2)
    store = report.store()
    assert (report.samples, report.finished, report.skipped) == (5, True, ())
    assert list(store.keys) == list(source.keys) == [
        "cat/a.png", "cat/b ü.jpg", "dog/c.png", "dog/d.jpg", "dog/e.tif"
    ]  # fmt: skip
    for index in range(5):
        assert bytes(store.cells(index)["image"]) == source.cells(index)["image"]
        assert store[index]["label"] == source[index]["label"]
        np.testing.assert_array_equal(store[index]["image"], source[index]["image"])
    assert store.schema["label"].categories == ("cat", "dog")
    assert sorted(os.listdir(tmp_path / "store")) == ["manifest.json", "shards"]
    assert verify(store, against=source).ok


@pytest.mark.parametrize("name", FORMAT_NAMES)
@pytest.mark.parametrize("encoding", ["auto", "npy", "blosc", "fixed"])
def test_arrays_of_each_type_are_kept_bit_for_bit(tmp_path, name, encoding):
    rng = np.random.default_rng(1)
    types = ["uint8", "uint16", "int32", "float32", "float64", "bool"]
    fields = [Field(name=dtype, axes="cyx", dtype=dtype, shape=(2, 3, 4)) for dtype in types]
    fields.append(Field(name="note", kind="text", axes="", dtype="str"))
    fields.append(Field(name="age", kind="attribute", axes="", dtype="float64", shape=()))
    samples = [
        {d: (rng.normal(size=(2, 3, 4)) * 100).astype(d) for d in types}
        | {"note": np.array(f"ä{i}"), "age": np.array(np.nan if i else 1.5)}
        for i in range(5)
    ]
    source = Arrays(fields, samples)
    store = convert(source, tmp_path / "store", format=name, encoding=encoding, samples_per_shard=2).store()
    for sample, expected in zip(store, source, strict=True):
        for field in source.schema:
            assert sample[field].dtype == expected[field].dtype
            np.testing.assert_array_equal(sample[field], expected[field])
    assert verify(tmp_path / "store", against=source).ok


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_one_size_and_mode_for_all(photos, tmp_path, name):
    store = convert(photos, tmp_path / "s", format=name, size=(16, 12), mode="L", samples_per_shard=3).store()
    field = store.schema["image"]
    assert (field.shape, field.dtype, field.axes) == ((16, 12, 1), "uint8", "yxc")
    with Image.open(photos / "dog" / "c.png") as image:
        wanted = image.convert("L").resize((12, 16), Image.Resampling.BILINEAR)
    assert np.abs(store[2]["image"][..., 0].astype(int) - np.asarray(wanted)).max() <= 1
    assert verify(store, against=photos).ok


@pytest.mark.parametrize(("first", "second"), [("arrow", "tar"), ("tar", "memmap"), ("hdf5", "parquet")])
def test_a_store_is_a_source(photos, tmp_path, first, second):
    convert(photos, tmp_path / "one", format=first)
    convert(tmp_path / "one", tmp_path / "two", format=second, samples_per_shard=2)
    assert verify(tmp_path / "two", against=photos).ok
    assert verify(tmp_path / "two", against=tmp_path / "one").ok


def test_masks_move_with_their_images_and_keep_their_numbers(tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "mask").mkdir()
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 20:50] = 7
    Image.fromarray(labels * 30).save(tmp_path / "image" / "a.png")
    indexed = Image.fromarray(labels).convert("P")
    indexed.putpalette([number for value in range(256) for number in (value, 0, 255 - value)])
    indexed.save(tmp_path / "mask" / "a.png")
    source = paired_folders({"image": tmp_path / "image", "mask": tmp_path / "mask"})
    store = convert(source, tmp_path / "store", size=(20, 30), interpolation="lanczos").store()
    mask = store[0]["mask"].squeeze()
    np.testing.assert_array_equal(mask, source[0]["mask"].squeeze()[::2, ::2])
    assert set(np.unique(mask)) == {0, 7}
    jpeg = convert(source, tmp_path / "jpeg", encoding="jpeg").store()
    assert jpeg.manifest.encodings == {"image": "jpeg", "mask": "file"}
    np.testing.assert_array_equal(jpeg[0]["mask"], source[0]["mask"])


def test_any_dataset(tmp_path):
    class Digits:
        class_to_idx = {"one": 0, "two": 1}  # noqa: RUF012

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return Image.fromarray(np.full((4, 5), index, np.uint8)), index % 2

    store = convert(Digits(), tmp_path / "store", format="memmap").store()
    assert [int(sample["label"]) for sample in store] == [0, 1, 0]
    assert store.schema["label"].categories == ("one", "two")
    assert verify(store, against=DatasetSource(Digits())).ok


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="int cannot be converted"):
        convert(3, tmp_path / "store")
    with pytest.raises(ConfigError, match="no such setting"):
        convert(tmp_path, tmp_path / "store", sise=3)
    with pytest.raises(ConfigError, match="workers=-1"):
        convert(tmp_path, tmp_path / "store", workers=-1)


def test_progress_counts_samples_and_bytes(photos, tmp_path):
    told = []
    report = convert(photos, tmp_path / "s", samples_per_shard=2, progress=lambda *each: told.append(each))
    assert [each[:2] for each in told] == [(n, 5) for n in range(6)]
    assert 0 < told[-1][2] <= report.bytes


def test_shards_have_the_size_that_is_asked_for(photos, tmp_path):
    one = convert(photos, tmp_path / "one", shard_bytes="1GB").store()
    many = convert(photos, tmp_path / "many", shard_bytes=1).store()
    assert (len(one.manifest.shards), len(many.manifest.shards)) == (1, 5)


def test_nothing_of_the_place_or_the_time_is_in_a_store(photos, tmp_path, same_tree):
    elsewhere = tmp_path / "else" / "where"
    elsewhere.parent.mkdir()
    convert(photos, tmp_path / "one", samples_per_shard=2, workers=0)
    os.rename(photos, elsewhere)
    convert(elsewhere, tmp_path / "two", samples_per_shard=2, workers=2)
    assert same_tree(tmp_path / "one", tmp_path / "two")


# Bad days


def cut(photos):
    path = photos / "dog" / "d.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    (photos / "dog" / "c.png").write_bytes(b"")


def test_a_bad_file_stops_the_conversion_by_name_and_it_goes_on_once_mended(photos, tmp_path, same_tree):
    convert(photos, tmp_path / "whole", samples_per_shard=1)
    good = {path: path.read_bytes() for path in photos.glob("dog/[cd].*")}
    cut(photos)
    with pytest.raises(UnreadableImageError, match=r"'dog/c\.png'"):
        convert(photos, tmp_path / "store", samples_per_shard=1)
    with pytest.raises(UnfinishedStoreError, match="--resume"):
        Store(tmp_path / "store")
    for path, data in good.items():
        path.write_bytes(data)
    assert convert(photos, tmp_path / "store", samples_per_shard=1, resume=True).converted == 3
    assert same_tree(tmp_path / "whole", tmp_path / "store")


@pytest.mark.parametrize("shard", [1, 2, 5])
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_bad_files_are_skipped_and_counted_on_request(photos, tmp_path, shard, size):
    cut(photos)
    report = convert(photos, tmp_path / "s", on_error="skip", samples_per_shard=shard, size=size)
    assert [key for key, _ in report.skipped] == ["dog/c.png", "dog/d.jpg"]
    assert "2 samples skipped" in str(report)
    store = report.store()
    assert list(store.keys) == ["cat/a.png", "cat/b ü.jpg", "dog/e.tif"]
    assert store.manifest.facts["skipped"] == 2
    told = [each for facts in store.manifest.shards for each in facts.skipped]
    assert [key for key, _ in told] == ["dog/c.png", "dog/d.jpg"]
    assert str(tmp_path) not in (tmp_path / "s" / "manifest.json").read_text()
    assert verify(store, against=photos).ok


def test_a_file_that_does_not_fit_is_skipped_on_request_too(photos, tmp_path):
    Image.fromarray(np.full((9, 9), 60000, np.uint16)).save(photos / "cat" / "z.png")
    with pytest.raises(SchemaError, match=r"cat/z\.png"):
        convert(photos, tmp_path / "store", size=(8, 8), mode="RGB")
    report = convert(photos, tmp_path / "other", size=(8, 8), mode="RGB", on_error="skip")
    assert [key for key, _ in report.skipped] == ["cat/z.png"]


def test_a_store_of_nothing_is_an_error(photos, tmp_path):
    for path in photos.rglob("*.*"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"cat/a\.png"):
        convert(photos, tmp_path / "store", on_error="skip")
    with pytest.raises(MissingDataError, match="no samples"):
        convert(Arrays([Field(name="image")], []), tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_what_cannot_be_is_said_before_any_work(photos, tmp_path):
    mask_field = Field(name="mask", kind="mask", axes="yx", dtype="uint8")
    yx = Field(name="image", axes="yx", dtype="float32")
    floats = Arrays([yx], [{"image": np.zeros((3, 4), np.float32)}] * 2)
    mask = Arrays([mask_field], [{"mask": np.zeros((3, 4), np.uint8)}])
    cases = [
        (floats, {"encoding": "jpeg"}, "does not go into JPEG"),
        (floats, {"encoding": "png"}, "does not go into PNG"),
        (floats, {"mode": "L"}, "mode 'L'"),
        (floats, {"mode": "RGB"}, "mode 'RGB'"),
        (floats, {"encoding": "file"}, "no files"),
        (mask, {"encoding": "jpeg"}, "is a mask"),
        (class_folder(photos), {"encoding": "fixed"}, r"'cat/a.png' has shape \(20, 30, 3\).*cat/b ü"),
    ]  # fmt: skip
    for source, settings, message in cases:
        with pytest.raises(SchemaError, match=re.compile(message, re.DOTALL)):
            convert(source, tmp_path / "store", **settings)
        assert not (tmp_path / "store").exists()


def test_grey_among_colour_needs_a_mode(photos, tmp_path):
    Image.new("L", (30, 30)).save(photos / "dog" / "z.png")
    with pytest.raises(SchemaError, match=r"'dog/z\.png'.*mode"):
        convert(photos, tmp_path / "store", size=(8, 8))
    assert convert(photos, tmp_path / "store", size=(8, 8), mode="RGB").finished


def test_a_late_sample_of_another_shape_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("voxloom.conversion.planning._PROBES", 1)
    field = Field(name="image", axes="yx", dtype="uint8")
    source = Arrays([field], [{"image": np.zeros((3, 4 + i), np.uint8)} for i in range(2)])
    with pytest.raises(SchemaError, match="'k1'"):
        convert(source, tmp_path / "store", encoding="fixed")


def test_a_folder_that_holds_anything_is_refused(photos, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "thesis.txt").write_text("years")
    for words in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match=r"thesis\.txt"):
            convert(photos, store, **words)
    (store / "thesis.txt").unlink()
    convert(photos, store)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        convert(photos, store)
    (store / "shards" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"shards/notes\.txt"):
        convert(photos, store, overwrite=True)
    assert (store / "shards" / "notes.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="exclude each other"):
        convert(photos, store, overwrite=True, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputExistsError):
        convert(photos, tmp_path / "file")


def test_a_manifest_of_another_program_is_not_removed(photos, tmp_path):
    store = tmp_path / "app"
    store.mkdir()
    (store / "manifest.json").write_text('{"name": "my app"}')
    with pytest.raises(OutputExistsError, match=r"manifest\.json"):
        convert(photos, store, overwrite=True)


@pytest.mark.parametrize("damage", ["whole", "half a manifest"])
def test_overwrite_replaces_a_store_or_half_of_one(photos, tmp_path, same_tree, damage):
    convert(photos, tmp_path / "fresh", format="tar")
    convert(photos, tmp_path / "store", samples_per_shard=1)
    manifest = tmp_path / "store" / "manifest.json"
    if damage == "half a manifest":
        manifest.write_text(manifest.read_text()[:100])
    convert(photos, tmp_path / "store", format="tar", overwrite=True)
    assert same_tree(tmp_path / "fresh", tmp_path / "store")


def test_resume_of_a_finished_store_does_nothing(photos, tmp_path, same_tree):
    convert(photos, tmp_path / "store")
    before = (tmp_path / "store" / "manifest.json").stat().st_mtime_ns
    report = convert(photos, tmp_path / "store", resume=True)
    assert "nothing to do" in str(report)
    assert (report.samples, report.converted) == (5, 0)
    assert (tmp_path / "store" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="mode: None there, 'L' here"):
        convert(photos, tmp_path / "store", resume=True, mode="L")


def test_a_late_failure_can_be_left_out_when_it_is_resumed(photos, tmp_path):
    cut(photos)
    with pytest.raises(DataError, match="on_error"):
        convert(photos, tmp_path / "store", samples_per_shard=1)
    report = convert(photos, tmp_path / "store", samples_per_shard=1, resume=True, on_error="skip")
    assert report.finished
    assert (report.samples, len(report.skipped)) == (3, 2)
    assert len(report.store()) == 3


def test_resume_of_another_conversion_says_what_differs(photos, tmp_path):
    cut(photos)
    with pytest.raises(DataError):
        convert(photos, tmp_path / "store", samples_per_shard=1)
    with pytest.raises(OutputExistsError, match="--resume"):
        convert(photos, tmp_path / "store", samples_per_shard=1)
    with pytest.raises(ConfigError, match="format: 'arrow' there, 'tar' here"):
        convert(photos, tmp_path / "store", samples_per_shard=1, resume=True, format="tar")
    Image.new("RGB", (3, 3)).save(photos / "dog" / "new.png")
    with pytest.raises(ConfigError, match="number of samples: 5 there, 6 here"):
        convert(photos, tmp_path / "store", samples_per_shard=1, resume=True)


def test_a_store_and_its_source_stay_apart(photos, tmp_path):
    for target in (photos, photos / "store", tmp_path):
        with pytest.raises(OutputExistsError, match="source"):
            convert(photos, target, overwrite=True)
    both = Concat([class_folder(photos), class_folder(photos)])
    with pytest.raises(OutputExistsError, match="source"):
        convert(both, photos / "store")
    assert len(class_folder(photos)) == 5


def test_a_full_disk_is_told_and_gone_on_from(photos, tmp_path, monkeypatch, same_tree):
    convert(photos, tmp_path / "whole", samples_per_shard=1)
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 12:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match=r"No space left[\s\S]*--resume"):
        convert(photos, tmp_path / "store", samples_per_shard=1)
    monkeypatch.undo()
    convert(photos, tmp_path / "store", samples_per_shard=1, resume=True)
    assert same_tree(tmp_path / "whole", tmp_path / "store")


def test_conversion_is_silent(photos, tmp_path, capfd, caplog):
    with caplog.at_level(logging.WARNING):
        convert(photos, tmp_path / "store")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
