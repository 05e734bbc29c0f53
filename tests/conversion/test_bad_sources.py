"""Sources that change, that repeat themselves, and that raise what they like."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slow_source import Slow

from voxloom.conversion import Report, convert
from voxloom.errors import ConfigError, DataError, MissingExtraError, OutputExistsError, SaveError
from voxloom.source import Concat, Subset
from voxloom.sources.files import class_folder
from voxloom.sources.opening import open_source


def begun(source, store, **settings):
    """Convert all but what is cut, and return the store."""
    with pytest.raises(DataError):
        convert(source, store, samples_per_shard=1, **settings)


@pytest.mark.parametrize("wrap", [class_folder, lambda p: Subset(Concat([class_folder(p)]), range(5)[::-1])])
def test_a_source_that_has_changed_is_no_source_to_go_on_with(photos, tmp_path, wrap):
    good = (photos / "dog" / "c.png").read_bytes()
    (photos / "dog" / "c.png").write_bytes(b"")
    begun(wrap(photos), tmp_path / "store")
    shutil.copytree(tmp_path / "store", tmp_path / "other")
    (photos / "dog" / "c.png").write_bytes(good)
    assert convert(wrap(photos), tmp_path / "store", samples_per_shard=1, resume=True).finished
    for name in ("cat/a.png", "dog/e.tif"):
        Image.new("RGB", (9, 9)).save(photos / name)
    with pytest.raises(ConfigError, match=r"source has changed since shard 00000.*--overwrite"):
        convert(wrap(photos), tmp_path / "other", samples_per_shard=1, resume=True)


def test_a_table_and_a_store_that_have_changed(photos, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("image,label\nphotos/cat/a.png,x\nphotos/dog/c.png,y\n")
    good = (photos / "dog" / "c.png").read_bytes()
    (photos / "dog" / "c.png").write_bytes(b"")
    begun(table, tmp_path / "store")
    (photos / "dog" / "c.png").write_bytes(good)
    table.write_text("image,label\nphotos/cat/a.png,y\nphotos/dog/c.png,x\n")
    os.utime(table, (1, 1))
    with pytest.raises(ConfigError, match="source has changed"):
        convert(table, tmp_path / "store", samples_per_shard=1, resume=True)


def test_two_samples_of_one_key_are_refused(photos, tmp_path):
    twice = Concat([class_folder(photos), class_folder(photos)])
    with pytest.raises(DataError, match=r"samples 0 and 5 of .* have the same key 'cat/a\.png'"):
        convert(twice, tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(("name", "module"), [("arrow", "pyarrow"), ("parquet", "pyarrow"), ("hdf5", "h5py")])
def test_a_missing_library_is_told_before_anything_is_made(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        convert(Slow(), tmp_path / "store", format=name)
    assert not (tmp_path / "store").exists()
    assert convert(Slow(), tmp_path / "store", format="memmap").finished


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, IndexError, OSError])
@pytest.mark.parametrize("encoding", ["auto", "fixed"])
def test_what_a_dataset_raises_is_told_with_its_sample(tmp_path, error, encoding):
    class Fragile:
        def __len__(self):
            return 5

        def __getitem__(self, index):
            if index == 3:
                raise error("no disk today")
            return np.full((4, 4), index, np.uint8), index

    with pytest.raises(DataError, match=rf"sample '3': .*{error.__name__}.*no disk today"):
        convert(Fragile(), tmp_path / "store", encoding=encoding)
    report = convert(Fragile(), tmp_path / "other", encoding=encoding, on_error="skip")
    assert report.samples == 4
    assert report.skipped[0][0] == "3"


class Listed:
    """A dataset of files below a root, as those of torchvision."""

    def __init__(self, root, names):
        self.root = root
        self.samples = [(os.path.join(root, name), 0) for name in names]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return np.asarray(Image.open(self.samples[index][0])), 0


def test_the_root_of_a_dataset_is_no_source_and_its_folders_are(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = Listed(".", ["photos/cat/a.png", "photos/dog/c.png"])
    for target in ("photos", "photos/store", "photos/cat/store"):
        with pytest.raises(OutputExistsError, match="source"):
            convert(dataset, target)
    assert convert(dataset, "out/store").finished
    with pytest.raises(OutputExistsError, match="source"):
        convert(Listed(str(photos), ["cat/a.png"]), photos / "cat" / "store")


def test_names_are_told_once(photos, tmp_path):
    (photos / "dog" / "c.png").write_bytes(b"")
    with pytest.raises(DataError) as told:
        convert(photos, tmp_path / "store")
    assert str(told.value).splitlines()[0].count("c.png") == 1
    report = convert(photos, tmp_path / "other", on_error="skip")
    assert str(report).count("c.png") == 1


def test_ten_of_the_skipped_are_named():
    skipped = tuple((f"k{i:02d}", "cut") for i in range(12))
    report = Report(path=Path("s"), samples=1, bytes=1, skipped=skipped, seconds=1, finished=True)
    assert "k09: cut\n  and 2 more" in str(report)


def test_a_full_disk_names_the_cure_once(photos, tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 8:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for end, name in ((8, "arrow"), (3, "tar")):
        calls[:] = [0] * (8 - end)
        with pytest.raises(SaveError) as told:
            convert(open_source(photos), tmp_path / name, samples_per_shard=1, format=name)
        assert str(told.value).count("--resume") == 1
