"""Contract of the formats of shards: what each must keep, ours or one plugged in from elsewhere.

Examples
--------
>>> import pytest
>>> from voxloom.formats.memmap import Memmap
>>> from voxloom.testing.formats import CHECKS
>>> @pytest.mark.parametrize("check", CHECKS)
... def test_memmap_keeps_its_promises(check, tmp_path):
...     check(Memmap(), tmp_path)
"""

from __future__ import annotations

import gc
import pickle
import random
import re
import shutil
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from voxloom.errors import ConfigError, DataError, MissingDataError, SaveError, SchemaError
from voxloom.formats.format import KEY, Column, Format, Row, Shard, ShardWriter
from voxloom.sample import Array
from voxloom.testing.shards import (
    DTYPES,
    MIXED,
    STEM,
    check_rows,
    rows_of,
    same,
    stacked,
    tables,
    taken,
    write_shard,
)

__all__ = ["CHECKS", "check_format"]

_FEW = settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
Check = Callable[[Format, Path], None]


def check_format(format: Format) -> None:
    """Run each check of the contract in a temporary folder.

    Parameters
    ----------
    format
        The one under test.

    Raises
    ------
    AssertionError
        At the first promise that is not kept.

    Examples
    --------
    >>> from voxloom.formats.memmap import Memmap
    >>> check_format(Memmap())
    """
    for check in CHECKS:
        with _folder(None) as folder:
            check(format, folder)


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def check_round_trip(format: Format, folder: Path) -> None:
    """What is written is read, bit for bit, for any columns and each compression."""

    @_FEW
    @given(tables(), st.sampled_from(format.compressions))
    def check(table: tuple[list[Column], list[Row]], compression: str) -> None:
        columns, rows = table
        with _folder(folder) as own:
            write_shard(format, own, columns, rows, compression=compression)
            check_rows(format.open(own, STEM, columns, len(rows)), columns, rows)

    check()


def check_types(format: Format, folder: Path) -> None:
    """Each type is held, as scalars and as arrays large enough to be compressed."""
    columns = [
        Column(f"{dtype} {len(shape)}".replace("<", "little "), dtype, shape)
        for dtype in DTYPES
        for shape in ((), (40, 30))
    ]
    rows = rows_of(columns, 3)
    for compression in format.compressions:
        with _folder(folder) as own:
            write_shard(format, own, columns, rows, compression=compression)
            check_rows(format.open(own, STEM, columns, len(rows)), columns, rows)


def check_fewer(format: Format, folder: Path) -> None:
    """Fewer samples than planned make the very shard that would have come had they been planned."""
    rows = rows_of(MIXED, 9)
    for compression in format.compressions:
        for kept in (0, 1, 7):
            with _folder(folder) as one, _folder(folder) as two:
                fewer = write_shard(format, one, MIXED, rows[:kept], planned=9, compression=compression)
                exact = write_shard(format, two, MIXED, rows[:kept], compression=compression)
                check_rows(format.open(one, STEM, MIXED, kept), MIXED, rows[:kept])
                assert [path.read_bytes() for path in fewer] == [path.read_bytes() for path in exact]
                with pytest.raises(DataError):
                    format.open(one, STEM, MIXED, kept + 1)


def check_same_bytes(format: Format, folder: Path) -> None:
    """The same rows make the same bytes."""
    rows = rows_of(MIXED, 40)
    for compression in format.compressions:
        with _folder(folder) as one, _folder(folder) as two:
            first = write_shard(format, one, MIXED, rows, compression=compression)
            again = write_shard(format, two, MIXED, rows, compression=compression)
            assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def check_refusals(format: Format, folder: Path) -> None:
    """What cannot be stored is refused before it is."""
    for columns in ([Column("x", "O")], [Column("x"), Column("x")], [Column("x", "no type")]):
        with pytest.raises(SchemaError):
            format.writer(folder, STEM, columns, 1)
    with pytest.raises(ConfigError):
        format.writer(folder, STEM, MIXED, 1, compression="no compression")
    columns = [Column("x", "uint8", (2,)), Column("y")]
    writer = format.writer(folder, STEM, columns, 1)
    good: dict[str, Any] = {"x": np.zeros(2, np.uint8), "y": b""}
    wrong: list[dict[str, Any]] = [{"x": np.zeros(3, np.uint8)}, {"x": np.zeros(2)}, {"x": b"12"}]
    for change in [*wrong, {"y": np.zeros(2)}, {"z": b""}]:
        with pytest.raises(SchemaError):
            writer.append({**good, **change})
    writer.append(good)
    with pytest.raises(SchemaError):
        writer.append(good)
    writer.close()
    check_rows(format.open(folder, STEM, columns, 1), columns, [good])


