"""What Arrow and Parquet share: the types of columns, and rows gathered into a record batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from voxloom.errors import MissingExtraError, SchemaError
from voxloom.formats.format import KEY, Column, Row
from voxloom.formats.mapped import bytes_of, checked_columns

__all__ = ["Gathered", "arrow_schema", "pyarrow", "table_columns"]

_MOST = 2**31 - 2**10  # bytes of one value
_NUMBERS = {"|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"}


def pyarrow() -> Any:
    """Return pyarrow, or raise MissingExtraError."""
    try:
        import pyarrow as module
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            'Arrow and Parquet need pyarrow, which is not installed. Run: pip install "voxloom[arrow]"'
        ) from error
    return module


def table_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns, or raise SchemaError as `checked_columns` does, and for values of 2 GiB."""
    for column in checked_columns(columns):
        if column.is_fixed and column.row_bytes > _MOST:
            raise SchemaError(
                f"column {column.name!r} has {column.row_bytes} bytes a sample: expected at most {_MOST}. "
                "Store it as memmap or HDF5."
            )
    return tuple(columns)


def arrow_schema(columns: Sequence[Column]) -> Any:
    """Return the Arrow schema of columns; type and shape of arrays stand in the metadata of their field."""
    pa = pyarrow()
    return pa.schema([_field(pa, column) for column in columns])


def _field(pa: Any, column: Column) -> Any:
    if not column.is_fixed:
        kind = pa.large_string() if column.name == KEY else pa.large_binary()
        return pa.field(column.name, kind, nullable=False)
    facts = {"voxloom.dtype": np.dtype(column.dtype).str, "voxloom.shape": json.dumps(column.shape)}
    if not column.shape and facts["voxloom.dtype"] in _NUMBERS:  # which look the same, and mean more
        kind = pa.from_numpy_dtype(np.dtype(column.dtype))
        return pa.field(column.name, kind, nullable=False, metadata=facts)
    if not column.row_bytes:  # neither library has a value of no bytes
        return pa.field(column.name, pa.null(), metadata=facts)
    return pa.field(column.name, pa.binary(column.row_bytes), nullable=False, metadata=facts)


class Gathered:
    """Rows that wait to be written as one record batch."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._pa, self._columns, self._schema = pyarrow(), columns, arrow_schema(columns)
        self._begin()

    def _begin(self) -> None:
        self.rows = 0
        self.nbytes = 0
        self._data = [bytearray() for _ in self._columns]
        self._ends = [[0] for _ in self._columns]

    def append(self, row: Row) -> None:
        """Copy one row; what is not gathered stays as it was if a value cannot be held."""
        cells = [bytes_of(row[column.name], column) for column in self._columns]
        for column, cell in zip(self._columns, cells, strict=True):
            _check_value(column, cell)
        for data, ends, cell in zip(self._data, self._ends, cells, strict=True):
            data += cell
            ends.append(len(data))
            self.nbytes += len(cell)
        self.rows += 1

    def batch(self) -> Any:
        """Return what was gathered, and begin anew."""
        arrays = [
            self._array(column, data, ends)
            for column, data, ends in zip(self._columns, self._data, self._ends, strict=True)
        ]
        batch = self._pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._begin()
        return batch

    def _array(self, column: Column, data: bytearray, ends: list[int]) -> Any:
        kind = self._schema.field(column.name).type
        if column.is_fixed and not column.row_bytes:
            return self._pa.nulls(self.rows)
        buffers = [None, self._pa.py_buffer(data)]
        if not column.is_fixed:
            buffers.insert(1, self._pa.py_buffer(np.array(ends, np.int64)))
        return self._pa.Array.from_buffers(kind, self.rows, buffers)


def _check_value(column: Column, cell: memoryview) -> None:
    if len(cell) > _MOST:
        raise SchemaError(
            f"a value of column {column.name!r} has {len(cell)} bytes: expected at most {_MOST}. "
            "Store it as memmap or HDF5."
        )
    if column.name == KEY and not column.is_fixed:
        try:
            str(cell, "utf-8")
        except UnicodeDecodeError as error:
            raise SchemaError(f"key {bytes(cell)!r} is not UTF-8 ({error})") from error
