"""Arrays of one shape, kept as one ``.npy`` file a field: what an encoder writes and training maps.

::

    <folder>/<field>.npy        (N, ...) array, in the order of the keys
    <folder>/manifest.json      kind, schema, keys, producer; written last
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from voxloom.atomic import write_json
from voxloom.errors import MissingDataError, SaveError
from voxloom.sample import Array, Sample, Schema, Source

__all__ = ["ArrayFolder", "ArrayWriter"]

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


class ArrayWriter:
    """Write samples at any row, from several processes if each writes rows of its own.

    Parameters
    ----------
    folder
        Where the files come to lie.
    schema
        One field a file; each needs its shape.
    keys
        The key of each row.
    create
        Whether to make the files; the other processes wait until one has, and pass False.

    Raises
    ------
    SaveError
        When the disk has no room for the files.
    """

    def __init__(self, folder: Path, schema: Schema, keys: Sequence[str], *, create: bool = True) -> None:
        self.folder, self.schema, self.keys = Path(folder), schema, list(keys)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._arrays: dict[str, Array] = {}
        for name, field in schema.items():
            shape = (len(self.keys), *(field.shape or ()))
            path = self.folder / f"{name}.npy"
            if create:
                self._arrays[name] = open_memmap(path, mode="w+", dtype=np.dtype(field.dtype), shape=shape)
                _reserve(path)
            else:
                self._arrays[name] = open_memmap(path, mode="r+")

    def write(self, start: int, arrays: dict[str, Array], *, variant: int | None = None) -> None:
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

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the manifest, by one process after all have flushed: now the folder can be opened."""
        manifest = {"kind": "voxloom-arrays", "format_version": FORMAT_VERSION, **facts}
        write_json(
            self.folder / MANIFEST,
            {**manifest, "schema": self.schema.to_list(), "keys": self.keys},
        )


class ArrayFolder(Source):
    """Read what an `ArrayWriter` has finished. Rows are views of mapped files.

    Raises
    ------
    MissingDataError
        When there is no manifest (nothing was written, or writing did not finish), or a file is gone.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / MANIFEST
        if not path.is_file():
            raise MissingDataError(f"{self.folder} is no finished folder of arrays: expected {path}.")
        self.manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._schema = Schema.from_list(self.manifest["schema"])
        if lost := [f"{name}.npy" for name in self._schema if not (self.folder / f"{name}.npy").is_file()]:
            raise MissingDataError(f"{self.folder} lacks {', '.join(lost)}, which {path} names.")
        self._arrays: dict[str, Array] = {}

    @property
    def schema(self) -> Schema:
        """The fields, with their shapes."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The key of each row."""
        keys: list[str] = self.manifest["keys"]
        return keys

    def read(self, index: int) -> Sample:
        """Return views of row `index`."""
        arrays = {name: self.array(name)[index] for name in self._schema}
        return Sample(self.keys[index], self._schema, arrays)

    def array(self, name: str) -> Array:
        """Return all rows of a field, mapped."""
        if name not in self._arrays:
            self._arrays[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return self._arrays[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}  # each process maps the files for itself


def _reserve(path: Path) -> None:
    """Take a file's room on the disk: a mapped one that finds none later ends the process without a word."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return  # a file system that cannot reserve
        size = path.stat().st_size / 2**20
        path.unlink()
        raise SaveError(
            f"could not write {path}, {size:.0f} MiB: {error.strerror}. "
            "Free some space or name another folder, then go on."
        ) from error
