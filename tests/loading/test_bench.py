import os
import time

import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.errors import DataError, UnreadableImageError
from voxloom.loading import bench as module
from voxloom.loading.bench import Bench, BenchRow, BenchSettings, bench, evict
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import ImageFolder, write_image
from voxloom.sources.files import flat_folder


class Clock:
    """Goes on by a fixed time at each look."""

    def __init__(self, step=0.25):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.fixture
def folder(tmp_path):
    for i in range(10):
        write_image(tmp_path / "ct" / f"{i}.tif", np.full((4, 6), i))
    return tmp_path / "ct"


def timed(source, clock=None, files=(), **settings):
    return bench(
        source,
        BenchSettings(**{"batch_size": 4, "seconds": 1.0, **settings}),
        files=files,
        clock=clock or Clock(),
    )


def test_each_stage_is_timed_in_order_and_shuffled(folder):
    found = timed(ImageFolder(folder))
    kinds = [(row.stage, row.shuffled, row.cold, row.workers) for row in found.rows]
    stages = ["storage", "decoding", "loader"]
    assert kinds == [(stage, shuffled, False, 0) for shuffled in (False, True) for stage in stages]
    # four looks of a quarter second: batches of 4, 4, 2 and 4 again
    assert {(row.samples, row.seconds, row.rate) for row in found.rows[:2]} == {(14, 1.0, 14.0)}
    stored, decoded = found.rows[:2]
    assert stored.byte_rate == 14 * (folder / "0.tif").stat().st_size
    assert decoded.byte_rate == 14 * 96
    assert found.source == f"10 images of {folder}"
    assert found.notes == ()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_workers_are_rows_of_the_loader(folder):
    found = timed(ImageFolder(folder), workers=(0, 1))
    assert [row.workers for row in found.rows if row.stage == "loader"] == [0, 1, 0, 1]
    assert found.row("loader", 1, shuffled=False).samples > 0
    with pytest.raises(KeyError):
        found.row("loader", 7)


def test_cold_rows_see_each_sample_once(folder, monkeypatch):
    evicted = []
    monkeypatch.setattr(module, "evict", lambda files: evicted.append(list(files)) or True)
    files = sorted(folder.iterdir())
    found = timed(ImageFolder(folder), files=files, cold=True, seconds=0.02, clock=Clock(0.001))
    cold = [row for row in found.rows if row.cold]
    assert [row.stage for row in cold] == ["storage", "decoding", "loader"] * 2
    assert [row.samples for row in cold] == [10] * 6
    assert evicted == [files] * 7  # each row, and once to see whether it can be


def test_what_hinders_cold_rows_is_noted(folder, monkeypatch):
    assert "the files of this source are not known" in timed(ImageFolder(folder), cold=True).notes[0]
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    files = sorted(folder.iterdir())
    found = timed(ImageFolder(folder), files=files, cold=True)
    assert "this system puts no single file out of memory" in found.notes[0]
    assert not any(row.cold for row in found.rows)
    monkeypatch.setattr(module, "evict", lambda files: True)
    monkeypatch.setattr(module, "_blocks_read", lambda: 7)
    assert "cold may be warm here" in timed(ImageFolder(folder), files=files, cold=True).notes[0]


def test_eviction_leaves_the_files_as_they_are(folder):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert evict(before) is hasattr(os, "posix_fadvise")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_files_that_take_too_long_to_warm_are_noted(folder):
    found = timed(ImageFolder(folder), files=sorted(folder.iterdir()), clock=Clock(6.0))
    assert found.notes[0].startswith("warm: only the first")


def test_images_of_several_sizes_come_in_batches_of_one(tmp_path):
    for i in range(4):
        write_image(tmp_path / "ct" / f"{i}.tif", np.full((4, 6 + i), i))
    found = timed(ImageFolder(tmp_path / "ct"))
    assert len(found.notes) == 1
    assert found.notes[0].startswith("the loader gives batches of 1, since not all samples have one shape")
    assert all(row.samples for row in found.rows)
    assert not found.is_batched
    assert found.shares()["loader"] == 0  # batches of one tell nothing of the loader


def test_a_single_batch_will_do(folder):
    found = timed(
        ImageFolder(folder)[:2], files=sorted(folder.iterdir()), cold=True, seconds=0.02, clock=Clock(0.001)
    )
    assert all(row.samples == 2 and row.seconds > 0 for row in found.rows if row.cold)
    assert all(row.samples > 20 for row in found.rows if not row.cold)


def test_bytes_of_files_are_fetched_and_text_is_left_out():
    class Files(Source):
        schema = Schema([Field(name="image"), Field(name="name", kind="text", axes="", dtype="str")])
        keys = ("a", "b")

        def read(self, index):
            return Sample(
                self.keys[index],
                self.schema,
                {"image": np.zeros((1, 2, 2), "float32"), "name": np.array("x")},
            )

        def cells(self, index):
            return {"image": memoryview(b"abc"), "name": b"x"}

    module.Files = Files  # where pickle finds it
    Files.__module__, Files.__qualname__ = module.__name__, "Files"
    found = timed(Files())
    del module.Files
    stored, decoded = found.row("storage"), found.row("decoding")
    assert stored.bytes == 3 * stored.samples
    assert decoded.bytes == 16 * decoded.samples


