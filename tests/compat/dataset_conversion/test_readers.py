"""The older readers, over stores of any format and over folders of the older library."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import voxloom
from voxloom.compat import dataset_conversion as older
from voxloom.compat.dataset_conversion import (
    HDF5Reader,
    IpcReader,
    MemmapReader,
    ParquetReader,
    Reader,
    TarReader,
)
from voxloom.errors import DataError, MissingDataError, SchemaError, UnfinishedStoreError

READERS = {
    "memmap": MemmapReader,
    "hdf5": HDF5Reader,
    "parquet": ParquetReader,
    "arrow": IpcReader,
    "tar": TarReader,
}


@pytest.fixture(scope="module")
def stores(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    for format in READERS:
        voxloom.convert(folder, root / format, format=format, samples_per_shard=4)
    return root


@pytest.mark.parametrize("format", READERS)
def test_images_are_the_files_and_labels_integers(format, folder, stores):
    reader = READERS[format](str(stores / format))
    assert len(reader) == 11
    assert reader.class_to_idx == {"cat": 0, "dog": 1}
    assert isinstance(reader, Reader)
    assert isinstance(reader, torch.utils.data.Dataset)
    for index in range(len(reader)):
        image, label = reader[index]
        name = f"dog/{index - 6}.jpg" if index >= 6 else f"cat/{index}.jpg"
        with Image.open(folder / name) as expected:
            assert image.format == "JPEG"
            assert np.array_equal(image, expected)
        assert type(label) is int
        assert label == int(index >= 6)


@pytest.mark.parametrize("format", READERS)
def test_indices_count_from_the_end_too_and_end(format, stores):
    reader = READERS[format](stores / format)
    assert np.array_equal(reader[-1][0], reader[10][0])
    for index in (11, -12):
        with pytest.raises(IndexError, match=r"\[-11, 11\)"):
            reader[index]
    assert sum(1 for _ in reader) == 11


def size_of(image):
    return torch.tensor(image.size)


def doubled(label):
    return 2 * label


@pytest.mark.parametrize("format", READERS)
def test_they_travel_to_other_processes(format, stores):
    reader = READERS[format](stores / format, transform=size_of, target_transform=doubled)
    assert reader[7][1] == 2
    for other in (pickle.loads(pickle.dumps(reader)), copy.deepcopy(reader)):
        assert other[7][0].tolist() == [30, 21]


@pytest.mark.parametrize("format", READERS)
def test_forked_workers_read_what_one_process_reads(format, stores):
    reader = READERS[format](stores / format, transform=size_of)
    loader = DataLoader(
        reader, 4, num_workers=2, worker_init_fn=reader.worker_init_fn, multiprocessing_context="fork"
    )
    found = torch.cat([images for images, _ in loader]).tolist()
    assert found == [reader[index][0].tolist() for index in range(11)]


def test_spawned_workers_do_too(stores):
    reader = IpcReader(stores / "arrow", transform=size_of)
    loader = DataLoader(
        reader, 6, num_workers=2, worker_init_fn=IpcReader.worker_init_fn, multiprocessing_context="spawn"
    )
    assert [labels.tolist() for _, labels in loader] == [[0] * 6, [1] * 5]


def test_a_reader_opens_any_format(stores):
    assert len(TarReader(stores / "memmap")) == 11


def test_a_transform_may_be_put_in_later(stores):
    reader = MemmapReader(stores / "memmap")
    reader.transform = size_of
    assert reader[0][0].tolist() == [30, 20]


def test_planes_first_become_an_image(tmp_path):
    data = [(torch.arange(24, dtype=torch.uint8).reshape(3, 2, 4), 1)]
    voxloom.convert(data, tmp_path / "s", format="memmap")
    image, _ = MemmapReader(tmp_path / "s")[0]
    assert (image.mode, image.size) == ("RGB", (4, 2))
    assert image.getpixel((3, 1)) == (7, 15, 23)


def test_labels_that_are_no_classes(tmp_path):
    for name, label in {"real": 0.5, "text": "a note"}.items():
        voxloom.convert([(Image.new("L", (3, 2)), label)], tmp_path / name)
        reader = IpcReader(tmp_path / name)
        assert reader[0][1] == label
        assert reader.class_to_idx is None


def test_what_cannot_be_handed_out_is_told(folder, tmp_path):
    voxloom.convert(folder / "cat", tmp_path / "images")
    with pytest.raises(SchemaError, match=r"fields image \(image\)"):
        IpcReader(tmp_path / "images")
    voxloom.convert([(np.zeros((2, 3), np.int64), 0)], tmp_path / "long")
    with pytest.raises(SchemaError, match="int64 of shape"):
        IpcReader(tmp_path / "long")[0]
    with pytest.raises(MissingDataError):
        IpcReader(tmp_path / "nothing")


def test_a_half_made_store_does_not_open(folder, tmp_path):
    older.TarConverter(folder, tmp_path / "s", 4, 4, 0, dist=True, rank=0, num_replicas=3).convert()
    with pytest.raises(UnfinishedStoreError):
        TarReader(tmp_path / "s")


# -- folders of the older library -----------------------------------------------------------------


@pytest.fixture
def older_memmap(tmp_path):
    """Write a folder as its documents lay it out: raw bytes and a shape in the metadata."""

    def write(mode, pixels, labels):
        for name in ("images", "labels", "metadata"):
            (tmp_path / name).mkdir()
        for number, start in enumerate(range(0, len(pixels), 2)):
            pixels[start : start + 2].tofile(tmp_path / "images" / f"images_{number}.npy")
            labels[start : start + 2].tofile(tmp_path / "labels" / f"labels_{number}.npy")
        facts = {"num_images_per_array": 2, "len": len(pixels), "len_last_array": 1, "total_num_arrays": 1}
        facts |= {"mode": mode, "shape": list(pixels.shape[1:3])}
        (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts))
        (tmp_path / "metadata" / "class_to_integer_mapping.json").write_text('{"a": 0, "b": 1}')
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("CMYK", 4), ("HSV", 3), ("1", 1)]
)
def test_older_folders_keep_their_mode(mode, channels, older_memmap):
    top = 2 if mode == "1" else 255
    pixels = np.random.default_rng(0).integers(0, top, (3, 4, 6, channels), np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    reader = MemmapReader(older_memmap(mode, pixels, np.array([1, 0, 1])))
    image, label = reader[-1]
    assert (len(reader), image.mode, image.size, label) == (3, mode, (6, 4), 1)
    assert np.array_equal(np.array(image), pixels[2])
    assert reader.class_to_idx == {"a": 0, "b": 1}


def test_older_folders_of_masks(older_memmap):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 4, 6, 3), np.uint8)
    reader = older.DenseMemmapReader(older_memmap("RGB", pixels, pixels[::-1]), target_transform=np.array)
    assert np.array_equal(reader[0][1], pixels[2])
    assert np.array_equal(reader.masks, pixels[::-1])


# -- readers of one's own -------------------------------------------------------------------------


class TextReader(Reader):
    """As a user writes one: a file of lines."""

    def _read(self):
        lists = []
        for name in ("images", "labels"):
            folder = f"{self.dataset_path}/{name}"
            lists.append([open(f"{folder}/{name}_{k}.txt") for k in range(self.total_num_arrays)])  # noqa: SIM115
        return lists

    def __getitem__(self, index):
        number, row = divmod(index, self.images_per_file)
        for files in (self.im_list, self.labels_list):
            files[number].seek(0)
        image = self.im_list[number].read().split()[row]
        label = int(self.labels_list[number].read().split()[row])
        return (image if self.transform is None else self.transform(image)), label

    def close(self):
        for file in (*self.im_list, *self.labels_list):
            file.close()


@pytest.fixture
def lines(tmp_path):
    for name, parts in {"images": ("a b", "c"), "labels": ("0 1", "0")}.items():
        (tmp_path / name).mkdir()
        for number, text in enumerate(parts):
            (tmp_path / name / f"{name}_{number}.txt").write_text(text)
    (tmp_path / "metadata").mkdir()
    facts = {"num_images_per_array": 2, "len": 3, "len_last_array": 1, "total_num_arrays": 2}
    (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts))
    return tmp_path


def test_a_reader_of_ones_own(lines):
    reader = TextReader(lines, transform=str.upper)
    copied = pickle.loads(pickle.dumps(reader))
    assert [reader[index] for index in range(len(reader))] == [("A", 0), ("B", 1), ("C", 0)]
    assert copied[2] == ("C", 0)
    assert (reader.class_to_idx, reader.mode, reader.len_last_array) == (None, None, 1)
    reader.worker_init_fn(0)
    reader.close()
    copied.close()


def test_metadata_that_are_none(lines):
    path = lines / "metadata" / "metadata.json"
    for text, told in {"{}": "lacks len, num_images_per_array", "[]": "list", "{": "JSON"}.items():
        path.write_text(text)
        with pytest.raises(DataError, match=told):
            TextReader(lines)
    path.unlink()
    with pytest.raises(MissingDataError):
        TextReader(lines)
