"""The older converters, as their documents promise them."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import voxloom
from voxloom.compat import dataset_conversion as older
from voxloom.compat.dataset_conversion import (
    DenseIpcConverter,
    DenseMemmapConverter,
    HDF5Converter,
    IpcConverter,
    MemmapConverter,
    MemmapReader,
    ParquetConverter,
    TarConverter,
)
from voxloom.errors import CompatError, ConfigError, OutputExistsError, UnfinishedStoreError
from voxloom.sources import DatasetSource
from voxloom.testing.images import snapshot

FIXED = {"memmap": MemmapConverter, "hdf5": HDF5Converter}
FLEXIBLE = {"parquet": ParquetConverter, "arrow": IpcConverter, "tar": TarConverter}


@pytest.mark.parametrize("format", FIXED)
def test_fixed_sizes_are_height_and_width(format, folder, tmp_path):
    report = FIXED[format](str(folder), tmp_path / "s", 4, 2, 0, (24, 36), "L").convert()
    store = report.store()
    assert (store.manifest.format, len(store), store.schema["image"].shape) == (format, 11, (24, 36, 1))
    assert [shard.samples for shard in store.manifest.shards] == [4, 4, 3]
    with Image.open(folder / store.keys[7]) as image:
        expected = image.convert("L").resize((36, 24), Image.Resampling.BICUBIC)
    assert np.abs(store[7]["image"][..., 0].astype(int) - np.array(expected, int)).max() <= 1


@pytest.mark.parametrize("format", FLEXIBLE)
def test_flexible_formats_keep_the_files(format, folder, tmp_path):
    store = (
        FLEXIBLE[format](folder, tmp_path / "s", images_per_file=4, batch_size=4, num_workers=0)
        .convert()
        .store()
    )
    assert store.manifest.format == format
    for index, key in enumerate(store.keys):
        assert store.get(index, "image", "bytes") == (folder / key).read_bytes()


def test_batches_need_not_divide_files(folder, tmp_path):
    store = (
        IpcConverter(folder, tmp_path / "s", images_per_file=5, batch_size=3, num_workers=0).convert().store()
    )
    assert len(store.manifest.shards) == 3


def test_a_dataset_is_taken_as_it_is(tmp_path):
    images = [Image.new("RGB", (6, 4), (index, 0, 0)) for index in range(3)]
    data = [(image, index) for index, image in enumerate(images)]
    store = MemmapConverter(data, tmp_path / "s", 2, 2, 0).convert().store()
    assert store.schema["image"].shape == (4, 6, 3)
    assert [int(label) for label in store.column("label")] == [0, 1, 2]


@pytest.mark.parametrize("format", FLEXIBLE)
def test_images_that_are_decoded_already_become_png(format, tmp_path):
    """As torchvision's ImageFolder hands them out; arrays would be many times larger."""
    images = [Image.effect_noise((9 + index, 7), 50).convert("RGB") for index in range(3)]
    data = [(image, index) for index, image in enumerate(images)]
    store = FLEXIBLE[format](data, tmp_path / "s", 2, 2, 0).convert().store()
    assert store.manifest.encodings["image"] == "png"
    for index, (image, label) in enumerate(older.IpcReader(tmp_path / "s")):
        assert (image.format, label) == ("PNG", index)
        assert np.array_equal(image, images[index])


class Named(list):
    categories = ("ash", "oak")


class Numbered(list):
    class_to_idx = {"oak": 1, "ash": 0}  # noqa: RUF012


@pytest.mark.parametrize("kind", [Named, Numbered])
def test_classes_of_a_dataset_are_honoured(kind, tmp_path):
    data = kind([(Image.new("L", (6, 4)), 1), (Image.new("L", (6, 4)), 0)])
    IpcConverter(data, tmp_path / "s", 2, 2, 0).convert()
    assert older.IpcReader(tmp_path / "s").class_to_idx == {"ash": 0, "oak": 1}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"])
def test_modes_come_back(mode, folder, tmp_path):
    source = folder if mode != "P" else [(Image.new("P", (9, 5)), 0)]
    MemmapConverter(source, tmp_path / "s", 4, 2, 0, shape=(5, 9), im_mode=mode).convert()
    image, label = MemmapReader(tmp_path / "s")[0]
    assert (image.mode, image.size, label) == (mode, (9, 5), 0)


