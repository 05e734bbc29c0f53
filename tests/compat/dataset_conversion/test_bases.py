"""Converters of one's own, derived from the older bases as their documents show."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

import voxloom
from voxloom.compat.dataset_conversion import (
    ConverterFixedSize,
    ConverterFlexibleSize,
    CustomDistributedSampler,
    distributedConverter,
)
from voxloom.errors import ConfigError, OutputExistsError, SchemaError
from voxloom.testing.images import snapshot


@distributedConverter
class RawConverter(ConverterFixedSize):
    """Writes what the older library's memmap format is, so that `voxloom.open` can judge it."""

    def _init_arrays(self):
        self.im_list, self.labels_list = [], []
        for number in self.files:
            rows = min(self.images_per_file, self.length - number * self.images_per_file)
            shape = (rows, *self.shape, 3)
            for name, arrays, dtype, of in (
                ("images", self.im_list, np.uint8, shape),
                ("labels", self.labels_list, np.int64, (rows,)),
            ):
                path = os.path.join(self.output_path, name, f"{name}_{number}.npy")
                arrays.append(np.memmap(path, dtype, "w+", shape=of))


@distributedConverter
class TarlessConverter(ConverterFlexibleSize):
    """Writes a folder of files for each number."""

    def _write_data_to_disk(self, images, labels, file_number):
        for row, image in enumerate(images):
            with open(os.path.join(self.output_path, "images", f"{file_number}_{row}"), "wb") as file:
                file.write(image)
        with open(os.path.join(self.output_path, "labels", f"{file_number}.json"), "w") as file:
            json.dump(labels, file)


@pytest.mark.parametrize(
    ("each", "batch", "workers"), [(4, 2, 0), (4, 3, 0), (3, 7, 0), (20, 4, 0), (4, 3, 2)]
)
def test_fixed_sizes_fill_their_files(each, batch, workers, folder, tmp_path):
    RawConverter(str(folder), tmp_path, each, batch, workers, shape=(8, 12), im_mode="RGB").convert()
    source = voxloom.open(tmp_path)
    assert [int(sample["label"]) for sample in source] == [0] * 6 + [1] * 5
    assert source.schema["label"].categories == ("cat", "dog")
    with Image.open(folder / "dog" / "2.jpg") as image:
        assert np.array_equal(source[8]["image"], image.resize((12, 8)))
    facts = json.loads((tmp_path / "metadata" / "metadata.json").read_text())
    assert facts == {
        "num_images_per_array": each,
        "len": 11,
        "len_last_array": 11 % each,
        "total_num_arrays": -(-11 // each),
        "mode": "RGB",
        "shape": [8, 12],
    }
    assert sorted(os.listdir(tmp_path / "metadata")) == ["class_to_integer_mapping.json", "metadata.json"]


@pytest.mark.parametrize(("each", "batch"), [(4, 2), (4, 3), (3, 7), (20, 4), (10, 5)])
def test_flexible_sizes_are_written_file_by_file(each, batch, folder, tmp_path):
    TarlessConverter(folder, tmp_path, each, batch, 0).convert()
    labels = [json.loads((tmp_path / "labels" / f"{k}.json").read_text()) for k in range(-(-11 // each))]
    assert [label for some in labels for label in some] == [0] * 6 + [1] * 5
    number, row = divmod(8, each)
    assert (tmp_path / "images" / f"{number}_{row}").read_bytes() == (folder / "dog" / "2.jpg").read_bytes()


def test_a_collate_function_of_ones_own(folder, tmp_path):
    class Mine(TarlessConverter):
        @staticmethod
        def _custom_collate_fn(batch):
            return [str(image.size).encode() for image, _ in batch], [-label for _, label in batch]

    Mine(folder, tmp_path, 4, 3, 0).convert()
    assert (tmp_path / "images" / "1_1").read_bytes() == b"(30, 25)"
    assert json.loads((tmp_path / "labels" / "1.json").read_text()) == [0, 0, -1, -1]


@pytest.mark.parametrize("base", [RawConverter, TarlessConverter])
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_ranks_share_files_and_idle_ones_destroy_nothing(base, order, folder, tmp_path):
    more = {"shape": (8, 12)} if base is RawConverter else {}

    def run(path, **ranks):
        base(folder, path, 4, 3, 0, **more, **ranks).convert()

    for rank in order:
        assert not (tmp_path / "many" / "metadata" / "metadata.json").exists()
        run(tmp_path / "many", dist=True, rank=rank, num_replicas=5)
    run(tmp_path / "one")
    many, one = ({n: d for n, (d, _) in snapshot(tmp_path / name).items()} for name in ("many", "one"))
    assert many == one


def test_what_is_done_is_not_done_again(folder, tmp_path):
    def run(each=4):
        TarlessConverter(folder, tmp_path, each, 3, 0).convert()

    run()
    before = snapshot(tmp_path)
    run()
    assert snapshot(tmp_path) == before
    with pytest.raises(OutputExistsError, match="another conversion"):
        run(5)


def test_arrays_may_be_returned_for_all_files(tmp_path):
    class Kept(ConverterFixedSize):
        def _init_arrays(self):
            return np.zeros((2, 2, 3, 4), np.uint8), np.zeros((2, 2), int)

    data = [(Image.new("L", (4, 3), index), index) for index in range(3)]
    made = Kept(data, tmp_path, 2, 2, 0)
    made.convert()
    assert made.im_list[:, :, 0, 0].tolist() == [[0, 1], [2, 0]]
    assert made.labels_list.tolist() == [[0, 1], [2, 0]]


def test_a_wrong_number_of_arrays_is_told(tmp_path):
    class Short(ConverterFixedSize):
        def _init_arrays(self):
            return [], []

    with pytest.raises(SchemaError, match="made 0 arrays"):
        Short([(Image.new("L", (4, 3)), 0)], tmp_path, 2, 2, 0).convert()


def test_what_cannot_be_meant_is_told(folder, tmp_path):
    with pytest.raises(ConfigError, match="images_per_file=0"):
        TarlessConverter(folder, tmp_path, 0, 3, 0)
    with pytest.raises(ConfigError, match=r"shape=\(height, width\)"):
        RawConverter(folder, tmp_path, 4, 3, 0)
    with pytest.raises(TypeError):
        ConverterFixedSize(folder, tmp_path, 4, 3, 0, (4, 4))


def test_the_decorator_leaves_the_class_itself():
    assert RawConverter.__name__ == "RawConverter"
    assert "older library" in RawConverter.__doc__


@pytest.mark.parametrize("world", [1, 2, 3, 48, 130])
def test_the_sampler_gives_whole_files_evenly(world):
    parts = [
        CustomDistributedSampler(range(1283), 10, num_replicas=world, rank=rank) for rank in range(world)
    ]
    assert [index for part in parts for index in part] == list(range(1283))
    sizes = [len(part.files) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert all(parts)  # scripts ask `if self.sampler`
    parts[0].set_epoch(3)
    assert len(parts[0]) == len(list(parts[0]))