def test_nothing_to_read_and_what_cannot_be_read(folder):
    with pytest.raises(DataError, match="no sample to read"):
        timed(ImageFolder(folder)[:0])
    (folder / "0.tif").write_bytes(b"")
    with pytest.raises(UnreadableImageError, match=r"0\.tif"):
        timed(ImageFolder(folder))


def made(storage, decoding, *loader, cold=False):
    """Rows of given rates; the loader's by number of workers."""
    rates = [("storage", 0, storage), ("decoding", 0, decoding), *(("loader", *each) for each in loader)]
    return Bench("x", tuple(BenchRow(stage, True, cold, n, rate, 0, 1.0) for stage, n, rate in rates))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (made(100, 90, (0, 80)), "Storage bounds it (80% of the time of a warm sample)"),
        (made(10_000, 100, (0, 90)), "Decoding bounds it (89% of the time of a warm sample)"),
        (made(10_000, 9_000, (0, 1000)), "Making batches bounds it (89% of the time of a warm sample)"),
        (made(100, 90, (0, 80), cold=True), "Storage bounds it (80% of the time of a cold sample)"),
        (made(1000, 2000, (0, 500)), "Storage bounds it"),  # gathering samples is faster than cell by cell
        (made(10_000, 100, (2, 180)), "Decoding bounds it"),
    ],
)  # fmt: skip
def test_the_verdict_names_the_slowest_stage(found, said):
    assert found.verdict.startswith(said)
    assert ": try " in found.verdict
    assert sum(found.shares(cold=found.rows[0].cold).values()) == pytest.approx(1)


def test_the_fastest_loader():
    found = made(1000, 500, (0, 90), (2, 170), (4, 160))
    assert (found.fastest.workers, found.fastest.rate) == (2, 170)


class Stored(Source):
    """Arrays that a source gathers, or files of which each takes a while to fetch."""

    schema = Schema([Field(name="image", axes="yx", dtype="uint8", shape=(4, 4))])
    keys = tuple(map(str, range(64)))

    def __init__(self):
        self.calls = []

    def cells(self, index):
        return {"image": np.zeros((4, 4), np.uint8)}

    def read(self, index):
        raise AssertionError("the loader gathers, and so does what is timed")

    def gather(self, indices, *, out=None):
        array = (out or {}).get("image")
        return {"image": np.zeros((len(indices), 4, 4), np.uint8) if array is None else array}


class Opening(Stored):
    """Takes its time with the first batch of each copy."""

    late = None

    def gather(self, indices, *, out=None):
        if not self.calls:
            self.calls.append(indices)
            Opening.late.now += 100
        return super().gather(indices, out=out)


class Slow(Source):
    """Files on a storage that answers after a while."""

    schema = Schema([Field(name="image", axes="yx", dtype="uint8")])
    keys = tuple(map(str, range(64)))

    def cells(self, index):
        time.sleep(0.002)
        return {"image": b"0" * 16}

    def read(self, index):
        return Sample("", self.schema, {"image": np.frombuffer(self.cells(index)["image"], np.uint8)})


def test_what_the_loader_gathers_is_timed_gathered():
    found = timed(Stored())
    assert found.is_decoded
    assert {row.bytes for row in found.rows if row.stage == "decoding"} == {16 * 16}


def test_arrays_are_not_told_to_be_stored_decoded():
    rows = made(10_000, 100, (0, 90)).rows
    assert "already decoded" in Bench("x", rows).verdict
    raw = Bench("x", rows, is_decoded=True).verdict
    assert "decoded" not in raw.lower()
    assert "Decoding" not in raw
    assert "blosc" not in Bench("x", made(100, 90, (0, 80)).rows, is_decoded=True).verdict


def test_a_raw_store_is_not_bound_by_decoding(folder, tmp_path):
    store = convert(folder, tmp_path / "s", format="memmap", encoding="raw").store()
    found = bench(store, BenchSettings(batch_size=4, seconds=0.02))
    assert found.is_decoded
    assert not found.verdict.startswith("Decoding")


def test_files_are_bound_by_decoding_and_a_slow_storage_by_itself(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    (tmp_path / "p").mkdir()
    for i in range(4):
        Image.fromarray(pixels).save(tmp_path / "p" / f"{i}.jpg")
    found = bench(flat_folder(tmp_path / "p"), BenchSettings(batch_size=2, seconds=0.05))
    assert found.verdict.startswith("Decoding bounds it")
    assert not found.is_decoded
    assert bench(Slow(), BenchSettings(batch_size=2, seconds=0.03)).verdict.startswith("Storage bounds it")


def test_the_first_batch_of_a_warm_row_is_not_timed():
    Opening.late = Clock(0.25)
    found = timed(Opening(), Opening.late)
    assert all(row.seconds == 1.0 for row in found.rows)


def test_the_same_number_of_workers_is_timed_once(folder):
    found = timed(ImageFolder(folder), workers=(0, 0))
    assert [row.stage for row in found.rows].count("loader") == 2
