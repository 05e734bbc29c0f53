"""Shards of Arrow IPC files."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from voxloom.errors import DamagedStoreError, MissingExtraError
from voxloom.formats import arrow
from voxloom.formats.arrow import Arrow
from voxloom.formats.format import KEY, Column
from voxloom.testing.shards import check_rows, rows_of, write_shard

COLUMNS = [Column("image", "uint8", (30, 40)), Column("label", "int64"), Column("caption"), Column(KEY)]
PATH = "00007.arrow"


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(arrow, "_BATCH", 5000)


def test_others_read_an_ordinary_table(tmp_path):
    rows = rows_of(COLUMNS, 9)
    write_shard(Arrow(), tmp_path, COLUMNS, rows)
    table = pa.ipc.open_file(tmp_path / PATH).read_all()
    assert table["label"].to_pylist() == [int(row["label"]) for row in rows]
    assert table[KEY].to_pylist() == [row[KEY].decode() for row in rows]
    assert table["caption"].to_pylist() == [row["caption"] for row in rows]
    assert table.schema.field("image").type == pa.binary(1200)
    assert table.schema.field("image").metadata[b"voxloom.shape"] == b"[30, 40]"


def test_one_batch_is_one_view_of_the_map(tmp_path):
    rows = rows_of(COLUMNS, 9)
    write_shard(Arrow(), tmp_path, COLUMNS, rows)
    view = Arrow().open(tmp_path, "00007", COLUMNS, 9).view("image")
    assert np.array_equal(view, [row["image"] for row in rows])
    assert not view.flags.writeable
    assert not view.flags.owndata


def test_many_batches_are_equal_and_read_as_one(tmp_path, small_batches):
    columns = [*COLUMNS[:2], Column("large", "float64", (600,))]
    rows = rows_of(columns, 23)
    write_shard(Arrow(), tmp_path, columns, rows)
    file = pa.ipc.open_file(tmp_path / PATH)
    assert file.num_record_batches == 23
    check_rows(Arrow().open(tmp_path, "00007", columns, 23), columns, rows)


def test_batches_of_strings_are_cut_by_size(tmp_path, small_batches):
    rows = rows_of(COLUMNS, 50)
    write_shard(Arrow(), tmp_path, COLUMNS, rows)
    file = pa.ipc.open_file(tmp_path / PATH)
    assert 10 < file.num_record_batches < 20
    check_rows(Arrow().open(tmp_path, "00007", COLUMNS, 50), COLUMNS, rows)


def test_bytes_are_not_copied(tmp_path):
    rows = rows_of(COLUMNS, 9)
    write_shard(Arrow(), tmp_path, COLUMNS, rows)
    blob = Arrow().open(tmp_path, "00007", COLUMNS, 9).blob(KEY, 3)
    assert isinstance(blob, memoryview)
    assert blob.readonly


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_file_compressed_by_others_is_refused_not_misread(compression, tmp_path):
    rows = rows_of(COLUMNS, 9)
    write_shard(Arrow(), tmp_path, COLUMNS, rows)
    table = pa.ipc.open_file(tmp_path / PATH).read_all()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(tmp_path / PATH, table.schema, options=options) as file:
        file.write(table)
    with pytest.raises(DamagedStoreError, match="outside the file"):
        Arrow().open(tmp_path, "00007", COLUMNS, 9)


def test_another_table_is_refused(tmp_path):
    table = pa.table({"image": ["text"] * 3})
    with pa.ipc.new_file(tmp_path / PATH, table.schema) as file:
        file.write(table)
    with pytest.raises(DamagedStoreError, match="other columns"):
        Arrow().open(tmp_path, "00007", COLUMNS, 3)


def test_without_pyarrow_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    write_shard(Arrow(), tmp_path, COLUMNS, rows_of(COLUMNS, 2))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "voxloom\[arrow\]"'):
        Arrow().open(tmp_path, "00007", COLUMNS, 2)
