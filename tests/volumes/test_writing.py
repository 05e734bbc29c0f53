import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import SaveError, SchemaError
from voxloom.geometry import Box
from voxloom.testing.ngff import check_ngff
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.pyramid import downsample_block
from voxloom.volumes.volume import Volume
from voxloom.volumes.writing import begin_write, downsample, hot_levels, voxels_of, write, write_level_block

SHAPE = (37, 66, 101)
SPACING = (8.0, 4.0, 4.0)
SMALL = {
    "spacing": SPACING,
    "origin": (100.0, 0.0, -6.0),
    "chunk": (8, 8, 8),
    "shard": (32, 32, 32),
    "levels": 4,
}


def new(path, *, shape=SHAPE, **settings):
    create(path, shape=shape, layout=VolumeLayout(**{"dtype": "uint8", **SMALL, **settings}))
    return Volume.open(path)


def box_of(volume, low, high):
    grid = volume.levels[0].grid
    return Box(grid.world([i - 0.5 for i in low]), grid.world([i - 0.5 for i in high]))


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def random(shape, dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, 4 if dtype == "uint16" else 200, shape).astype(dtype)


FORMS = [
    {},
    {"version": "0.4"},
    {"shard": None},
    {"channels": ("a", "b"), "dtype": "float32"},
    {"kind": "labels", "dtype": "uint16"},
    {"kind": "labels", "dtype": "uint16", "version": "0.4", "compression": "gzip"},
    {"compression": "blosc", "dtype": "int16"},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())) or "default")
def test_others_read_all_levels_as_written(tmp_path, form):
    volume = new(tmp_path / "raw.zarr", **form)
    array = random((volume.shape[0], *SHAPE), str(volume.dtype))
    write(volume, volume.bounding_box, array)
    downsample(volume)
    group = check_ngff(volume.path, version=form.get("version", "0.5"), is_labels=volume.is_labels)
    kind = "labels" if volume.is_labels else "image"
    for number, factors in enumerate([(1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)]):
        array = downsample_block(array, factors, kind)
        stored = group[f"s{number}"][:]
        np.testing.assert_array_equal(stored if stored.ndim == 4 else stored[None], array)


def test_a_plane_has_levels_too(tmp_path):
    volume = new(tmp_path / "plane.zarr", shape=(1, 65, 90), is_flat=True, channels=("red", "green"))
    array = random((2, 1, 65, 90))
    write(volume, volume.bounding_box, array)
    downsample(volume)
    expected = downsample_block(array, (1, 2, 2), "image")[:, 0]
    np.testing.assert_array_equal(check_ngff(volume.path)["s1"][:], expected)


@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_any_box_of_voxels_lands_where_it_should(tmp_path_factory, data):
    volume = new(tmp_path_factory.mktemp("any") / "raw.zarr")
    expected = np.zeros(SHAPE, np.uint8)
    for seed in range(3):
        low = [data.draw(st.integers(0, n - 1)) for n in SHAPE]
        high = [data.draw(st.integers(i + 1, n)) for i, n in zip(low, SHAPE, strict=True)]
        part = random(np.subtract(high, low), seed=seed)
        expected[tuple(map(slice, low, high))] = part
        write(volume, box_of(volume, low, high), part)
    np.testing.assert_array_equal(check_ngff(volume.path)["s0"][:], expected)


def test_writes_may_overlap_in_time(tmp_path):
    """Two writes to parts of one shard, both under way."""
    volume = new(tmp_path / "raw.zarr", channels=("a", "b"))
    array = random((2, 32, 32, 32))
    lower, upper = box_of(volume, (0, 0, 0), (13, 32, 32)), box_of(volume, (13, 0, 0), (32, 32, 32))
    pending = [begin_write(volume, lower, array[:, :13]), begin_write(volume, upper, array[:, 13:])]
    for each in pending:
        each.result()
    np.testing.assert_array_equal(check_ngff(volume.path)["s0"][:, :32, :32, :32], array)


