"""Tables whose rows name image files: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.errors import ConfigError, DataError, MissingDataError, MissingExtraError, SchemaError
from voxloom.registry import did_you_mean
from voxloom.sample import Field, Kind
from voxloom.sources.columns import Files, Values, kind_of
from voxloom.sources.files import FileSource
from voxloom.sources.listing import IMAGE_SUFFIXES, key_of
from voxloom.sources.numbers import integers, is_number, numbers

__all__ = ["TABLE_SUFFIXES", "table"]

TABLE_SUFFIXES = (".csv", ".parquet", ".tsv")
"""Endings of the tables that can be opened, in lower case; upper case counts too."""

StrPath = str | os.PathLike[str]
Cells = list[str] | np.ndarray[Any, Any]

_KEY = "key"
_CLASS_NAMES = {"label", "class", "category", "target"}
_MOST_CLASSES = 10_000
_PROBED = 5  # rows that are looked at to tell which columns hold files
_csv_rows_from = 2  # the header is row 1, as spreadsheets count


def table(path: StrPath, *, images: Sequence[str] = (), masks: Sequence[str] = ()) -> FileSource:
    """Open a table with a header: one sample a row.

    A column of paths, relative to the table's folder or absolute, is an image field, or a mask field
    where its name says so (mask, label, annotation ...). A column of strings called label, class,
    category or target is a class, its categories sorted; numbers are attributes; other strings are
    text. A column ``key`` gives the keys; otherwise the first image's path does. A column of a CSV or TSV
    file is taken as numbers only where none of its cells would lose a digit; else it is text.

    Parameters
    ----------
    path
        A file that ends in .csv, .tsv (UTF-8) or .parquet.
    images, masks
        The columns that hold paths. Without them the first rows tell: columns whose values are files.

    Returns
    -------
    FileSource
        One field a column.

    Raises
    ------
    MissingDataError
        If the table, or each file of its first rows, is not there.
    DataError
        If the table is not readable as such, a cell is empty or of another type than its column, or two
        rows have one key. The message names row and column; row 1 is the header.
    ConfigError
        If `images` or `masks` names no column.
    SchemaError
        If a class has a number that int64 cannot hold.
    MissingExtraError
        If the table is Parquet and pyarrow is not installed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = Path(mkdtemp())
    >>> Image.new("L", (5, 4)).save(root / "a.png")
    >>> _ = (root / "table.csv").write_text("image,label,age\\na.png,cat,3\\n")
    >>> source = table(root / "table.csv")
    >>> source.keys, source[0]["age"], source.schema["label"].categories
    (['a.png'], array(3), ('cat',))
    """
    path = Path(path)
    columns = _columns(path)
    files = _files(columns, path, images, masks)
    named = {name: column for name, column in columns.items() if name != _KEY or name in files}
    fields: dict[str, Files | Values] = {
        name: Files(_texts(column, name, path), files[name], os.path.abspath(path.parent))
        if name in files
        else _values(_read(column, name, path), name, path)
        for name, column in named.items()
    }
    return FileSource(_keys(columns, files, path), fields, origin=str(path))


def _columns(path: Path) -> Mapping[str, Cells]:
    """Return the columns of a table: strings, or numbers where a Parquet file says so."""
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(f"{path}: not a table. Expected a file that ends in {', '.join(TABLE_SUFFIXES)}.")
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such table.")
    columns = _parquet(path) if suffix == ".parquet" else _delimited(path, "\t" if suffix == ".tsv" else ",")
    if not columns or not len(next(iter(columns.values()))):
        raise MissingDataError(f"{path}: no row in this table. Expected a header, and a row for each sample.")
    return columns


def _delimited(path: Path, delimiter: str) -> dict[str, Cells]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(rows, [])]
            _check_header(header, path)
            columns: list[list[str]] = [[] for _ in header]
            for number, row in enumerate(rows, _csv_rows_from):
                if not row:
                    continue  # an empty line, as editors leave at the end
                if len(row) != len(header):
                    raise DataError(
                        f"{path}: row {number} has {len(row)} cells and the header {len(header)}. "
                        "Cells that hold the separator need quotes."
                    )
                for column, cell in zip(columns, row, strict=True):
                    column.append(cell)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}). Save it as UTF-8."
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: not a table that can be read ({error}). Is a quote left open?") from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error
    return dict(zip(header, columns, strict=True))


def _check_header(header: list[str], path: Path) -> None:
    if not header:
        raise MissingDataError(f"{path}: an empty table. Expected a header, and a row for each sample.")
    if "" in header or len(set(header)) != len(header):
        raise DataError(f"{path}: a header of {header}. Expected a name for each column, each another one.")


def _parquet(path: Path) -> dict[str, Cells]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError(
            f'{path}: reading Parquet needs pyarrow. pip install "voxloom[arrow]"'
        ) from error
    try:
        content = parquet.read_table(path)
        content.validate(full=True)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({error}).") from error
    return {name: _arrow_column(content.column(name), name, path) for name in content.column_names}


def _arrow_column(column: Any, name: str, path: Path) -> Cells:
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(
            f"{path}: row {row} of column {name!r} is empty (counted from 0). Fill it, or drop the row."
        )
    if arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type):
        return list(column.to_pylist())
    if any(
        is_(column.type) for is_ in (arrow.types.is_integer, arrow.types.is_floating, arrow.types.is_boolean)
    ):
        return np.asarray(column.to_numpy())
    raise DataError(
        f"{path}: column {name!r} holds {column.type}. Expected strings or numbers: drop the column."
    )


def _files(
    columns: Mapping[str, Cells], path: Path, images: Sequence[str], masks: Sequence[str]
) -> dict[str, Kind]:
    """Return the columns that hold files, with their kinds."""
    for name in (*images, *masks):
        if name not in columns:
            known = ", ".join(columns)
            raise ConfigError(f"{path}: no column {name!r}. Columns: {known}.{did_you_mean(name, columns)}")
    given: dict[str, Kind] = {**dict.fromkeys(images, "image"), **dict.fromkeys(masks, "mask")}
    chosen = given or {name: kind_of(name) for name, column in columns.items() if _names_files(column, path)}
    if not chosen:
        raise MissingDataError(_no_files(columns, path))
    for name in chosen:
        _check_first(columns[name], name, path)
    return chosen


def _names_files(column: Cells, path: Path) -> bool:
    return isinstance(column, list) and any(
        cell.strip() and not is_number(cell) and os.path.isfile(path.parent / cell)
        for cell in column[:_PROBED]
    )


def _check_first(column: Cells, name: str, path: Path) -> None:
    """Say at once, and not after an hour, that paths lead nowhere."""
    cells = _texts(column, name, path)[:_PROBED]
    missing = [path.parent / cell for cell in cells if not os.path.isfile(path.parent / cell)]
    if missing:
        raise MissingDataError(
            f"{path}: column {name!r} names {missing[0]}, which is not there "
            f"({len(missing)} of the first {len(cells)} rows). Paths are relative to the table's folder."
        )


def _no_files(columns: Mapping[str, Cells], path: Path) -> str:
    start = f"{path}: no column holds paths of files, relative to {path.parent} or absolute."
    for name, column in columns.items():
        if isinstance(column, list) and column[0].lower().endswith(IMAGE_SUFFIXES):
            return f"{start} Column {name!r} looks like it, but {path.parent / column[0]} is not there."
    return f"{start} Columns: {', '.join(columns)}. Say which one holds them with images=[...]."


def _texts(column: Cells, name: str, path: Path) -> list[str]:
    """Return a column of strings, none of them empty."""
    texts = column if isinstance(column, list) else [str(cell) for cell in column]
    for row, cell in enumerate(texts):
        if not cell.strip():
            raise DataError(
                f"{path}: row {row + _csv_rows_from}, column {name!r} is {cell!r}. Fill it, or drop the row."
            )
    return texts


def _read(column: Cells, name: str, path: Path) -> Cells:
    """Return a column of a text file as numbers, if it is one; a Parquet file's strings are strings."""
    if not isinstance(column, list) or path.suffix.lower() == ".parquet":
        return column
    # The names of classes may look like numbers: only whole ones are taken as their numbers.
    found = integers(column) if name.lower() in _CLASS_NAMES else numbers(column)
    return column if found is None else found


