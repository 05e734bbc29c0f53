import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import ConfigError, DataError, Interrupted, MissingDataError, OutputExistsError
from voxloom.geometry import PatchSpec
from voxloom.jobs.packing import PackOptions, pack
from voxloom.ranks import Rank
from voxloom.sources.volume_split import VolumeSplit
from voxloom.testing.ngff import check_ngff
from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume
from voxloom.volumes import packed
from voxloom.volumes.bits import begin_bits
from voxloom.volumes.classes import Classes
from voxloom.volumes.volume import Volume

CLASSES = Classes(names=("er", "mito"))
SPLIT = """split,raw,gt
train,1/em.zarr,"1/gt.zarr/[mito,er]"
train,2/em.zarr,2/gt.zarr
validate,1/em.zarr,"3/gt.zarr/[mito,er]"
validate,2/em.zarr,
"""


def ids(shape, highest, seed):
    return np.random.default_rng(seed).integers(0, highest + 1, shape).astype(np.uint16)


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 32 voxels, so that a small volume has several."""
    monkeypatch.setattr(packed, "_SHARD", (32, 32, 32))
    monkeypatch.setattr(packed, "_CHUNK", (16, 16, 16))
    monkeypatch.setattr(packed, "_SLAB", 20)


@pytest.fixture
def split(tmp_path):
    """One volume with two crops, one a class each way, and one with ids."""
    data = tmp_path / "data"
    write_volume(data / "1/em.zarr", phantom((50, 60, 70)), spacing=(8, 4, 4), form=VolumeForm(levels=2))
    crop = {name: ids((20, 24, 28), 1, seed).astype(np.uint8) for seed, name in enumerate(("mito", "er"))}
    write_classes(data / "1/gt.zarr", crop, spacing=(8, 4, 4), origin=(80, 40, 20))
    write_volume(data / "2/em.zarr", phantom((30, 20, 20), "uint16"), form=VolumeForm(version="0.4"))
    write_volume(data / "2/gt.zarr", ids((30, 20, 20), 3, 2), classes={1: "mito", 3: "er"})
    write_volume(data / "3/gt.zarr/mito", ids((9, 9, 9), 9, 3), spacing=(8, 4, 4), classes={})
    write_volume(data / "3/gt.zarr/er", ids((9, 9, 5), 1, 4), spacing=(8, 8, 8), classes={})
    (data / "split.csv").write_text(SPLIT)
    return data / "split.csv"


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def same(one, other):
    """Compare two opened datasets voxel by voxel: raw, bits, and what is known."""
    box = other.raw["raw"].bounding_box
    np.testing.assert_array_equal(one.raw["raw"].read(box), other.raw["raw"].read(box))
    assert (one.labels is None) == (other.labels is None)
    for volume in one.labels.volumes if one.labels else ():
        grid = volume.levels[0].grid
        spec = PatchSpec(shape=grid.shape, spacing=grid.spacing)
        mine, theirs = (begin_bits(d.labels.marks(CLASSES), spec, grid.box.center) for d in (one, other))
        np.testing.assert_array_equal(mine.result(), theirs.result())
        np.testing.assert_array_equal(mine.known(), theirs.known())
        assert mine.result().any()


def datasets(path):
    opened = VolumeSplit.from_csv(path).open(CLASSES)
    return opened.train + opened.validation


@pytest.mark.usefixtures("small_shards")
def test_the_copy_holds_the_same(split, tmp_path):
    told = []
    report = pack(split, tmp_path / "copy", progress=lambda done, total: told.append((done, total)))
    assert (report.volumes, report.copied, report.is_finished) == (6, report.shards, True)
    assert told == [(n, report.shards) for n in range(report.shards + 1)]
    assert (
        (tmp_path / "copy" / "split.csv").read_text()
        == """split,raw,gt
