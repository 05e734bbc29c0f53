import errno
import json
import os
import pickle

import numpy as np
import pytest

from voxloom.errors import DamagedStoreError, MissingDataError, SaveError, SchemaError
from voxloom.formats.rows import RowWriter
from voxloom.formats.store import Store
from voxloom.sample import Field, Schema

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
    keys = ["a", "b/é", "c"]
    first = RowWriter(tmp_path / "rows", SCHEMA, keys)
    second = RowWriter(tmp_path / "rows", SCHEMA, keys, create=False)
    for variant in range(2):
        first.write(0, {"mu": rows(10 * variant, 2)["mu"]}, variant=variant)
        second.write(2, {"mu": rows(2 + 10 * variant, 1)["mu"]}, variant=variant)
    first.write(0, {"age": rows(0, 2)["age"]})
    second.write(2, {"age": rows(2, 1)["age"]})
    for writer in (second, first):
        writer.flush()
    first.finish({"what": "a test"})
    return tmp_path / "rows"


def test_what_was_written_is_read(folder):
    source = Store(folder, verify=True)
    assert list(source.keys) == ["a", "b/é", "c"]
    assert source.schema["mu"] == SCHEMA["mu"]
    assert source.manifest.facts == {"what": "a test"}
    assert source.manifest.producer.startswith("voxloom ")
    sample = source[2]
    assert sample.key == "c"
    assert sample["mu"].shape == (2, 1, 3, 4)
    assert sample["mu"][:, 0, 0, 0].tolist() == [2, 12]
    assert float(sample["age"]) == 1.0
    with pytest.raises(IndexError):
        source[3]


def test_a_column_is_a_read_only_mapped_file_that_numpy_opens_too(folder):
    source = Store(folder)
    with pytest.raises(ValueError, match="read-only"):
        source.column("mu")[0] = 1
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.column("mu"), source.column("mu"))
    assert np.array_equal(np.load(folder / "shards" / "00000.mu.npy"), source.column("mu"))


def test_the_same_rows_give_the_same_bytes_however_they_were_written(folder, tmp_path):
    writer = RowWriter(tmp_path / "again", SCHEMA, ["a", "b/é", "c"])
    writer.write(0, {"mu": np.stack([rows(0, 3)["mu"], rows(10, 3)["mu"]], axis=1), **{"age": [0, 0.5, 1]}})
    writer.finish({"what": "a test"})
    for path in folder.rglob("*.*"):
        assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_what_was_not_finished_does_not_open(tmp_path):
    RowWriter(tmp_path, SCHEMA, ["a"]).flush()
    with pytest.raises(MissingDataError, match=r"is no store: expected a file .*manifest\.json"):
        Store(tmp_path)


def test_a_file_that_is_gone_or_changed_is_named(folder):
    path = folder / "shards" / "00000.age.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x01")
    with pytest.raises(DamagedStoreError, match=r"00000\.age\.npy: its digest"):
        Store(folder, verify=True)[0]
    path.unlink()
    with pytest.raises(MissingDataError, match=r"00000\.age\.npy is missing"):
        Store(folder)[0]


def test_the_manifest_names_every_file(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    named = {file["name"] for shard in manifest["shards"] for file in shard["files"]}
    assert named == {path.name for path in (folder / "shards").iterdir()}
    assert not (folder / "journal").exists()


def test_a_field_without_a_shape_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="fields image have no shape"):
        RowWriter(tmp_path / "rows", Schema([Field(name="image")]), ["a"])
    assert not (tmp_path / "rows").exists()


def test_a_full_disk_is_met_before_the_first_row(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SaveError, match=r"mu\.npy.*No space left.*Free some space"):
        RowWriter(tmp_path, SCHEMA, ["a"])
    assert not list((tmp_path / "shards").iterdir())


def test_a_file_system_that_cannot_reserve_is_no_obstacle(tmp_path, monkeypatch):
    def unknown(*args):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    RowWriter(tmp_path, SCHEMA, ["a"]).finish({})
    assert len(Store(tmp_path)) == 1
