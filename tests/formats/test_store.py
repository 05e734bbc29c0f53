import contextlib
import json
import multiprocessing
import pickle
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import (
    DamagedStoreError,
    DataError,
    MissingDataError,
    SchemaError,
    UnfinishedStoreError,
    UnknownNameError,
    VoxloomError,
)
from voxloom.formats import FORMATS
from voxloom.formats.store import Store
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.testing.stores import Counting, write_store

COUNT = 11


@pytest.fixture(scope="module", params=sorted(FORMATS))
def format(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, format):
    return write_store(tmp_path_factory.mktemp("stores") / format, Counting(COUNT), format=format)


class Files(Source):
    """Pictures of different kinds and sizes, as files, with a text and a mask."""

    schema = Schema(
        [
            Field(name="image", axes="yxc", dtype="uint8"),
            Field(name="mask", kind="mask", axes="yx", dtype="uint8"),
            Field(name="caption", kind="text", axes="", dtype="str", shape=()),
        ]
    )

    keys = ()

    def __init__(self, folder, sizes=((5, 7), (9, 4), (5, 7))):
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = [f"a/é {i}.png" for i in range(len(sizes))]
        self.images, self.masks = [], []
        for i, (height, width) in enumerate(sizes):
            pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3) + i
            path = folder / f"{i}.{('png', 'jpg', 'bmp')[i % 3]}"
            Image.fromarray(pixels).save(path)
            self.images.append(path.read_bytes())
            mask = Image.fromarray(np.eye(height, width, dtype=np.uint8))
            mask.putpalette([0, 0, 0, 250, 10, 20])
            mask.save(folder / "mask.png")
            self.masks.append((folder / "mask.png").read_bytes())

    def read(self, index):
        raise NotImplementedError

    def cells(self, index):
        caption = np.array(f"no. {index} \u00e9")
        return {"image": self.images[index], "mask": self.masks[index], "caption": caption}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def file_store(tmp_path_factory, files, format):
    encodings = {"image": "file", "mask": "file", "caption": "text"}
    path = tmp_path_factory.mktemp("stores") / "files"
    return Store(write_store(path, files, format=format, samples_per_shard=2, encodings=encodings))


def equal(one, other):
    return list(one) == list(other) and all(np.array_equal(one[k], other[k]) for k in one)


def test_each_sample_is_what_was_written(folder):
    store, source = Store(folder), Counting(COUNT)
    assert len(store) == COUNT
    assert store.keys == source.keys
    assert list(store.schema.values()) == list(source.schema.values())
    for index in range(COUNT):
        sample = store[index]
        assert sample.key == source.keys[index]
        assert equal(sample, source[index])
        assert sample["label"].dtype == np.int64
        sample["image"][...] = 0  # its own memory
        assert equal(store[index], source[index])


def test_indices_count_from_the_end_and_stop_at_the_ends(folder):
    store = Store(folder)
    assert store[-1].key == store[COUNT - 1].key
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=rf"sample {index} of a source of {COUNT}"):
            store[index]
        with pytest.raises(IndexError):
            store.gather([0, index])
        with pytest.raises(IndexError):
            store.cells(index)
        with pytest.raises(IndexError):
            store.keys[index]
    assert len(list(store)) == COUNT  # iteration by index ends
    assert [s.key for s in store[2:4]] == store.keys[2:4]


@settings(max_examples=30, deadline=None)
@given(indices=st.lists(st.integers(-COUNT, COUNT - 1), max_size=20))
def test_many_samples_at_once_equal_them_one_by_one(folder, indices):
    store = Store(folder)
    one_by_one = [store[i] for i in indices]
    together = store.__getitems__(indices)
    assert [s.key for s in together] == [s.key for s in one_by_one]
    assert all(equal(a, b) for a, b in zip(together, one_by_one, strict=True))
    gathered = store.gather(indices)
    for name, array in gathered.items():
        assert array.shape == (len(indices), *store.schema[name].shape)
        assert all(np.array_equal(array[i], sample[name]) for i, sample in enumerate(one_by_one))


def test_gather_fills_what_it_is_given(folder):
    store = Store(folder)
    out = {"image": np.zeros((3, 4, 6, 3), np.uint16), "label": np.zeros(3, np.int64)}
    given_back = store.gather([9, 0, 5], out=out)
    assert given_back["image"] is out["image"]
    assert out["image"][:, 0, 0, 0].tolist() == [9, 0, 5]
    assert out["label"].tolist() == [0, 0, 2]


