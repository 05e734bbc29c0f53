"""Reading of a source whose own errors are told as ours, and the state of its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from voxloom.conversion.origin import inner_of, origins
from voxloom.errors import ConfigError, DataError, VoxloomError
from voxloom.formats.store import Store
from voxloom.sample import Cell, Sample, Schema
from voxloom.source import Concat, Source, Subset
from voxloom.sources.webdataset import TarFolder

__all__ = ["Guarded", "cells_of", "state_of"]

_THEIRS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError)


def cells_of(source: Source, index: int) -> Mapping[str, Cell]:
    """Return sample `index` at rest.

    Raises
    ------
    DataError
        Also for the errors that the code of a dataset raises by itself.
    """
    with _told():
        return source.cells(index)


class Guarded(Source):
    """A source whose own errors become `DataError`, so that bad samples can be skipped as bad files are."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def schema(self) -> Schema:
        """The fields of the source."""
        with _told("the first item "):
            return self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    def __repr__(self) -> str:
        return repr(self.source)

    def read(self, index: int) -> Sample:
        """Return the sample of the source."""
        with _told():
            return self.source[index]

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the sample of the source at rest."""
        return cells_of(self.source, index)

    def select(self, *names: str) -> Source:
        """Return the same choice of the source."""
        return Guarded(self.source.select(*names))


@contextmanager
def _told(what: str = "") -> Iterator[None]:
    try:
        yield
    except VoxloomError:
        raise
    except _THEIRS as error:
        raise DataError(f"{what}could not be read ({type(error).__name__}: {error})") from error


def state_of(source: Source, indices: Iterable[int]) -> str:
    """Return 16 hexadecimal digits that change with the sizes and times of the files of these samples.

    A store counts by the digests in its manifest, a table and tars as a whole. What lies in no file
    that is known always looks the same.
    """
    digest = xxhash.xxh3_64()
    for text in _whole(source):
        digest.update(text)
    paths = _paths_of(source)
    for index in indices:
        for path in paths(index):
            digest.update(_stamp(path))
    return digest.hexdigest()


def _stamp(path: str | Path) -> bytes:
    try:
        found = os.stat(path)
    except OSError:
        return b"none;"
    return b"%d %d;" % (found.st_size, found.st_mtime_ns)


def _whole(source: object) -> Iterator[bytes]:
    """Yield the state of what is shared by all samples of a source."""
    if isinstance(source, Store):
        for shard in source.manifest.shards:
            yield from (file.xxh3.encode() for file in shard.files)
        return
    for inner in inner_of(source):
        yield from _whole(inner)
    for origin in origins(source, inner=False):
        if origin.is_file():
            yield _stamp(origin)
        elif isinstance(source, TarFolder):
            yield from (_stamp(path) for path in sorted(origin.glob("*.tar")))


_Paths = Callable[[int], Iterable[str | Path]]


def _paths_of(source: object) -> _Paths:
    """Return what gives the files of a sample, where the source can tell."""
    if isinstance(source, Concat):
        all_of = {id(each): _paths_of(each) for each in source.sources}
        return lambda index: _located(source, index, all_of)
    if isinstance(source, Subset):
        paths, count = _paths_of(source.source), len(source.source)
        return lambda index: paths(int(source.indices[index]) % count)
    if isinstance(inner := getattr(source, "source", None), Source):
        return _paths_of(inner)
    path = getattr(source, "path", None)
    if not (callable(path) and hasattr(source, "nbytes")):
        return lambda _: ()
    names = _file_fields(source, path)
    if names is None:
        return lambda index: _each(path(index))
    return lambda index: [path(index, name) for name in names]


def _located(source: Concat, index: int, all_of: Mapping[int, _Paths]) -> Iterable[str | Path]:
    inner, at = source.located(index)
    return all_of[id(inner)](at)


def _each(paths: Any) -> Iterable[str | Path]:
    return paths.values() if isinstance(paths, Mapping) else (paths,)


def _file_fields(source: Any, path: Callable[..., Path]) -> list[str] | None:
    """Return the fields that lie in files, where a source gives the path of one field at a time."""
    names = []
    for name in source.schema:
        try:
            path(0, name)
            names.append(name)
        except TypeError:
            return None
        except ConfigError:
            continue
    return names