def test_real_numbers_and_16_bits_are_kept(tmp_path):
    values = np.array([[302, 65535], [0, 7]], np.uint16)
    MemmapConverter([(Image.fromarray(values), 0)], tmp_path / "16", 1, 1, 0).convert()
    assert np.array_equal(MemmapReader(tmp_path / "16")[0][0], values)
    half = np.full((2, 3), 0.5, np.float32)
    MemmapConverter([(Image.fromarray(half), 0)], tmp_path / "f", 1, 1, 0, (2, 3), "F").convert()
    assert np.array_equal(MemmapReader(tmp_path / "f")[0][0], half)


def test_a_second_run_finds_the_work_done(folder, tmp_path):
    def run():
        return TarConverter(folder, tmp_path / "s", 4, 4, 0).convert()

    run()
    before = snapshot(tmp_path)
    assert run().converted == 0
    assert snapshot(tmp_path) == before


def test_a_run_that_was_stopped_goes_on(folder, tmp_path):
    for rank in (0, 1, 2, 0):  # as after a requeue: some shards are there
        report = TarConverter(folder, tmp_path / "s", 4, 4, 0, dist=True, rank=rank, num_replicas=3).convert()
    assert report.finished
    TarConverter(folder, tmp_path / "whole", 4, 4, 0).convert()
    left, right = (snapshot(tmp_path / name) for name in ("s", "whole"))
    assert {name: digest for name, (digest, _) in left.items()} == {
        name: digest for name, (digest, _) in right.items()
    }


