"""Write the rows of a memmap store in any order, from several processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.lib.format import open_memmap

from voxloom import __version__
from voxloom.errors import SaveError, SchemaError
from voxloom.formats.format import KEY, Column
from voxloom.formats.manifest import SHARDS, FileFacts, Manifest, ShardFacts, columns_of, digest_of
from voxloom.formats.memmap import npy_header
from voxloom.formats.names import FORMATS
from voxloom.sample import Array, Schema

__all__ = ["RowWriter"]

_STEM = "00000"  # all samples lie in one shard


class RowWriter:
    """Write samples at any row, from several processes if each writes rows of its own.

    What comes out is a store of the format ``memmap`` with one shard. It has no manifest, so it does not
    open, until `finish` has been called.

    Parameters
    ----------
    folder
        Where the store comes to lie.
    schema
        One file a field; each field needs its shape.
    keys
        The key of each row.
    create
        Whether to make the files; the other processes wait until one has, and pass False.

    Raises
    ------
    SchemaError
        When a field has no shape.
    SaveError
        When the disk has no room for the files.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.formats.store import Store
    >>> from voxloom.sample import Field
    >>> folder = Path(mkdtemp()) / "latents"
    >>> writer = RowWriter(folder, Schema([Field(name="mu", kind="latent", shape=(1, 2, 2))]), ["a", "b"])
    >>> writer.write(1, {"mu": np.ones((1, 1, 2, 2))})
    >>> writer.write(0, {"mu": np.zeros((1, 1, 2, 2))})
    >>> writer.finish({"what": "an example"})
    >>> Store(folder).column("mu")[:, 0, 0, 0].tolist()
    [0.0, 1.0]
    """

    def __init__(self, folder: Path, schema: Schema, keys: Sequence[str], *, create: bool = True) -> None:
        self.folder, self.schema, self.keys = Path(folder), schema, list(keys)
        self._shards = self.folder / SHARDS
        self._format = FORMATS["memmap"]()
        columns = {column.name: column for column in _columns(schema)}
        self._paths = {name: self._path(column) for name, column in columns.items() if name != KEY}
        if create:
            self._create(columns)
        self._arrays: dict[str, Array] = {
            name: open_memmap(path, mode="r+") for name, path in self._paths.items()
        }

    def write(self, start: int, arrays: Mapping[str, Array], *, variant: int | None = None) -> None:
        """Write consecutive rows from `start` on; each array has the rows first.

        With `variant`, the second axis of the file counts variants, and this one is written.
        """
        for name, rows in arrays.items():
            where = self._arrays[name][start : start + len(rows)]
            if variant is None:
                where[...] = rows
            else:
                where[:, variant] = rows

    def flush(self) -> None:
        """Bring what was written to the disk."""
        for array in self._arrays.values():
            array.flush()  # type: ignore[attr-defined]

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write the manifest, by one process after all have flushed: now the store can be opened.

        Parameters
        ----------
        facts
            What the manifest shall say beside; plain values.
        """
        self.flush()
        names = self._format.files(_STEM, _columns(self.schema))
        shard = ShardFacts(stem=_STEM, samples=len(self.keys), files=tuple(map(self._facts, names)))
        Manifest(
            producer=f"voxloom {__version__}",
            format="memmap",
            fields=tuple(self.schema.values()),
            encodings=dict.fromkeys(self.schema, "fixed"),
            shards=(shard,),
            facts=dict(facts),
        ).write(self.folder)

    def _create(self, columns: Mapping[str, Column]) -> None:
        self._shards.mkdir(parents=True, exist_ok=True)
        for name, path in self._paths.items():
            column = columns[name]
            header = npy_header(str(column.dtype), (len(self.keys), *column.shape))
            _reserve(path, header, len(header) + len(self.keys) * column.row_bytes)
        writer = self._format.writer(self._shards, _STEM, [columns[KEY]], len(self.keys))
        for key in self.keys:
            writer.append({KEY: key.encode()})
        writer.close()

    def _path(self, column: Column) -> Path:
        (name,) = self._format.files(_STEM, [column])
        return self._shards / str(name)

    def _facts(self, name: str) -> FileFacts:
        path = self._shards / name
        return FileFacts(name=name, bytes=path.stat().st_size, xxh3=digest_of(path))


def _columns(schema: Schema) -> tuple[Column, ...]:
    if lacking := [name for name, field in schema.items() if field.shape is None]:
        raise SchemaError(
            f"fields {', '.join(lacking)} have no shape: rows can be written in any order only where all are "
            "of one shape. Give each field its shape."
        )
    return columns_of(schema.values(), dict.fromkeys(schema, "fixed"))


def _reserve(path: Path, header: bytes, size: int) -> None:
    """Make a file with its room on the disk: a mapped one that finds none later ends the process mutely."""
    try:
        with path.open("wb") as file:
            file.write(header)
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            return  # a file system that cannot reserve
        path.unlink(missing_ok=True)
        raise SaveError(
            f"could not write {path}, {size / 2**20:.0f} MiB: {error.strerror}. "
            "Free some space or name another folder, then go on."
        ) from error
