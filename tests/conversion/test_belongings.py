"""What may be removed: nothing that no conversion has written, whatever it is called."""

import json
import os
import shutil

import pytest
from slow_source import Cut, Slow

from voxloom.conversion import convert
from voxloom.errors import OutputExistsError, UnreadableImageError

OURS = "0123456789ab.1.01234567"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return convert(Slow(), tmp_path_factory.mktemp("whole") / "store", samples_per_shard=8).path


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    store = tmp_path_factory.mktemp("half") / "store"
    with pytest.raises(UnreadableImageError):
        convert(Cut(), store, samples_per_shard=2)
    return store


def refused(store):
    before = sorted(path.as_posix() for path in store.rglob("*"))
    with pytest.raises(OutputExistsError, match="no part of a store"):
        convert(Slow(), store, overwrite=True)
    assert sorted(path.as_posix() for path in store.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "shards/00000.raw/photo.dng",  # a folder
        "shards/00009.arrow",  # no shard of it
        "shards/00000-notes.txt",
        "journal/diary.tmp/monday.txt",
        "journal/00000.json",
        "journal/notes.tmp",
        "journal/plan.json",
    ],
)
def test_what_only_looks_like_ours_stays(tmp_path, whole, path):
    store = tmp_path / "store"
    shutil.copytree(whole, store)
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_text('{"mine": 1}')
    refused(store)


@pytest.mark.parametrize("manifest", [None, '{"name": "my app"}', '["kind"]', "cut"])
def test_shards_of_nobody_stay(tmp_path, manifest):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "00000.arrow").write_text("the work of years")
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    refused(tmp_path)


def test_a_resume_removes_nothing_of_others(tmp_path, whole):
    store = tmp_path / "store"
    shutil.copytree(whole, store)
    (store / "journal").mkdir()
    (store / "journal" / "diary.txt").touch()
    (store / "journal" / f"manifest.{OURS}.tmp").mkdir()
    convert(Slow(), store, samples_per_shard=8, resume=True)
    assert os.listdir(store / "journal") == ["diary.txt"]


def test_half_a_store_is_replaced_with_all_that_is_its_own(tmp_path, half, same_tree):
    store = tmp_path / "store"
    shutil.copytree(half, store)
    (store / "journal" / f"00001.{OURS}.tmp").mkdir()
    (store / "shards" / "00005.arrow").touch()  # moved here, and then the power was cut
    convert(Slow(), store, samples_per_shard=2, overwrite=True)
    convert(Slow(), tmp_path / "fresh", samples_per_shard=2)
    assert same_tree(tmp_path / "fresh", store)


def test_a_list_of_what_is_cleared_survives_until_it_is_gone(tmp_path, same_tree):
    store = tmp_path / "store"
    (store / "journal").mkdir(parents=True)
    (store / "shards").mkdir()
    (store / "shards" / "00042.arrow").touch()
    told = {"kind": "voxloom-cleared", "files": ["00042.arrow", "00043.arrow"]}
    (store / "journal" / "cleared.json").write_text(json.dumps(told))
    convert(Slow(), store, samples_per_shard=8, resume=True)
    convert(Slow(), tmp_path / "fresh", samples_per_shard=8)
    assert same_tree(tmp_path / "fresh", store)


class CutAtOnce(Cut):
    """No sample after the first can be read."""

    def read(self, index):
        return super().read(3 if index else 0)


@pytest.mark.parametrize("settings", [{"format": "tar"}, {"samples_per_shard": 3}, {}])
def test_what_has_no_record_is_begun_anew(tmp_path, same_tree, settings):
    store = tmp_path / "store"
    with pytest.raises(UnreadableImageError):
        convert(CutAtOnce(), store)
    assert (store / "journal" / "plan.json").exists()
    convert(Slow(), store, **settings)
    convert(Slow(), tmp_path / "fresh", **settings)
    assert same_tree(tmp_path / "fresh" / "shards", store / "shards")


def test_what_another_process_has_just_begun_is_not_begun_anew(tmp_path):
    store = tmp_path / "store"
    with pytest.raises(UnreadableImageError):
        convert(CutAtOnce(), store)
    plan = store / "journal" / "plan.json"
    value = json.loads(plan.read_text())
    machine, _, chance = value["owner"].split(".")
    plan.write_text(json.dumps(value | {"owner": f"{machine}.{os.getppid()}.{chance}"}))
    with pytest.raises(OutputExistsError, match="--resume"):
        convert(Slow(), store, format="tar")