def test_a_column_is_all_of_a_field(folder):
    assert Store(folder).column("label").tolist() == [i % 3 for i in range(COUNT)]
    with pytest.raises(SchemaError, match="Did you mean 'label'"):
        Store(folder).column("lable")


def test_select_leaves_the_rest_alone(folder):
    labels = Store(folder).select("label")
    assert list(labels.schema) == ["label"]
    assert list(labels[4]) == list(labels.cells(4)) == list(labels.gather([4])) == ["label"]
    with pytest.raises(SchemaError, match="Fields: image, label"):
        Store(folder).select("lable")


def test_a_label_is_read_where_the_image_is_damaged(tmp_path):
    broken = Files(tmp_path / "files")
    broken.images = [b"no image" for _ in broken.images]
    encodings = {"image": "file", "mask": "file", "caption": "text"}
    store = Store(write_store(tmp_path / "store", broken, encodings=encodings))
    assert store.select("caption")[1]["caption"] == "no. 1 \u00e9"
    with pytest.raises(DataError, match="é 1"):
        store[1]


def test_a_pickled_store_is_the_store(folder):
    store = Store(folder)
    _ = store[0]
    again = pickle.loads(pickle.dumps(store))
    assert equal(again[3], store[3])
    assert again.keys == store.keys


def read_in_child(store, indices, results):
    results.put([int(store[i]["image"].max()) for i in indices])


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_other_processes_read_the_same(folder, method):
    if method != "fork" and "memmap" not in str(folder):
        pytest.skip("starting a process takes a second; one format shows it")
    store = Store(folder)
    _ = store[0]  # handles are open when the process starts
    context = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    child = context.Process(target=read_in_child, args=(store, [5, 0, 10], results))
    child.start()
    child.join(60)
    assert not results.empty()
    assert results.get() == [5, 0, 10]


def test_threads_share_a_store(folder):
    store, failures = Store(folder), []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            indices = rng.integers(0, COUNT, 5).tolist()
            if store.gather(indices)["image"][:, 0, 0, 0].tolist() != indices:
                failures.append(indices)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_no_more_shards_are_open_than_a_process_may(tmp_path, monkeypatch):
    monkeypatch.setattr("voxloom.formats.opened._MOST_OPEN", 3)
    store = Store(write_store(tmp_path / "s", Counting(20), samples_per_shard=2))
    for _ in range(2):
        assert [int(store[i]["label"]) for i in range(20)] == [i % 3 for i in range(20)]
        assert len(store._open._shards) == 3
    store.close()
    assert not store._open._shards
    assert int(store[19]["image"].max()) == 19


def test_files_come_back_as_they_were(file_store, files):
    for index in range(len(files.keys)):
        cells = file_store.cells(index)
        assert bytes(cells["image"]) == files.images[index] == file_store.get(index, "image", "bytes")
        assert bytes(cells["mask"]) == files.masks[index]
        picture = file_store.get(index, "mask", "pil")
        assert picture.mode == "P"
        assert picture.getpalette()[3:6] == [250, 10, 20]
        sample = file_store[index]
        assert sample["mask"].shape == picture.size[::-1]
        assert sample["mask"].max() == 1
        assert sample["image"].ndim == 3
        assert str(sample["caption"]) == f"no. {index} \u00e9"
        tensor = file_store.get(index, "image", "tensor")
        assert np.array_equal(tensor.numpy(), sample["image"])
    with pytest.raises(SchemaError, match="expected 'bytes'"):
        file_store.get(0, "image", "jpg")


def test_images_of_one_size_are_decoded_into_one_array(file_store):
    gathered = file_store.gather([2, 0])
    assert gathered["image"].shape == (2, 5, 7, 3)
    assert np.array_equal(gathered["image"][1], file_store[0]["image"])
    assert gathered["caption"].tolist() == ["no. 2 \u00e9", "no. 0 \u00e9"]
    with pytest.raises(SchemaError, match=r"é 1.png.*\(9, 4.*é 0.png"):
        file_store.gather([0, 1])


def test_what_is_no_store_says_so(tmp_path):
    with pytest.raises(MissingDataError, match=r"is no store: expected a file .*manifest\.json"):
        Store(tmp_path / "typo")
    (tmp_path / "half" / "journal").mkdir(parents=True)  # of images, or whatever
    with pytest.raises(MissingDataError, match="is no store"):
        Store(tmp_path / "half")
    (tmp_path / "half" / "journal" / "plan.json").touch()
    with pytest.raises(UnfinishedStoreError, match="--resume"):
        Store(tmp_path / "half")
    (tmp_path / "manifest.json").write_text('{"kind": "another"}')
    with pytest.raises(MissingDataError, match="kind is 'another'"):
        Store(tmp_path)