def check_rows_outside(format: Format, folder: Path) -> None:
    """A row that is not there is an IndexError, and no row is none."""
    write_shard(format, folder, MIXED, rows_of(MIXED, 3))
    shard = format.open(folder, STEM, MIXED, 3)
    for row in (3, -1, 2**40):
        for column in MIXED:
            with pytest.raises(IndexError):
                _cell_at(shard, column, row)
    assert taken(shard, MIXED[0], np.array([], np.int64)).shape == (0, 3, 40, 9)


def _cell_at(shard: Shard, column: Column, row: int) -> Array | bytes | memoryview:
    return taken(shard, column, np.array([0, row])) if column.is_fixed else shard.blob(column.name, row)


def check_slots(format: Format, folder: Path) -> None:
    """Rows are copied also to where they do not lie one behind the other."""
    rows = rows_of(MIXED, 5)
    for compression in format.compressions:
        with _folder(folder) as own:
            write_shard(format, own, MIXED, rows, compression=compression)
            shard = format.open(own, STEM, MIXED, 5)
            out: Array = np.zeros((5, 40, 9, 3), "uint16").transpose(0, 3, 1, 2)
            shard.take("image", np.arange(5), out)
            assert same(out, stacked(MIXED[0], rows))


def check_large(format: Format, folder: Path) -> None:
    """Writing holds no more than a part of the shard in memory, and what spans many parts is read."""
    fixed = [Column("image", "uint8", (2**20,)), Column("small", "uint16", (3,))]
    columns = [*fixed, Column("file"), Column(KEY)]
    array = np.frombuffer(random.Random(2).randbytes(2**20), np.uint8)

    def row(number: int) -> Row:
        small = np.full(3, number, "uint16")
        return {"image": np.roll(array, number), "small": small, "file": bytes(2**19), KEY: b"%d" % number}

    writer = format.writer(folder, STEM, columns, 40)
    tracemalloc.start()
    try:
        for number in range(40):
            writer.append(row(number))
        writer.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**25, f"{peak} bytes held of a shard of {40 * 3 * 2**19}"
    order = [33, 0, 12, 39, 12]
    shard = format.open(folder, STEM, columns, 40)
    check_rows(shard, [columns[3]], [{KEY: b"%d" % number} for number in range(40)])
    for column in fixed:
        found = taken(shard, column, np.array(order))
        assert same(found, stacked(column, [row(number) for number in order]))


def check_pickles(format: Format, folder: Path) -> None:  # noqa: ARG001
    """A format goes to another process, and holds nothing."""
    again = pickle.loads(pickle.dumps(format))
    assert type(again) is type(format)
    assert vars(again) == vars(format) == {}


def check_threads(format: Format, folder: Path) -> None:
    """Several threads read one shard at once."""
    rows = rows_of(MIXED, 30)
    write_shard(format, folder, MIXED, rows, compression=format.compressions[-1])
    shard = format.open(folder, STEM, MIXED, 30)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(5):
                check_rows(shard, MIXED, rows)
        except (AssertionError, DataError) as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def check_discard(format: Format, folder: Path) -> None:
    """A writer lets go of its files at any moment, silently."""
    for compression in format.compressions:
        for kept in (0, 1, 3):
            with _folder(folder) as own:
                writer = format.writer(own, STEM, MIXED, 3, compression=compression)
                for row in rows_of(MIXED, kept):
                    writer.append(row)
                writer.discard()
                del writer
                gc.collect()


