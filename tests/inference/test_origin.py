import io
import json
import logging
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from voxloom.formats import Store
from voxloom.inference.origin import origin_of
from voxloom.sample import Field
from voxloom.source import Concat, Map
from voxloom.sources import (
    DatasetSource,
    Files,
    FileSource,
    ImageFolder,
    OlderFolder,
    TarFolder,
    Values,
    flat_folder,
    write_image,
)
from voxloom.testing.stores import Counting, write_store


def differ(make):
    """Assert that what `make` gives for 0 and 1 has equal keys and another origin, and twice the same one."""
    one, again, other = make(0), make(0), make(1)
    assert list(one.keys) == list(other.keys)
    assert plain(one) == plain(again) != plain(other)


def plain(source):
    return json.dumps(origin_of(source))


def dataset(value):
    return DatasetSource([(np.full((4, 4, 1), value, np.uint8), 0)] * 2)


def test_datasets_are_told_apart_by_their_content(caplog):
    with caplog.at_level(logging.INFO, "voxloom"):
        differ(dataset)
    assert "once, to tell the next time whether anything has changed" in caplog.text
    differ(lambda value: Concat([dataset(0), dataset(value)]))
    differ(lambda value: dataset(value)[1:])
    differ(lambda value: DatasetSource([np.zeros((4, 4), (np.uint8, np.int8)[value])]))


class Shifted(Counting):
    """A source that nobody knows."""

    shift = 0

    def read(self, index):
        sample = super().read(index)
        return sample.with_arrays({"image": sample["image"] + np.uint16(self.shift)})


def test_sources_of_other_kinds_too():
    def shifted(value):
        source = Shifted(2)
        source.shift = value
        return source

    differ(shifted)


class Inverted(ImageFolder):
    """A folder that is read in another way."""

    def cells(self, index):
        return self.read(index)

    def read(self, index):
        sample = super().read(index)
        return sample.with_arrays({"image": -sample["image"]})


def test_a_class_derived_from_ours_is_another_source(tmp_path):
    write_image(tmp_path / "1.tif", np.eye(4))
    differ(lambda value: (ImageFolder, Inverted)[value](tmp_path))


def tars(folder):
    folder.mkdir()
    file = io.BytesIO()
    Image.new("L", (5, 4)).save(file, "png")
    with tarfile.open(folder / "0.tar", "w") as tar:
        info = tarfile.TarInfo("0.png")
        info.size = len(file.getvalue())
        tar.addfile(info, io.BytesIO(file.getvalue()))
    return TarFolder(folder)


def older(folder):
    for name in ("images", "labels", "metadata"):
        (folder / name).mkdir(parents=True)
    np.zeros((3, 4, 4), np.uint8).tofile(folder / "images" / "images_0.npy")
    np.arange(3).tofile(folder / "labels" / "labels_0.npy")
    facts = {"num_images_per_array": 5, "len": 3, "mode": "L", "shape": [4, 4]}
    (folder / "metadata" / "metadata.json").write_text(json.dumps(facts))
    return OlderFolder(folder)


@pytest.mark.parametrize("make", [tars, older])
def test_files_of_many_samples_are_told_apart_without_reading_them(tmp_path, make, caplog):
    sources = [make(tmp_path / "a"), make(tmp_path / "b")]
    caplog.clear()  # opening may have told of a scan
    with caplog.at_level(logging.INFO, "voxloom"):
        differ(sources.__getitem__)
    assert not caplog.text
    before = plain(sources[0])
    os.utime(sources[0].files[0], ns=(1, 1))
    assert plain(sources[0]) != before
    assert plain(sources[1]) != plain(sources[1][:0])


class Plus:
    """A function with a setting."""

    def __init__(self, value):
        self.value = value

    def __call__(self, sample):
        return sample


def same(sample):
    return sample


def test_functions_are_told_apart_by_what_they_hold():
    differ(lambda value: Map(Counting(2), Plus(value)))


def test_functions_of_one_name_are_told_apart_by_what_they_do(monkeypatch):
    def made(value):
        scope = {"__name__": __name__}
        exec(f"def same(sample): return sample.with_arrays({{'image': sample['image'] + {value}}})", scope)
        monkeypatch.setattr(f"{__name__}.same", scope["same"])
        return scope["same"]

    origins = []
    for value in (0, 0, 1):
        origins.append(plain(Map(Counting(2), made(value))))
    assert origins[0] == origins[1] != origins[2]


def test_a_function_that_cannot_be_pickled_is_never_the_same(caplog):
    source = Map(Counting(2), lambda sample: sample)
    assert plain(source) != plain(source)
    assert "cannot be pickled" in caplog.text


def test_values_and_scale_belong_to_the_origin(tmp_path):
    Image.new("L", (16, 16)).save(tmp_path / "a.jpg")

    def labelled(value):
        label = Values(np.array([value]), Field(name="label", kind="class", axes="", dtype="int64"))
        return FileSource(["a"], {"image": Files(["a.jpg"], root=str(tmp_path)), "label": label})

    differ(labelled)
    differ(lambda value: flat_folder(tmp_path).scaled(8 - value, 8))
    store = Store(write_store(tmp_path / "store", Counting(2)))
    differ(lambda value: (store, store.scaled(2, 2))[value])