def test_a_box_has_to_lie_on_the_voxels(tmp_path):
    volume = new(tmp_path / "raw.zarr")
    good = box_of(volume, (1, 2, 3), (5, 6, 7))
    shifted = Box((good.low[0] + 3, *good.low[1:]), (good.high[0] + 3, *good.high[1:]))
    array = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(SchemaError, match="nearest") as caught:
        write(volume, shifted, array)
    assert str(good) in str(caught.value)
    hair = Box((good.low[0] + 0.004, *good.low[1:]), good.high)
    assert voxels_of(volume.levels[0].grid, hair) == (slice(1, 5), slice(2, 6), slice(3, 7))
    with pytest.raises(SchemaError, match="nearest"):
        write(volume, Box(good.low, good.low), array)


def test_a_box_that_stands_out_is_refused(tmp_path):
    volume = new(tmp_path / "raw.zarr")
    for low, high in [((-1, 0, 0), (3, 4, 4)), ((0, 0, 98), (4, 4, 102))]:
        with pytest.raises(SchemaError, match="stands out"):
            write(volume, box_of(volume, low, high), np.zeros((4, 4, 4), np.uint8))
    assert not list((tmp_path / "raw.zarr" / "s0").glob("c"))


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 4), np.int64), np.zeros((4, 4, 5), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)]
)
def test_an_array_of_another_kind_is_refused(tmp_path, array):
    volume = new(tmp_path / "raw.zarr")
    with pytest.raises(SchemaError, match=r"expected \(1, 4, 4, 4\).*uint8"):
        write(volume, box_of(volume, (0, 0, 0), (4, 4, 4)), array)