def test_another_conversion_is_not_mixed_in(folder, tmp_path):
    TarConverter(folder, tmp_path / "s", 4, 4, 0).convert()
    with pytest.raises(ConfigError, match="another conversion"):
        TarConverter(folder, tmp_path / "s", 5, 5, 0).convert()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputExistsError):
        TarConverter(folder, tmp_path / "mine", 4, 4, 0).convert()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"shape": 224}, "expected the height and the width"),
        ({"shape": (0, 3)}, "one pixel at least"),
        ({}, r"expected shape=\(height, width\)"),
        ({"shape": (4, 4), "im_mode": "RBG"}, "mode 'RBG' is not supported"),
        ({"shape": (4, 4), "batch_size": 0}, "batch_size=0"),
        ({"shape": (4, 4), "dist": True, "rank": 1}, "expected both"),
        ({"shape": (4, 4), "dist": True, "rank": 3, "num_replicas": 2}, "rank 3 of 2"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(arguments, told, folder, tmp_path):
    given = {"images_per_file": 4, "batch_size": 2, "num_workers": 0, **arguments}
    with pytest.raises((ConfigError, RuntimeError), match=told):
        MemmapConverter(str(folder), tmp_path / "s", **given)
    assert not (tmp_path / "s").exists()


def test_root_in_archive_is_told_to_have_no_meaning(folder, tmp_path, caplog):
    TarConverter(folder, tmp_path / "s", 4, 4, 0, root_in_archive="x")
    assert "no meaning" in caplog.text


def test_steps_that_a_store_lacks_cannot_be_changed():
    with pytest.raises(CompatError, match="derive from ConverterFixedSize"):
        type("Mine", (MemmapConverter,), {"_init_arrays": lambda self: None})


def test_they_are_what_they_were():
    assert issubclass(MemmapConverter, older.ConverterFixedSize)
    assert issubclass(TarConverter, older.ConverterFlexibleSize)
    assert older.Hdf5Converter is HDF5Converter


RANKS = """
import sys
from voxloom.compat.dataset_conversion import {name}
{name}(sys.argv[1], sys.argv[2], 3, 3, 0, shape=(8, 12), im_mode="RGB", dist=True).convert()
"""


@pytest.mark.parametrize("world", [2])
def test_ranks_share_the_files(world, folder, tmp_path):
    """Real processes, as srun starts them; no process group."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANKS.format(name="MemmapConverter"), folder, tmp_path / "s"],
            env={**os.environ, "SLURM_PROCID": str(rank), "SLURM_NTASKS": str(world), "SLURM_STEP_ID": "0"},
            stderr=subprocess.PIPE,
        )
        for rank in range(world)
    ]
    for process in processes:
        _, told = process.communicate()
        assert process.returncode == 0, told.decode()
    MemmapConverter(folder, tmp_path / "alone", 3, 3, 0, shape=(8, 12)).convert()
    ours, alone = voxloom.open(tmp_path / "s"), voxloom.open(tmp_path / "alone")
    assert ours.manifest == alone.manifest


def test_idle_ranks_destroy_nothing(folder, tmp_path):
    def run(rank):
        return MemmapConverter(
            folder, tmp_path / "s", 6, 3, 0, (8, 12), dist=True, rank=rank, num_replicas=7
        ).convert()

    with pytest.raises(UnfinishedStoreError):
        [run(rank) for rank in (3, 0)] and older.MemmapReader(tmp_path / "s")
    for rank in (6, 1, 2, 4, 5):
        run(rank)
    before = snapshot(tmp_path)
    run(0)
    assert snapshot(tmp_path) == before
    assert len(MemmapReader(tmp_path / "s")) == 11


def test_one_rank_is_a_case_of_many(folder, tmp_path):
    done = MemmapConverter(folder, tmp_path / "s", 6, 3, 0, (8, 12), dist=True, rank=0, num_replicas=1)
    assert done.convert().finished


# -- masks ----------------------------------------------------------------------------------------


def test_dense_arrays_hold_instances_height_width_channels(masks, tmp_path):
    DenseMemmapConverter(masks, tmp_path / "s", 2, 2, 0, shape=(6, 9), im_mode="RGB").convert()
    reader = older.DenseMemmapReader(tmp_path / "s")
    assert reader.images.shape == (5, 6, 9, 3)
    assert reader.masks.shape == (5, 6, 9, 1)
    assert set(np.unique(reader.masks)) <= {0, 1, 2}
    image, mask = reader[2]
    assert (image.mode, image.size, mask.mode, mask.size) == ("RGB", (9, 6), "L", (9, 6))
    rows, columns = (2 * np.arange(6) + 1) * 12 // 12, (2 * np.arange(9) + 1) * 18 // 18
    assert np.array_equal(mask, np.array(masks[2][1])[rows][:, columns])


def test_dense_masks_in_colour_keep_their_colours(masks, tmp_path):
    """As the older example has it: one transform for both, which makes colours of a palette."""
    resize = older.ResizeAndConvert((7, 11), "RGB")
    data = [tuple(map(resize, masks[index])) for index in range(5)]
    DenseMemmapConverter(data, tmp_path / "s", 2, 2, 0).convert()
    reader = older.DenseMemmapReader(tmp_path / "s")
    assert reader.masks.shape == (5, 7, 11, 3)
    colours = {tuple(colour) for colour in reader.masks.reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), (128, 0, 0), (0, 128, 0)}


def test_dense_ipc_loses_nothing(masks, tmp_path):
    DenseIpcConverter(masks, tmp_path / "s", 2, 2, 0).convert()
    reader = older.DenseIpcReader(tmp_path / "s", target_transform=np.array)
    for index in range(len(masks)):
        image, mask = reader[index]
        assert np.array_equal(image, masks[index][0])
        assert np.array_equal(mask, masks[index][1])


def test_dense_ipc_keeps_mask_files(masks, tmp_path):
    files = []
    for index in range(2):
        image, mask = masks[index]
        image.save(tmp_path / f"{index}.jpg")
        mask.save(tmp_path / f"{index}.png")
        files.append((tmp_path / f"{index}.jpg", tmp_path / f"{index}.png"))

    class Files(list):
        def __getitem__(self, index):
            return tuple(Image.open(io.BytesIO(path.read_bytes())) for path in files[index])

    DenseIpcConverter(Files(files), tmp_path / "s", 2, 2, 0).convert()
    _, mask = older.DenseIpcReader(tmp_path / "s")[1]
    assert (mask.mode, mask.getpalette()[:6]) == ("P", [0, 0, 0, 128, 0, 0])
    assert DatasetSource(Files(files)).schema["mask"].kind == "mask"
    assert files[1][1].read_bytes() == voxloom.open(tmp_path / "s").get(1, "mask", "bytes")
