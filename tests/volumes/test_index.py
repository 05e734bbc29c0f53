import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import ConfigError
from voxloom.geometry import Box
from voxloom.testing.volumes import VolumeForm, write_classes, write_volume
from voxloom.volumes import index as counting
from voxloom.volumes import index_cache
from voxloom.volumes.class_cells import class_weights
from voxloom.volumes.classes import Classes
from voxloom.volumes.index import class_index, class_indexes
from voxloom.volumes.labels import Labels

CLASSES = Classes(names=("mito", "er", "nucleus"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("VOXLOOM_CACHE", str(folder))
    return folder


def masks(shape=(24, 40, 44), seed=0):
    rng = np.random.default_rng(seed)
    blob = np.zeros(shape, np.uint8)
    blob[2:9, 5:25, 10:24] = rng.integers(0, 2, blob[2:9, 5:25, 10:24].shape)
    return {"mito": blob, "er": (rng.random(shape) < 0.1).astype(np.uint8)}


def opened(folder, arrays, **form):
    return Labels.open(write_classes(folder, arrays, spacing=(16.0, 8.0, 8.0), form=VolumeForm(**form)))


def files(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


def boxes(cells):
    """The box in the world of each cell that holds the class."""
    for number in cells.numbers.tolist():
        place = np.unravel_index(number, cells.grid.shape)
        yield Box.around(cells.grid.world([int(p) for p in place]), cells.grid.spacing)


def test_counts_are_right_in_each_cell(tmp_path):
    arrays = masks()
    index = class_index(opened(tmp_path / "crop", arrays), CLASSES)
    assert index.annotated == index.found == ("mito", "er")
    for name, array in arrays.items():
        cells = index.cells[name]
        assert cells.total == array.sum()
        assert (cells.counted, cells.volume) == (array.size, array.size * 16 * 8 * 8)
        for box, count in zip(boxes(cells), cells.counts.tolist(), strict=True):
            low = [round(w / s + 0.5) for w, s in zip(box.low, (16, 8, 8), strict=True)]
            high = [round(h / s + 0.5) for h, s in zip(box.high, (16, 8, 8), strict=True)]
            part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
            assert count == part.sum() > 0


def test_ids_with_names_are_counted_by_class(tmp_path):
    ids = np.zeros((8, 8, 8), np.uint16)
    ids[:2], ids[4:] = 3, 7
    named = write_volume(tmp_path / "labels", ids, classes={3: "mito", 7: "er", 9: "nucleus"})
    index = class_index(Labels.open(str(named)), CLASSES)
    assert {name: cells.total for name, cells in index.cells.items()} == {
        "mito": 128,
        "er": 256,
        "nucleus": 0,
    }
    assert index.found == ("mito", "er")
    assert class_weights([index], CLASSES.names) == {"mito": 3.0, "er": 1.0, "nucleus": 1.0}


def test_it_is_counted_once(tmp_path, cache, monkeypatch):
    labels = opened(tmp_path / "crop", masks())
    first = class_index(labels, CLASSES)
    before = files(tmp_path / "crop")
    monkeypatch.setattr(counting, "begin_bits", None)  # whoever reads fails
    again = class_index(Labels.open(str(tmp_path / "crop" / "[mito,er]")), CLASSES)
    assert again.cells.keys() == first.cells.keys()
    for name, cells in first.cells.items():
        kept = again.cells[name]
        assert (kept.grid, kept.counted, kept.volume) == (cells.grid, cells.counted, cells.volume)
        assert kept.numbers.tolist() == cells.numbers.tolist()
        assert kept.counts.tolist() == cells.counts.tolist()
    assert len(files(cache)) == 1
    assert files(tmp_path / "crop") == before


def test_data_that_change_are_counted_again(tmp_path):
    labels = opened(tmp_path / "crop", masks())
    assert class_index(labels, CLASSES).cells["mito"].total
    labels.volumes[0].array(0)[...].write(np.zeros(labels.volumes[0].shape, np.uint8)).result()
    later = os.stat(tmp_path).st_mtime_ns + 5 * 10**9  # clocks of file systems are coarse
    os.utime(tmp_path / "crop" / "mito" / "s0" / "c", ns=(later, later))
    assert class_index(labels, CLASSES).cells["mito"].total == 0


@pytest.mark.parametrize("shape", [(160, 160, 16), (16, 16, 16)])
def test_labels_that_are_written_are_counted_again(tmp_path, shape):
    """Many folders of chunks, and none that a new chunk would change."""
    mask = np.zeros(shape, np.uint8)
    mask[0, 0, 0] = mask[-1, -1, -1] = 1
    labels = opened(tmp_path / "crop", {"mito": mask}, chunk=(16, 16, 16))
    assert class_index(labels, CLASSES).cells["mito"].total == 2
    (volume,) = labels.volumes
    volume.write(volume.bounding_box, np.ones(shape, np.uint8))
    assert class_index(labels, CLASSES).cells["mito"].total == np.prod(shape)


def test_a_chunk_that_is_overwritten_in_place_is_counted_again(tmp_path):
    labels = opened(tmp_path / "one", {"mito": np.zeros((16, 16, 16), np.uint8)})
    opened(tmp_path / "two", {"mito": np.ones((16, 16, 16), np.uint8)})
    assert class_index(labels, CLASSES).cells["mito"].total == 0
    chunk = Path("mito", "s0", "c", "0", "0", "0")
    (tmp_path / "one" / chunk).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "one" / chunk).write_bytes((tmp_path / "two" / chunk).read_bytes())
    assert class_index(Labels.open(str(tmp_path / "one" / "[mito]")), CLASSES).cells["mito"].total == 4096


def test_what_is_kept_is_counted_again_on_demand(tmp_path, monkeypatch):
    labels = opened(tmp_path / "crop", masks())
    monkeypatch.setattr(index_cache, "_changed", lambda *_: "")  # as in object storage
    class_index(labels, CLASSES)
    volume = labels.volumes[0]
    volume.write(volume.bounding_box, np.zeros(volume.shape, np.uint8))
    assert class_index(labels, CLASSES).cells["mito"].total
    assert class_index(labels, CLASSES, refresh=True).cells["mito"].total == 0
    assert class_index(labels, CLASSES).cells["mito"].total == 0


@pytest.mark.parametrize("octant", list(np.ndindex(2, 2, 2)))
def test_large_chunks_do_not_hide_what_the_others_hold(tmp_path, octant):
    """A level of 8 chunks, each larger than what is counted: one is full."""
    mask = np.zeros((64, 64, 64), np.uint8)
    mask[tuple(slice(32 * o, 32 * o + 32) for o in octant)] = 1
    labels = opened(tmp_path / "crop", {"mito": mask}, chunk=(32, 32, 32))
    cells = class_index(labels, CLASSES, most=20_000).cells["mito"]
    assert cells.counted <= 20_000
    assert cells.positive / cells.volume == pytest.approx(1 / 8)


def test_a_coarse_level_is_enough(tmp_path):
    arrays = masks((32, 64, 64))
    labels = opened(tmp_path / "crop", arrays, levels=3)
    index = class_index(labels, CLASSES, most=20_000)
    assert index.cells["er"].counted == 16 * 32 * 32
    assert index.known("er") == 32 * 64 * 64 * 16 * 8 * 8
    fine = class_index(labels, CLASSES)
    assert fine.cells["er"].counted == 32 * 64 * 64


def test_where_the_coarsest_is_too_large_some_chunks_are_read(tmp_path, monkeypatch):
    array = np.zeros((64, 64, 64), np.uint8)
    array[:, :, ::4] = 1
    labels = opened(tmp_path / "crop", {"mito": array})
    read = []
    begin = counting.begin_bits
    monkeypatch.setattr(
        counting, "begin_bits", lambda m, spec, *a, **k: read.append(spec) or begin(m, spec, *a, **k)
    )
    cells = class_index(labels, CLASSES, most=40_000).cells["mito"]
    assert cells.counted == sum(np.prod(spec.shape) for spec in read) <= 40_000
    assert cells.positive == pytest.approx(array.sum() * 16 * 8 * 8)


def test_large_volumes_are_read_in_slabs(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "_AT_ONCE", 5000)
    arrays = masks((50, 20, 20), seed=1) | {"mito": np.ones((50, 20, 20), np.uint8)}
    assert class_index(opened(tmp_path / "crop", arrays), CLASSES).cells["mito"].total == 20_000


def test_volumes_of_other_voxels_are_counted_apart(tmp_path):
    arrays = masks()
    write_volume(tmp_path / "crop" / "er", arrays["er"], spacing=(4.0, 4.0, 4.0), classes={})
    write_volume(tmp_path / "crop" / "mito", arrays["mito"][:9], classes={})
    index = class_index(Labels.open(str(tmp_path / "crop" / "[mito,er]")), CLASSES)
    assert index.cells["mito"].total == arrays["mito"][:9].sum()
    assert index.cells["er"].grid != index.cells["mito"].grid


def test_a_class_that_nobody_annotated_is_not_there_and_an_empty_one_is_empty(tmp_path):
    arrays = masks() | {"nucleus": np.zeros((24, 40, 44), np.uint8)}
    index = class_index(opened(tmp_path / "crop", arrays), Classes(names=("nucleus", "golgi")))
    assert (index.annotated, index.found) == (("nucleus",), ())
    assert class_index(None, CLASSES).annotated == ()


def test_a_damaged_file_of_the_cache_is_made_anew(tmp_path, cache, caplog):
    labels = opened(tmp_path / "crop", masks())
    total = class_index(labels, CLASSES).cells["er"].total
    (path,) = [each for each in cache.rglob("*") if each.is_file()]
    whole = path.read_bytes()
    for damage in (b"", b"PK", whole[: len(whole) // 2], whole[:100] + b"?" * 60 + whole[160:]):
        path.write_bytes(damage)
        assert class_index(labels, CLASSES).cells["er"].total == total
        assert "counted again" in caplog.text
        caplog.clear()
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "file" / "cache"))
    for crop in ("one", "two"):
        assert class_index(opened(tmp_path / crop, masks()), CLASSES).found
    assert caplog.text.count("are not kept") == 1


def test_many_at_once_and_the_same_twice(tmp_path, cache):
    labels = [opened(tmp_path / f"crop{n}", masks((8, 8, 60), seed=n)) for n in range(4)]
    indexes = class_indexes([*labels, *labels, None], CLASSES)
    assert [i.cells["er"].total for i in indexes[:4]] == [i.cells["er"].total for i in indexes[4:8]]
    assert indexes[8].annotated == ()
    assert len(files(cache)) == 4


def test_concurrent_processes_leave_one_whole_file(tmp_path, cache):
    opened(tmp_path / "crop", masks())
    code = (
        "import sys; from voxloom.volumes.index import class_index;"
        "from voxloom.volumes.labels import Labels;"
        "from voxloom.volumes.classes import Classes;"
        "print(class_index(Labels.open(sys.argv[1]), Classes(names=('mito', 'er', 'nucleus'))).found)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "crop" / "[mito,er]")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate()[0].strip() for process in running} == {"('mito', 'er')"}
    assert len(files(cache)) == 1


def test_threads_that_save_the_same_do_not_disturb_each_other(tmp_path, cache):
    cells = class_index(opened(tmp_path / "crop", masks()), CLASSES).cells
    threads = [threading.Thread(target=index_cache.save, args=("key", cells)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index_cache.load("key").keys() == cells.keys()
    assert len(files(cache)) == 2


def test_numbers_that_cannot_be_meant_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        class_index(None, CLASSES, most=0)
    with pytest.raises(ConfigError, match="above 0"):
        class_weights([], ["a"], most=0)