def units(volume, unit):
    """Yield the boxes of all units of level 0."""
    shape = volume.levels[0].grid.shape
    for low in np.ndindex(*(-(-n // u) for n, u in zip(shape, unit, strict=True))):
        start = [i * u for i, u in zip(low, unit, strict=True)]
        stop = [min(i + u, n) for i, u, n in zip(start, unit, shape, strict=True)]
        yield box_of(volume, start, stop), tuple(map(slice, start, stop))


@pytest.mark.parametrize(
    ("form", "unit", "hot"),
    [
        ({}, (32, 32, 32), 3),
        ({"kind": "labels"}, (32, 32, 32), 3),
        ({"version": "0.4"}, (16, 16, 16), 2),
        ({"version": "0.4"}, (32, 64, 64), 4),
        ({}, (64, 64, 64), 3),
    ],
)
def test_shards_at_hand_make_the_same_pyramid(tmp_path, form, unit, hot):
    array = random(SHAPE)
    volumes = [new(tmp_path / name, **form) for name in ("whole.zarr", "parts.zarr")]
    write(volumes[0], volumes[0].bounding_box, array)
    downsample(volumes[0])
    for box, window in units(volumes[1], unit):
        write(volumes[1], box, array[window])
        write_level_block(volumes[1], box, array[window], unit=unit)
    assert hot_levels(volumes[1], unit) == hot
    before = {name for name in files(volumes[1].path) if name.startswith("s")}
    downsample(volumes[1], first=hot)
    whole, parts = (files(volume.path) for volume in volumes)
    names = whole.keys() - {"zarr.json", ".zattrs"}  # which hold the names of the stores
    assert names == parts.keys() - {"zarr.json", ".zattrs"}
    assert {name: whole[name] for name in names} == {name: parts[name] for name in names}
    assert {name for name in names if name[0] == "s" and int(name[1]) < hot} <= before


def test_a_part_of_a_unit_has_no_levels_of_its_own(tmp_path):
    volume = new(tmp_path / "raw.zarr")
    with pytest.raises(SchemaError, match=r"whole units of \(32, 32, 32\)"):
        write_level_block(volume, box_of(volume, (0, 0, 0), (32, 32, 16)), np.zeros((32, 32, 16), np.uint8))


def test_levels_that_are_not_halves_are_refused(tmp_path):
    path = write_volume(tmp_path / "raw.zarr", phantom((16, 16, 16)), form=VolumeForm(levels=2))
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace("16.0", "24.0"))
    with pytest.raises(SchemaError, match="half as many"):
        downsample(Volume.open(path))


def test_progress_is_told_and_nothing_to_do_is_nothing(tmp_path):
    told = []
    volume = new(tmp_path / "raw.zarr", levels=2)
    downsample(volume, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 24) for n in range(25)]
    downsample(new(tmp_path / "one.zarr", levels=1))


def run(code, *arguments, **options):
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


FULL_DISK = """
import resource, sys
import numpy as np
from voxloom.errors import SaveError
from voxloom.volumes import Volume, write
volume = Volume.open(sys.argv[1])
array = np.random.default_rng(0).integers(0, 255, volume.shape, np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
try:
    write(volume, volume.bounding_box, array)
except SaveError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
def test_a_full_disk_is_told_and_leaves_no_part_of_a_shard(tmp_path):
    volume = new(tmp_path / "raw.zarr", shape=(32, 32, 64))
    before = files(volume.path)
    process = run(FULL_DISK, volume.path)
    out, err = process.communicate()
    assert err == ""
    assert "could not write" in out
    assert str(volume.path) in out
    assert "File too large. Free some space or name another folder, then go on." in out
    assert files(volume.path) == before


def test_a_place_without_rights_is_told(tmp_path):
    volume = new(tmp_path / "raw.zarr")
    (tmp_path / "raw.zarr" / "s0" / "c").touch()  # where folders would have to be made; root may all else
    with pytest.raises(SaveError, match="could not write"):
        write(volume, volume.bounding_box, np.ones(SHAPE, np.uint8))


def write_units(path, first):
    """Write 24 shards and their levels, and tell each."""
    volume = Volume.open(path)
    grid = volume.levels[0].grid
    for unit in range(first, 24):
        low = (unit * 32, 0, 0)
        box = Box(grid.world([i - 0.5 for i in low]), grid.world([i + 31.5 for i in low]))
        array = np.random.default_rng(unit).integers(0, 255, (32, 32, 32), np.uint8)
        write(volume, box, array)
        write_level_block(volume, box, array)
        print(unit, flush=True)


WRITER = f"""
import sys
import numpy as np
from voxloom.geometry import Box
from voxloom.volumes import Volume, write, write_level_block
{inspect.getsource(write_units)}
write_units(sys.argv[1], int(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
@pytest.mark.parametrize("moment", [5])
def test_killed_at_any_moment_and_gone_on_with_it_is_the_same(tmp_path, moment):
    """Each shard is whole or as it was; who goes on with the first that was not told makes the same bytes."""
    for name in ("whole", "killed"):
        new(tmp_path / name / "raw.zarr", shape=(24 * 32, 32, 32))
    write_units(tmp_path / "whole" / "raw.zarr", 0)
    whole, path, done = files(tmp_path / "whole"), tmp_path / "killed", 0
    process = run(WRITER, path / "raw.zarr", 0)
    while done < moment:
        done = int(process.stdout.readline()) + 1
    process.kill()
    process.communicate()
    there = {name: data for name, data in files(path).items() if not name.endswith(".__lock")}
    assert there.items() <= whole.items()
    assert len(there) < len(whole)
    write_units(path / "raw.zarr", done)
    assert files(path) == whole


def test_levels_are_made_of_what_another_process_wrote(tmp_path):
    """Chunks that were read before, as missing ones, are not taken from memory."""
    volume = new(tmp_path / "a.zarr", shape=(32, 32, 32), levels=2)
    coarse = tuple(2 * s for s in SPACING)
    assert not volume.read(volume.bounding_box).any()
    assert not volume.read(volume.bounding_box, coarse).any()
    code = (
        "import sys, numpy as np; from voxloom.volumes.volume import Volume; v = Volume.open(sys.argv[1]);"
        "v.write(v.bounding_box, np.full((32, 32, 32), 9, np.uint8))"
    )
    subprocess.run([sys.executable, "-c", code, volume.path], check=True)
    volume.downsample()
    assert (Volume.open(volume.path).array(1).read().result() == 9).all()
    assert (volume.read(volume.bounding_box, coarse) == 9).all()
