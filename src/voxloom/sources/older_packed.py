"""Columns that the Dataset Conversion Library kept in Parquet and Arrow files, both named ``.parquet``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from voxloom.errors import DataError, MissingExtraError
from voxloom.sample import Array
from voxloom.sources.older_files import DAMAGE, OlderColumn, as_classes, mismatch, named

__all__ = ["PackedColumn", "open_packed"]

_KEPT = 8  # open files a thread


class PackedColumn(OlderColumn):
    """A column of Parquet or Arrow files; each thread keeps the files open that it read last.

    Parameters
    ----------
    paths
        One file a part.
    name
        The column, or "" where each row is a column of its own.
    is_ipc
        Whether the files are Arrow IPC.
    """

    def __init__(self, paths: Sequence[str], name: str, *, is_ipc: bool) -> None:
        super().__init__(paths)
        self.name, self.is_ipc = name, is_ipc
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return _packed, (self.paths, self.name, self.is_ipc)

    def cell(self, file: int, row: int) -> bytes:
        """Return a row's bytes."""
        path = self.paths[file]
        with named(path, _arrow_errors()):
            if self.is_ipc:
                value = self._ipc(path, row)
            elif self.name:  # one group of rows: the file is read as a whole, and kept
                value = self._kept(path, 1, lambda: _parquet(path).read([self.name], use_threads=False)[0])[
                    row
                ]
            else:
                value = self._kept(path, _KEPT, lambda: _parquet(path)).read([str(row)], use_threads=False)[
                    0
                ][0]
            data = value.as_py()
        if not isinstance(data, bytes):
            raise DataError(f"{path}: row {row} is {type(data).__name__}. Expected the bytes of an image.")
        return data

    def _ipc(self, path: str, row: int) -> Any:
        batches = self._kept(path, _KEPT, lambda: _IpcBatches(path))
        column, offset = batches.column_of(row, self.name)
        return column[offset]

    def _kept(self, path: str, most: int, opened: Callable[[], Any]) -> Any:
        files: dict[str, Any] = self._local.__dict__.setdefault("files", {})
        if path not in files:
            while len(files) >= most:
                del files[next(iter(files))]
            files[path] = opened()
        return files[path]

    def numbers(self) -> Array | None:
        """Return a column of integers, or None where it holds bytes."""
        parts: list[Any] = []
        for path in self.paths:
            with named(path, _arrow_errors()):
                table = _ipc_file(path).read_all() if self.is_ipc else _parquet(path).read(use_threads=False)
                table.validate(full=True)  # or damaged offsets would lead out of the file
                parts += table.column(self.name).to_pylist() if self.name else _one_row(table)
            if parts and isinstance(parts[0], bytes):
                return None
            odd = next((value for value in parts if type(value) is not int), 0)
            if odd != 0:
                raise DataError(f"{path}: a label {odd!r} among the labels. Expected integers.")
        return as_classes(parts, self.paths[0])


class _IpcBatches:
    """The batches of an Arrow file: one with all rows, or one for each row."""

    def __init__(self, path: str) -> None:
        self._path, self._file = path, _ipc_file(path)
        self._is_one = self._file.num_record_batches == 1
        self._whole = self._checked(0) if self._is_one else None

    def column_of(self, row: int, name: str) -> tuple[Any, int]:
        """Return the column that holds a row, and the row's place in it."""
        if self._whole is not None:
            return self._whole.column(name), row
        batch = self._checked(row)
        if batch.num_rows != 1:
            raise DataError(f"{self._path}: {batch.num_rows} rows in batch {row}. Expected one row a batch.")
        return batch.column(name), 0

    def _checked(self, number: int) -> Any:
        batch = self._file.get_batch(number)
        batch.validate(full=True)  # or damaged offsets would lead out of the file
        return batch


def open_packed(paths: Sequence[str], rows: Sequence[int], names: tuple[str, ...]) -> PackedColumn:
    """Open Parquet files of either version, or Arrow IPC files, all named ``.parquet``.

    Parameters
    ----------
    paths, rows
        The files, and how many rows each should have.
    names
        What the column may be called.

    Raises
    ------
    DataError
        If a file is damaged, or has another number of rows.
    MissingExtraError
        If pyarrow is not installed.
    """
    with open(paths[0], "rb") as file:
        is_ipc = file.read(6) == b"ARROW1"
    found = ""
    for path, count in zip(paths, rows, strict=True):
        with named(path, _arrow_errors()):
            columns, counted = _ipc_facts(path) if is_ipc else _parquet_facts(path)
        found = next((name for name in names if name in columns), "")
        if not found:
            if is_ipc or counted != 1 or set(columns) != {str(row) for row in range(len(columns))}:
                raise DataError(f"{path}: columns {columns[:10]}. Expected one of {', '.join(names)}.")
            counted = len(columns)
        if counted != count:
            raise mismatch(path, counted, count)
    return PackedColumn(paths, found, is_ipc=is_ipc)


def _packed(paths: Sequence[str], name: str, is_ipc: bool) -> PackedColumn:
    return PackedColumn(paths, name, is_ipc=is_ipc)


def _arrow_errors() -> tuple[type[Exception], ...]:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            'reading Parquet and Arrow files needs pyarrow. pip install "voxloom[arrow]"'
        ) from error
    return (pyarrow.ArrowException, *DAMAGE)


def _ipc_file(path: str) -> Any:
    import pyarrow

    return pyarrow.ipc.open_file(pyarrow.memory_map(path))


def _parquet(path: str) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path, memory_map=True)


def _ipc_facts(path: str) -> tuple[list[str], int]:
    file = _ipc_file(path)
    count = file.num_record_batches
    return file.schema.names, file.get_batch(0).num_rows if count == 1 else count


def _parquet_facts(path: str) -> tuple[list[str], int]:
    metadata = _parquet(path).metadata
    return list(metadata.schema.names), metadata.num_rows


def _one_row(table: Any) -> list[Any]:
    return [table.column(str(row))[0].as_py() for row in range(table.num_columns)]
