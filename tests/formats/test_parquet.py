"""Shards of Parquet files."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from voxloom.errors import DamagedStoreError, MissingExtraError, SchemaError
from voxloom.formats.format import KEY, Column
from voxloom.formats.parquet import Parquet
from voxloom.testing.shards import rows_of, write_shard

COLUMNS = [Column("image", "uint8", (300, 400)), Column("label", "int64"), Column("caption"), Column(KEY)]
PATH = "00007.parquet"


def test_others_read_an_ordinary_table(tmp_path):
    rows = rows_of(COLUMNS, 20)
    write_shard(Parquet(), tmp_path, COLUMNS, rows, compression="zstd")
    table = parquet.read_table(tmp_path / PATH)
    assert table["label"].to_pylist() == [int(row["label"]) for row in rows]
    assert table[KEY].to_pylist() == [row[KEY].decode() for row in rows]
    assert table["caption"].to_pylist() == [row["caption"] for row in rows]
    facts = table.schema.field("image").metadata
    image = np.frombuffer(table["image"][3].as_py(), facts[b"voxloom.dtype"].decode())
    assert np.array_equal(image, rows[3]["image"].reshape(-1))
    assert facts[b"voxloom.shape"] == b"[300, 400]"


def test_row_groups_are_small(tmp_path):
    write_shard(Parquet(), tmp_path, COLUMNS, rows_of(COLUMNS, 30))
    facts = parquet.ParquetFile(tmp_path / PATH).metadata
    assert [facts.row_group(number).num_rows for number in range(facts.num_row_groups)] == [9, 9, 9, 3]


def test_many_small_rows_share_a_group_but_not_all(tmp_path):
    columns = [Column("label", "int64")]
    write_shard(Parquet(), tmp_path, columns, rows_of(columns, 1100))
    facts = parquet.ParquetFile(tmp_path / PATH).metadata
    assert [facts.row_group(number).num_rows for number in range(facts.num_row_groups)] == [512, 512, 76]


def test_a_group_is_decoded_once_and_alone(tmp_path, monkeypatch):
    rows = rows_of(COLUMNS, 30)
    write_shard(Parquet(), tmp_path, COLUMNS, rows)
    shard = Parquet().open(tmp_path, "00007", COLUMNS, 30)
    asked = []
    decode = shard._decoded
    monkeypatch.setattr(
        shard, "_decoded", lambda name, number: asked.append((name, number)) or decode(name, number)
    )
    for row in (10, 11, 10, 29):
        assert shard.blob(KEY, row) == rows[row][KEY]
    assert asked == [(KEY, 1), (KEY, 3)]


def test_names_with_dots_are_not_paths(tmp_path):
    columns = [Column("a", "int64"), Column("a.b", "int64"), Column("a.b.c")]
    rows = rows_of(columns, 3)
    write_shard(Parquet(), tmp_path, columns, rows)
    shard = Parquet().open(tmp_path, "00007", columns, 3)
    for name in ("a", "a.b"):
        out = np.zeros(3, "int64")
        shard.take(name, np.arange(3), out)
        assert out.tolist() == [int(row[name]) for row in rows]


def test_a_flipped_byte_is_found_by_the_checksum_of_its_page(tmp_path):
    rows = rows_of(COLUMNS, 3)
    (path,) = write_shard(Parquet(), tmp_path, COLUMNS, rows)
    data = bytearray(path.read_bytes())
    data[data.index(rows[1]["image"].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    shard = Parquet().open(tmp_path, "00007", COLUMNS, 3)
    with pytest.raises(DamagedStoreError, match="row group 0 of column 'image'"):
        shard.take("image", np.array([0]), np.zeros((1, 300, 400), "uint8"))


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_another_table_is_refused(name, tmp_path):
    path = tmp_path / PATH
    table = pa.table({"image": ["text", "text", "text"]})
    if name == "x.parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write(table)
    with pytest.raises(DamagedStoreError):
        Parquet().open(tmp_path, "00007", COLUMNS, 3)


def test_keys_must_be_text(tmp_path):
    writer = Parquet().writer(tmp_path, "0", [Column(KEY)], 1)
    with pytest.raises(SchemaError, match="not UTF-8"):
        writer.append({KEY: b"\xff"})
    writer.discard()


def test_without_pyarrow_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "voxloom\[arrow\]"'):
        Parquet().writer(tmp_path, "0", COLUMNS, 1)