def _values(column: Cells, name: str, path: Path) -> Values:
    if not isinstance(column, list):
        kind: Kind = "class" if name.lower() in _CLASS_NAMES and column.dtype.kind in "iu" else "attribute"
        column = _class_numbers(column, name, path) if kind == "class" else column
        return Values(column, Field(name=name, kind=kind, axes="", dtype=str(column.dtype), shape=()))
    texts = _texts_or_numbers(column, name, path)
    categories = sorted(set(texts)) if name.lower() in _CLASS_NAMES else []
    if not 0 < len(categories) <= _MOST_CLASSES:
        return Values(texts, Field(name=name, kind="text", axes="", dtype="str", shape=()))
    numbers = {category: number for number, category in enumerate(categories)}
    labels = np.array([numbers[text] for text in texts], np.int64)
    return Values(labels, _class(name, tuple(categories)))


def _class_numbers(column: np.ndarray[Any, Any], name: str, path: Path) -> np.ndarray[Any, Any]:
    most = np.iinfo(np.int64).max
    if len(column) and int(column.max()) > most:
        row = int(column.argmax())
        raise SchemaError(
            f"{path}: row {row} of column {name!r} is {column[row]} (counted from 0). Expected the number of "
            f"a class, up to {most}; for names of classes use strings."
        )
    return column.astype(np.int64)


def _class(name: str, categories: tuple[str, ...]) -> Field:
    return Field(name=name, kind="class", axes="", dtype="int64", shape=(), categories=categories)


def _texts_or_numbers(column: list[str], name: str, path: Path) -> list[str]:
    """Return a column of strings, and name the cell that keeps a column of numbers from being one."""
    texts = _texts(column, name, path)
    odd = [row for row, cell in enumerate(texts) if not is_number(cell)]
    if len(odd) == 1 and len(texts) > _PROBED:
        row = odd[0]
        raise DataError(
            f"{path}: row {row + _csv_rows_from}, column {name!r} is {texts[row]!r}, and all other rows are "
            "numbers. Mend the cell."
        )
    return texts


def _keys(columns: Mapping[str, Cells], files: Mapping[str, Kind], path: Path) -> list[str]:
    name = _KEY if _KEY in columns else next(name for name in files)
    keys = [key_of(cell.replace("\\", "/").removeprefix("./")) for cell in _texts(columns[name], name, path)]
    first: dict[str, int] = {}
    for row, key in enumerate(keys, _csv_rows_from):
        if first.setdefault(key, row) != row:
            raise DataError(
                f"{path}: rows {first[key]} and {row} have the key {key!r}, from column {name!r}. "
                "Keys must differ: drop one of the rows, or add a column 'key'."
            )
    return keys
