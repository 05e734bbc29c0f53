"""Bench: what lies at a path, the folder that it came from, and other formats, side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from voxloom.amounts import size_of_cell
from voxloom.analysis.looking.sheet import evenly_spread
from voxloom.conversion import convert
from voxloom.formats import FORMATS
from voxloom.formats.store import Store
from voxloom.jobs.reading import SourceOptions, open_named
from voxloom.loading.bench import Bench, BenchSettings, bench
from voxloom.source import Source, Subset
from voxloom.sources.files import FileSource

__all__ = ["bench_formats", "files_of"]

_MOST = 2**30  # bytes that are written to try another format


def bench_formats(
    path: str | Path,
    settings: BenchSettings,
    *,
    folder: str | Path | None = None,
    formats: Sequence[str] = (),
    layout: str = "auto",
) -> Iterator[tuple[str, Bench]]:
    """Time the reading of a path, and then of what it is compared with.

    Parameters
    ----------
    path
        A store, a folder or a table.
    settings
        What is timed, and for how long.
    folder
        The plain files to compare with.
    formats
        Formats to compare with: samples evenly spread over the source, of 1 GiB at most, are written
        to a temporary folder in each of them.
    layout
        How `path` lies on disk, as `open_source` knows it.

    Yields
    ------
    tuple
        What was timed, and what was found.

    Raises
    ------
    UnknownNameError
        For an unknown format, before anything is timed.
    """
    for name in formats:
        _ = FORMATS[name]
    source = open_named(path, SourceOptions(layout=layout))
    plain = None if folder is None else open_named(folder)
    what = f"{path} ({source.manifest.format})" if isinstance(source, Store) else str(path)
    yield what, bench(source, settings, files=files_of(source, Path(path)))
    if folder is not None and plain is not None:
        yield str(folder), bench(plain, settings, files=files_of(plain, Path(folder)))
    chosen = _some(source)
    for name in formats:
        with tempfile.TemporaryDirectory(prefix="voxloom-bench-") as temporary:
            store = Path(temporary) / "store"
            convert(chosen, store, format=name)
            told = f"{len(chosen)} of {len(source)} samples as {name}"
            yield told, bench(written := Store(store), settings, files=files_of(written, store))


def files_of(source: Source, path: Path) -> list[Path]:
    """Return the files that a source reads: those that it names, else all at or below its path."""
    if isinstance(source, FileSource):
        fields = [field.name for field in source.schema.values() if field.is_spatial]
        return list(dict.fromkeys(source.path(i, name) for i in range(len(source)) for name in fields))
    if path.is_file():
        return [path]
    return [Path(folder, name) for folder, _, names in sorted(os.walk(path)) for name in sorted(names)]


def _some(source: Source) -> Source:
    """Return samples that are evenly spread over a source, of `_MOST` bytes in all."""
    looked = evenly_spread(len(source), 8)
    sizes = [sum(map(size_of_cell, source.cells(index).values())) for index in looked]
    number = int(_MOST * len(sizes) / max(1, sum(sizes)))
    return source if number >= len(source) else Subset(source, evenly_spread(len(source), max(1, number)))
