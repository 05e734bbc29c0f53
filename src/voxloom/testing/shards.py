"""Shards to test a format with: columns of any types, rows of random bits, and how to compare them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from voxloom.formats.format import KEY, Column, Format, Row, Shard
from voxloom.sample import Array

__all__ = [
    "DTYPES",
    "MIXED",
    "STEM",
    "check_rows",
    "rows_of",
    "same",
    "stacked",
    "tables",
    "taken",
    "write_shard",
]

STEM = "00007"
"""Name of the shards."""

DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
    "float64", "complex64", "complex128", "bool", ">u2", ">i4", ">f4", ">f8", ">c8", "<M8[ns]", "S5", "<U3",
)  # fmt: skip
"""Types that each format must hold."""

MIXED = [
    Column("image", "uint16", (3, 40, 9)),
    Column("label", "int64"),
    Column("weight", "float32"),
    Column("caption"),
    Column(KEY),
]
"""Columns of each sort."""


def write_shard(
    format: Format, folder: Path, columns: Sequence[Column], rows: Sequence[Row], **settings: Any
) -> list[Path]:
    """Write rows as a shard; return its files, which must be those that the format names.

    Examples
    --------
    >>> from voxloom.formats.memmap import Memmap
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> [path.name for path in write_shard(Memmap(), folder, [Column("label", "int64")], [])]
    ['00007.label.npy']
    """
    planned = settings.pop("planned", len(rows))
    writer = format.writer(folder, STEM, columns, planned, **settings)
    for row in rows:
        writer.append(row)
    writer.close()
    writer.close()
    names = format.files(STEM, columns)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names), "other files than it names"
    return [folder / name for name in names]


def rows_of(columns: Sequence[Column], samples: int, seed: int = 0) -> list[Row]:
    """Return samples of random bits, the same for the same seed.

    Examples
    --------
    >>> rows_of([Column("label", "uint8")], 2)[0]["label"].shape
    ()
    """
    draw = random.Random(seed)
    return [{column.name: _cell(column, draw, number) for column in columns} for number in range(samples)]


def _cell(column: Column, draw: random.Random, number: int) -> Array | bytes:
    if column.name == KEY:
        return f"größe {number}/{'x' * draw.randrange(150)}.tar.jpg".encode()
    if not column.is_fixed:
        return draw.randbytes(draw.choice([0, 1, 7, 300]))
    array: Array = np.zeros(column.shape, column.dtype)
    if array.dtype.kind == "U":  # not all bits are letters
        array[...] = draw.choice(["", "a", "äöü"])
    elif array.dtype.kind == "b":
        array[...] = np.frombuffer(draw.randbytes(array.size), np.uint8).reshape(column.shape) % 2
    else:
        array.reshape(-1).view(np.uint8)[...] = np.frombuffer(draw.randbytes(array.nbytes), np.uint8)
    return array


def tables() -> st.SearchStrategy[tuple[list[Column], list[Row]]]:
    """Draw columns of any types and shapes, and rows of them."""
    shape = st.lists(st.integers(0, 5), max_size=3).map(tuple)
    fixed = st.tuples(st.sampled_from(DTYPES), shape)
    kind = st.one_of(st.none(), fixed)
    names = st.sampled_from(["image", "label", "caption", "a b/c", "größe", "x.offsets", "x", "cls", "%"])
    columns = st.dictionaries(names, kind, max_size=4).map(
        lambda kinds: [*(Column(name, *(facts or ())) for name, facts in kinds.items()), Column(KEY)]
    )
    return columns.flatmap(
        lambda columns: st.tuples(
            st.just(columns),
            st.tuples(st.integers(0, 9), st.integers(0, 99)).map(lambda draw: rows_of(columns, *draw)),
        )
    )


def check_rows(shard: Shard, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Check that a shard gives back these rows bit for bit, in any order."""
    order = np.array(random.Random(1).choices(range(len(rows)), k=2 * len(rows)) if rows else [], np.int64)
    for column in columns:
        if not column.is_fixed:
            for number, row in enumerate(rows):
                assert bytes(shard.blob(column.name, number)) == row[column.name]
            continue
        expected = stacked(column, rows)
        assert same(taken(shard, column, order), expected[order]), column
        view = shard.view(column.name)
        if view is not None:
            assert not view.flags.writeable, "a view of a file can be written"
            assert same(view, expected), column


def stacked(column: Column, rows: Sequence[Row]) -> Array:
    """Return a column of rows as one array, (samples, *shape)."""
    array: Array = np.zeros((len(rows), *column.shape), column.dtype)
    for number, row in enumerate(rows):
        array[number] = row[column.name]
    return array


def taken(shard: Shard, column: Column, rows: Array) -> Array:
    """Return rows of a shard's column, (rows, *shape)."""
    out: Array = np.zeros((len(rows), *column.shape), column.dtype)
    shard.take(column.name, rows, out)
    return out


def same(one: Array, two: Array) -> bool:
    """Whether arrays are equal bit for bit, also where they are not a number."""
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