def check_full_disk(format: Format, folder: Path) -> None:
    """A disk that takes no more is a SaveError that names the file, whenever it comes."""
    resource = pytest.importorskip("resource")
    columns = [Column("image", "uint8", (2**16,)), Column("caption"), Column(KEY)]
    rows = [{"image": row["image"], "caption": bytes(2**17), KEY: row[KEY]} for row in rows_of(columns, 60)]
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (2**16, 2**20, 3 * 2**20):
        for compression in format.compressions:
            with _folder(folder) as own:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, kept[1]))
                try:
                    with pytest.raises(SaveError, match=re.escape(str(own))):
                        _write_or_discard(
                            format.writer(own, STEM, columns, 60, compression=compression), rows
                        )
                    gc.collect()
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, kept)


def _write_or_discard(writer: ShardWriter, rows: Sequence[Row]) -> None:
    try:
        for row in rows:
            writer.append(row)
        writer.close()
    except SaveError:
        writer.discard()
        raise


def check_missing(format: Format, folder: Path) -> None:
    """A file that is not there is a MissingDataError; opening creates nothing."""
    with pytest.raises(MissingDataError):
        format.open(folder, STEM, MIXED, 3)
    for path in write_shard(format, folder, MIXED, rows_of(MIXED, 3)):
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(MissingDataError):
            format.open(folder, STEM, MIXED, 3)
        assert not path.exists()
        path.write_bytes(kept)


def check_damage(format: Format, folder: Path) -> None:
    """A file cut, changed, or of another kind raises errors of ours, and none else."""
    rows = rows_of(MIXED, 6)
    for number, compression in enumerate(format.compressions):
        with _folder(folder) as own:
            files = write_shard(format, own, MIXED, rows, compression=compression)
            for path in files:
                _damage(format, path, random.Random(f"{number} {path.name}"))
            check_rows(format.open(own, STEM, MIXED, 6), MIXED, rows)
            for columns in (MIXED[1:], [Column("other", "int8"), *MIXED], [Column("image", "uint8", (7,))]):
                _read_all(format, own, columns)


def _damage(format: Format, path: Path, draw: random.Random) -> None:
    whole = path.read_bytes()
    cuts = {0, 1, 8, len(whole) // 2, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(10))}
    for cut in cuts:
        path.write_bytes(whole[:cut])
        assert not _read_all(format, path.parent, MIXED), f"{path.name} cut at {cut} opens as whole"
    for _ in range(40):
        changed = bytearray(whole)
        place = draw.choice([0, max(0, len(whole) - 600)]) + draw.randrange(600)
        for at in (place % len(whole), draw.randrange(len(whole))):
            changed[at] ^= draw.randrange(1, 256)
        path.write_bytes(changed)
        _read_all(format, path.parent, MIXED)
    for other in (b"PK\3\4", draw.randbytes(5000), bytes(20000)):
        path.write_bytes(other)
        _read_all(format, path.parent, MIXED)
    path.write_bytes(whole)


def _read_all(format: Format, folder: Path, columns: Sequence[Column], samples: int = 6) -> bool:
    """Read all that can be; return whether no error of our tree came."""
    try:
        shard = format.open(folder, STEM, columns, samples)
        for column in columns:
            if column.is_fixed:
                taken(shard, column, np.arange(samples))
                view = shard.view(column.name)
                _ = None if view is None else view.tobytes()
            else:
                _ = [bytes(shard.blob(column.name, row)) for row in range(samples)]
    except DataError:
        return False
    return True


CHECKS: tuple[Check, ...] = (
    check_round_trip,
    check_types,
    check_fewer,
    check_same_bytes,
    check_refusals,
    check_rows_outside,
    check_slots,
    check_large,
    check_pickles,
    check_threads,
    check_discard,
    check_full_disk,
    check_missing,
    check_damage,
)
"""All checks; each takes a format and an empty folder."""
