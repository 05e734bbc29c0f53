import errno
import os
import pickle

import numpy as np
import pytest

from voxloom.errors import MissingDataError, SaveError
from voxloom.sample import Field, Schema
from voxloom.sources import ArrayFolder, ArrayWriter

SCHEMA = Schema(
    [
        Field(name="mu", kind="latent", axes="vcyx", shape=(2, 1, 3, 4)),
        Field(name="age", kind="attribute", axes="", shape=()),
    ]
)


def rows(start, count):
    return {
        "mu": np.arange(start, start + count, dtype=np.float32)[:, None, None, None] + np.zeros((1, 1, 3, 4)),
        "age": np.arange(start, start + count, dtype=np.float32) / 2,
    }


@pytest.fixture
def folder(tmp_path):
    """Written by two processes, as it were: the second opens what the first has made."""
    keys = ["a", "b", "c"]
    first = ArrayWriter(tmp_path / "arrays", SCHEMA, keys)
    second = ArrayWriter(tmp_path / "arrays", SCHEMA, keys, create=False)
    for variant in range(2):
        first.write(0, {"mu": rows(10 * variant, 2)["mu"]}, variant=variant)
        second.write(2, {"mu": rows(2 + 10 * variant, 1)["mu"]}, variant=variant)
    first.write(0, {"age": rows(0, 2)["age"]})
    second.write(2, {"age": rows(2, 1)["age"]})
    for writer in (second, first):
        writer.flush()
    first.finish({"producer": "a test"})
    return tmp_path / "arrays"


def test_what_was_written_is_read(folder):
    source = ArrayFolder(folder)
    assert source.keys == ["a", "b", "c"]
    assert source.schema["mu"] == SCHEMA["mu"]
    assert source.manifest["producer"] == "a test"
    sample = source[2]
    assert sample.key == "c"
    assert sample["mu"].shape == (2, 1, 3, 4)
    assert sample["mu"][:, 0, 0, 0].tolist() == [2, 12]
    assert float(sample["age"]) == 1.0
    with pytest.raises(IndexError):
        source[3]


def test_rows_are_read_only_views_that_are_mapped_anew_in_each_process(folder):
    source = ArrayFolder(folder)
    with pytest.raises(ValueError, match="read-only"):
        source[0]["mu"][0] = 1
    copy = pickle.loads(pickle.dumps(source))
    assert not copy._arrays
    assert np.array_equal(copy[1]["mu"], source[1]["mu"])


def test_a_folder_that_was_not_finished_is_recognised(tmp_path):
    ArrayWriter(tmp_path, SCHEMA, ["a"]).flush()
    with pytest.raises(MissingDataError, match=r"no finished folder of arrays: expected .*manifest\.json"):
        ArrayFolder(tmp_path)


def test_a_file_that_is_gone_is_named(folder):
    (folder / "age.npy").unlink()
    with pytest.raises(MissingDataError, match=r"lacks age\.npy"):
        ArrayFolder(folder)


def test_a_full_disk_is_met_before_the_first_row(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SaveError, match=r"mu\.npy.*No space left.*Free some space"):
        ArrayWriter(tmp_path, SCHEMA, ["a"])
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_cannot_reserve_is_no_obstacle(tmp_path, monkeypatch):
    def unknown(*args):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    ArrayWriter(tmp_path, SCHEMA, ["a"]).finish({})
    assert len(ArrayFolder(tmp_path)) == 1