train,raw/1_em.zarr,labels/1_gt
train,raw/2_em.zarr,labels/2_gt
validate,raw/1_em.zarr,"labels/3_gt/[mito,er]"
validate,raw/2_em.zarr,
"""
    )
    for one, other in zip(datasets(split), datasets(report.split), strict=True):
        same(one, other)


@pytest.mark.usefixtures("small_shards")
def test_the_copy_is_ome_zarr(split, tmp_path):
    pack(split, tmp_path / "copy")
    for name in ("1_em", "2_em"):
        check_ngff(tmp_path / "copy" / "raw" / f"{name}.zarr")
    for name in ("1_gt", "2_gt", "3_gt/mito", "3_gt/er"):
        check_ngff(tmp_path / "copy" / "labels" / name, is_labels=True)
    bits = Volume.open(tmp_path / "copy" / "labels" / "1_gt")
    assert (bits.dtype, dict(bits.classes)) == (np.uint8, {1: "mito", 2: "er"})
    assert (bits.levels[0].chunk, bits.levels[0].shard) == ((16, 16, 16), (32, 32, 32))
    assert Volume.open(tmp_path / "copy" / "labels" / "2_gt").dtype == np.uint16


def test_chunks_are_small_and_shards_large(tmp_path):
    write_volume(tmp_path / "em.zarr", phantom((40, 300, 40)))
    (tmp_path / "split.csv").write_text("train,em.zarr\n")
    pack(tmp_path / "split.csv", tmp_path / "copy")
    [level, *_] = Volume.open(tmp_path / "copy" / "raw" / "em.zarr").levels
    assert (level.chunk, level.shard) == ((32, 32, 32), (64, 256, 64))


@pytest.mark.usefixtures("small_shards")
def test_packed_again_it_is_the_same(split, tmp_path):
    pack(split, tmp_path / "copy")
    before = files(tmp_path / "copy")
    assert pack(split, tmp_path / "copy").copied == 0
    pack(tmp_path / "copy" / "split.csv", tmp_path / "again")
    assert pack(split, tmp_path / "copy", options=PackOptions(overwrite=True)).copied > 0
    assert files(tmp_path / "copy") == before
    for one, other in zip(datasets(split), datasets(tmp_path / "again" / "split.csv"), strict=True):
        same(one, other)


@pytest.mark.usefixtures("small_shards")
def test_only_what_lies_near_the_labels(split, tmp_path):
    pack(split, tmp_path / "copy", options=PackOptions(margin=10))
    near = Volume.open(tmp_path / "copy" / "raw" / "1_gt.zarr")
    crop = Volume.open(split.parent / "1" / "gt.zarr" / "mito").bounding_box
    assert near.bounding_box.holds(crop.grown((10, 10, 10)))
    assert near.levels[0].grid.shape == (24, 30, 34)
    for one, other in zip(datasets(split), datasets(tmp_path / "copy" / "split.csv"), strict=True):
        same(one, other)


def test_a_coarser_level_can_be_taken(split, tmp_path):
    split.write_text('train,1/em.zarr,"1/gt.zarr/[mito,er]"\n')
    pack(split, tmp_path / "copy", options=PackOptions(spacing=(16, 8, 8)))
    [raw] = (tmp_path / "copy" / "raw").iterdir()
    assert Volume.open(raw).levels[0].grid == Volume.open(split.parent / "1" / "em.zarr").levels[1].grid


@pytest.mark.usefixtures("small_shards")
def test_several_processes_share_the_shards(split, tmp_path):
    pack(split, tmp_path / "one")
    reports = [pack(split, tmp_path / "copy", rank=Rank(index, 3)) for index in range(3)]
    assert [report.is_finished for report in reports] == [False, False, True]
    assert sum(report.copied for report in reports) == reports[0].shards
    assert files(tmp_path / "one") == files(tmp_path / "copy")


@pytest.mark.usefixtures("small_shards")
def test_stopped_it_tells_and_goes_on(split, tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped: 3 of"):
        pack(split, tmp_path / "copy", progress=stop, options=PackOptions(workers=1))
    assert not (tmp_path / "copy" / "split.csv").exists()
    report = pack(split, tmp_path / "copy")
    assert report.copied <= report.shards - 3
    pack(split, tmp_path / "whole")
    assert files(tmp_path / "copy") == files(tmp_path / "whole")


KILLED = """
import sys
from voxloom.jobs.packing import pack
from voxloom.volumes import packed
packed._SHARD, packed._CHUNK = (32, 32, 32), (16, 16, 16)
pack(sys.argv[1], sys.argv[2], progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.usefixtures("small_shards")
def test_killed_it_goes_on_and_has_the_same_bytes(split, tmp_path):
    command = [sys.executable, "-c", KILLED, str(split), str(tmp_path / "copy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 4:
            pass
        process.kill()
    assert not (tmp_path / "copy" / "split.csv").exists()
    pack(split, tmp_path / "copy")
    pack(split, tmp_path / "whole")
    assert files(tmp_path / "copy") == files(tmp_path / "whole")


@pytest.mark.usefixtures("small_shards")
def test_a_copy_that_was_taken_away_is_copied_again(split, tmp_path):
    pack(split, tmp_path / "copy")
    before = files(tmp_path / "copy")
    (tmp_path / "copy" / "raw" / "2_em.zarr").rename(tmp_path / "away")
    assert 0 < pack(split, tmp_path / "copy").copied < 4
    assert files(tmp_path / "copy") == before


def test_nothing_that_is_there_is_replaced(split, tmp_path):
    before = files(split.parent)
    with pytest.raises(OutputExistsError, match="another split"):
        pack(split, split.parent)
    with pytest.raises(OutputExistsError, match="another split"):
        pack(split, split.parent, options=PackOptions(overwrite=True))
    assert files(split.parent) == before
    write_volume(tmp_path / "copy" / "raw" / "1_em.zarr", phantom((4, 4, 4)))
    with pytest.raises(OutputExistsError, match="does not tell that it is a copy"):
        pack(split, tmp_path / "copy")


@pytest.mark.parametrize("how", ["itself", "link", "folder"])
def test_a_source_is_never_replaced(split, tmp_path, how):
    """A split that lies elsewhere and names the volumes that a copy of it would replace."""
    split.write_text("train,1/em.zarr,2/gt.zarr\nvalidate,2/em.zarr\n")
    pack(split, tmp_path / "copy")
    before = files(tmp_path / "copy")
    if how == "link":
        (tmp_path / "link").symlink_to(tmp_path / "copy")
    source = {"itself": "copy/raw", "link": "link/raw", "folder": "copy/raw/1_em.zarr/.."}[how]
    other = tmp_path / "split.csv"
    other.write_text(f"train,{source}/1_em.zarr,copy/labels/gt\nvalidate,{source}/2_em.zarr\n")
    for overwrite in (True, False):
        with pytest.raises(OutputExistsError, match="would replace it"):
            pack(other, tmp_path / "copy", options=PackOptions(overwrite=overwrite))
    with pytest.raises(OutputExistsError, match="would replace it"):
        pack(other, tmp_path / "copy" / "raw" / "1_em.zarr")
    assert files(tmp_path / "copy") == before


@pytest.mark.usefixtures("small_shards")
def test_an_overwriting_job_that_is_started_again_comes_to_its_end(split, tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    anew = PackOptions(workers=1, overwrite=True)
    pack(split, tmp_path / "copy")
    before = files(tmp_path / "copy")
    with pytest.raises(Interrupted):
        pack(split, tmp_path / "copy", progress=stop, options=anew)
    report = pack(split, tmp_path / "copy", options=anew)
    assert report.copied == report.shards - 3
    assert files(tmp_path / "copy") == before


def test_a_copy_of_something_else_is_not_gone_on_with(split, tmp_path):
    split.write_text("train,1/em.zarr\n")
    pack(split, tmp_path / "copy")
    (split.parent / "1" / "em.zarr").rename(split.parent / "em.zarr")
    split.write_text("train,em.zarr\n# another place of the same form\n")
    (tmp_path / "copy" / "split.csv").unlink()
    with pytest.raises(OutputExistsError, match="holds another copy: source was"):
        pack(split, tmp_path / "copy")


def test_what_cannot_be_read_is_told_or_left_out(split, tmp_path):
    split.write_text(SPLIT + "train,4/em.zarr,\n")
    with pytest.raises(DataError, match="row 6"):
        pack(split, tmp_path / "copy")
    report = pack(split, tmp_path / "copy", options=PackOptions(on_error="skip"))
    assert [each.origin for each in report.skipped] == [f"{split}, row 6"]
    assert report.is_finished
    with pytest.raises(MissingDataError):
        pack(tmp_path / "none.csv", tmp_path / "other")


def test_several_processes_never_begin_anew(split, tmp_path):
    with pytest.raises(ConfigError, match="expected one"):
        pack(split, tmp_path / "copy", rank=Rank(0, 2), options=PackOptions(overwrite=True))
