import os

import numpy as np
import pytest
from slow_source import Slow

from voxloom.conversion import convert, verify
from voxloom.errors import DamagedStoreError, MissingDataError, UnfinishedStoreError
from voxloom.formats import FORMATS
from voxloom.sample import Sample
from voxloom.source import Subset


class Changed(Slow):
    """One pixel of sample 5 is another one."""

    def read(self, index):
        sample = super().read(index)
        if index != 5:
            return sample
        image = sample["image"].copy()
        image[0, 0] ^= 1
        return Sample(sample.key, sample.schema, {**sample, "image": image})


class Renamed(Slow):
    """Sample 5 has another name."""

    def __init__(self):
        super().__init__()
        self.keys[5] = "s/five"


@pytest.fixture
def store(tmp_path):
    return convert(Slow(), tmp_path / "store", samples_per_shard=5).path


def flip(path, place=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    path.write_bytes(bytes(data))


def test_a_good_store(store):
    told = []
    found = verify(store, against=Slow(), progress=lambda *each: told.append(each))
    assert (found.ok, found.problems, found.samples, found.compared) == (True, (), 24, True)
    assert "every sample equals its source" in str(found)
    assert told[-1][:2] == (24, 24)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_one_flipped_bit_is_found_in_each_file(tmp_path, name):
    store = convert(Slow(samples=4), tmp_path / "store", format=name).path
    for file in sorted((store / "shards").iterdir()):
        flip(file)
        (problem,) = verify(store).problems
        assert file.name in problem
        flip(file)
    assert verify(store).ok


def test_missing_cut_and_foreign_files_are_named(store):
    os.truncate(store / "shards" / "00000.arrow", 100)
    (store / "shards" / "00001.arrow").unlink()
    (store / "shards" / "notes.txt").touch()
    flip(store / "shards" / "00003.arrow")
    found = verify(store, against=Slow())
    text = "\n".join(found.problems)
    assert "00000.arrow has 100 bytes" in text
    assert "00001.arrow is missing" in text
    assert "notes.txt is not named by the manifest" in text
    assert "00003.arrow was changed" in text
    assert "00002" not in text and "00004" not in text  # noqa: PT018
    assert not found.ok


def test_differences_from_the_source_are_named(store):
    assert "sample 5 ('s/005'): field 'image'" in verify(store, against=Changed()).problems[0]
    assert "sample 5 is 's/005', and the source has 's/five'" in verify(store, against=Renamed()).problems[0]
    fewer = verify(store, against=Subset(Slow(), range(20)))
    assert fewer.problems == ("24 samples, and the source has 20",)
    other = verify(store, against=Slow().select("image"))
    assert "fields ['label']" in other.problems[0]


def test_many_differences_are_counted(store):
    shuffled = Subset(Slow(), [*range(1, 24), 0])
    problems = verify(store, against=shuffled).problems
    assert len(problems) == 11
    assert problems[-1] == "and 14 samples more that differ"


@pytest.mark.parametrize(
    "settings",
    [{"encoding": "png"}, {"encoding": "blosc"}, {"encoding": "fixed", "size": (4, 4)}, {"mode": "F"}],
)
def test_the_recipe_of_the_manifest_is_used(tmp_path, settings):
    store = convert(Slow(samples=6), tmp_path / "store", **settings).store()
    assert verify(store, against=Slow(samples=6)).ok
    assert not verify(store, against=Changed(samples=6)).ok


def test_nan_equals_itself(tmp_path):
    class Nan(Slow):
        def read(self, index):
            sample = super().read(index)
            return Sample(sample.key, sample.schema, {**sample, "image": np.full((2, 2), np.nan)})

    convert(Nan(), tmp_path / "store")
    assert verify(tmp_path / "store", against=Nan()).ok


def test_a_manifest_that_cannot_be_read_is_raised(store, tmp_path):
    with pytest.raises(MissingDataError):
        verify(tmp_path / "nothing")
    manifest = store / "manifest.json"
    manifest.write_text(manifest.read_text()[:50])
    with pytest.raises(DamagedStoreError):
        verify(store)
    manifest.unlink()
    (store / "journal").mkdir()
    (store / "journal" / "plan.json").touch()
    with pytest.raises(UnfinishedStoreError):
        verify(store)
