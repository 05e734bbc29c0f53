"""Shards of npy files."""

import numpy as np
import pytest

from voxloom.errors import DamagedStoreError, SaveError
from voxloom.formats.format import KEY, Column
from voxloom.formats.mapped import copy_rows
from voxloom.formats.memmap import Memmap, npy_header
from voxloom.testing.shards import DTYPES, rows_of, write_shard


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3, 2), (0, 4)])
def test_numpy_opens_each_file_by_itself(dtype, shape, tmp_path):
    columns = [Column("image", dtype, shape)]
    rows = rows_of(columns, 4)
    (path,) = write_shard(Memmap(), tmp_path, columns, rows)
    array = np.load(path) if 0 in shape else np.load(path, mmap_mode="r")
    assert array.dtype == np.dtype(dtype)
    assert array.tobytes() == b"".join(row["image"].tobytes() for row in rows)
    assert array.shape == (4, *shape)


def test_bytes_are_one_blob_with_offsets(tmp_path):
    columns = [Column("caption"), Column(KEY)]
    write_shard(Memmap(), tmp_path, columns, [{"caption": b"ab", KEY: b"1"}, {"caption": b"", KEY: b"2"}])
    assert np.load(tmp_path / "00007.caption.npy").tobytes() == b"ab"
    assert np.load(tmp_path / "00007.caption.offsets.npy").tolist() == [0, 2, 2]


@pytest.mark.parametrize("name", ["a/b", "..", "x.offsets", "größe 1", "a\\b", ".hidden", "%", "é" * 20])
def test_no_name_leads_elsewhere(name, tmp_path):
    columns = [Column(name), Column("x")]
    files = write_shard(Memmap(), tmp_path, columns, rows_of(columns, 2))
    assert len({path.name for path in files}) == 4
    assert all(path.parent == tmp_path for path in files)


def test_the_header_is_as_long_for_any_count_and_numpy_reads_it():
    for shape in [(1,), (10**18, 3, 4), (7, *(123456,) * 20)]:
        header = npy_header("<f4", shape)
        assert len(header) == len(npy_header("<f4", (0, *shape[1:])))
        assert len(header) % 64 == 0


def test_a_view_is_the_file(tmp_path):
    columns = [Column("image", "uint8", (4,))]
    (path,) = write_shard(Memmap(), tmp_path, columns, rows_of(columns, 3))
    view = Memmap().open(tmp_path, "00007", columns, 3).view("image")
    with path.open("r+b") as file:
        file.seek(128)
        file.write(b"\xaa")
    assert view[0, 0] == 0xAA


def test_a_file_of_another_length_is_named(tmp_path):
    columns = [Column("image", "uint8", (4,))]
    (path,) = write_shard(Memmap(), tmp_path, columns, rows_of(columns, 3))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DamagedStoreError, match=r"image\.npy: has 141 bytes: expected 140"):
        Memmap().open(tmp_path, "00007", columns, 3)


def test_offsets_that_run_backwards_are_damage(tmp_path):
    columns = [Column("caption")]
    _, offsets = write_shard(Memmap(), tmp_path, columns, [{"caption": b"abc"}, {"caption": b"de"}])
    data = bytearray(offsets.read_bytes())
    data[-16:-8] = (99).to_bytes(8, "little")
    offsets.write_bytes(data)
    shard = Memmap().open(tmp_path, "00007", columns, 2)
    with pytest.raises(DamagedStoreError, match="row 0 lies at bytes 0 to 99 of 5"):
        shard.blob("caption", 0)


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path):
    with pytest.raises(SaveError, match="No such file"):
        Memmap().writer(tmp_path / "no", "0", [Column("x")], 1)


def test_rows_are_copied_also_where_nothing_is_aligned():
    data = np.arange(41, dtype=np.uint8)
    view = np.ndarray((5, 2), ">f4", data.data, 1)
    out = np.empty((3, 2), ">f4")
    copy_rows(view, np.array([4, 0, 4]), out)
    assert out.tobytes() == view[[4, 0, 4]].tobytes()