@pytest.fixture
def copied(tmp_path, folder):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_newer_version_is_refused(copied):
    path = copied / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(DamagedStoreError, match="Install a newer voxloom"):
        Store(copied)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_manifest_raises_our_errors_alone(folder, tmp_path_factory, data):
    copy = tmp_path_factory.mktemp("damaged")
    text = (folder / "manifest.json").read_bytes()
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 3))]
    else:
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :]
    (copy / "manifest.json").write_bytes(text)
    (copy / "shards").symlink_to(folder / "shards")
    with contextlib.suppress(VoxloomError):
        list(Store(copy))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\\b", ""])
def test_a_manifest_cannot_lead_out_of_its_folder(copied, name):
    path = copied / "manifest.json"
    value = json.loads(path.read_text())
    value["shards"][0]["files"][0]["name"] = name
    path.write_text(json.dumps(value))
    with pytest.raises(DamagedStoreError, match="without folders"):
        Store(copied)


def test_a_missing_shard_is_named(copied):
    shard = sorted((copied / "shards").iterdir())[-1]
    shard.unlink()
    with pytest.raises(MissingDataError, match=shard.name):
        Store(copied)[COUNT - 1]


def test_a_cut_shard_is_named(copied):
    shard = sorted((copied / "shards").iterdir())[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DamagedStoreError, match=rf"{shard.name} has \d+ bytes, and the manifest says"):
        Store(copied)[0]


def test_a_flipped_bit_is_found_on_request(copied):
    for shard in sorted((copied / "shards").iterdir()):
        if shard.name.startswith("00001"):
            data = bytearray(shard.read_bytes())
            data[len(data) // 2] ^= 1
            shard.write_bytes(data)
    store = Store(copied, verify=True)
    assert int(store[0]["image"].max()) == 0  # another shard
    with pytest.raises(DamagedStoreError, match=r"00001.*digest"):
        store[5]


def test_reading_changes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    store = Store(folder, verify=True)
    list(store)
    store.gather([1, 2])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_store_of_no_samples(tmp_path, format):
    store = Store(write_store(tmp_path / "empty", Counting(0), format=format))
    assert len(store) == 0
    assert list(store.keys) == []
    assert store.gather([])["image"].shape == (0, 4, 6, 3)
    assert isinstance(Sample("", store.schema, {}), Sample)


@settings(max_examples=20, deadline=None)
@given(indices=st.lists(st.integers(0, 5), max_size=9))
def test_large_samples_of_several_shards_find_their_places(large, indices):
    gathered = large.gather(indices)["image"]
    assert gathered.shape == (len(indices), 96, 64, 3)
    assert (gathered == np.reshape(indices, (-1, 1, 1, 1))).all()


@pytest.fixture(scope="module")
def large(tmp_path_factory, format):
    source = Counting(6, shape=(96, 64, 3))
    path = tmp_path_factory.mktemp("large") / "store"
    return Store(write_store(path, source, format=format, samples_per_shard=2))


def test_jpegs_are_decoded_no_larger_than_asked(tmp_path):
    source = Files(tmp_path / "files", sizes=((64, 48), (64, 48), (64, 48)))  # a PNG, a JPEG and a BMP
    encodings = {"image": "file", "mask": "file", "caption": "text"}
    store = Store(write_store(tmp_path / "store", source, encodings=encodings)).select("image")
    small = store.scaled(20, 20)
    assert [sample["image"].shape[:2] for sample in small] == [(64, 48), (32, 24), (64, 48)]
    assert store[1]["image"].shape == (64, 48, 3)  # the other is not changed
    assert small.gather([1, 1])["image"].shape == (2, 32, 24, 3)
    assert np.array_equal(small.gather([1])["image"][0], small[1]["image"])


def test_scalars_of_several_samples_are_arrays(folder):
    for sample in Store(folder).__getitems__([3, 9]):
        assert isinstance(sample["label"], np.ndarray)
        assert sample["label"].shape == ()


def test_a_format_that_is_not_installed_is_named_with_the_store(copied):
    path = copied / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "lined"}))
    with pytest.raises(UnknownNameError, match=rf"{copied}.*'lined'"):
        Store(copied)
