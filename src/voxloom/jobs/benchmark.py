"""Bench: what lies at a path, the folder that it came from, and other formats, side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from voxloom.amounts import size_of_cell
from voxloom.conversion import convert
from voxloom.formats import FORMATS
from voxloom.formats.store import Store
from voxloom.jobs.preview import evenly_spread
from voxloom.loading.bench import Bench, BenchSettings, bench
from voxloom.source import Source, Subset
from voxloom.sources.opening import open_source

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
    source = open_source(path, layout=layout)  # type: ignore[arg-type]
    plain = None if folder is None else open_source(folder)
    what = f"{path} ({source.manifest.format})" if isinstance(source, Store) else str(path)
    yield what, bench(source, settings, files=files_of(Path(path)))
    if folder is not None and plain is not None:
        yield str(folder), bench(plain, settings, files=files_of(Path(folder)))
    chosen = _some(source)
    for name in formats:
        with tempfile.TemporaryDirectory(prefix="voxloom-bench-") as temporary:
            store = Path(temporary) / "store"
            convert(chosen, store, format=name)
            told = f"{len(chosen)} of {len(source)} samples as {name}"
            yield told, bench(Store(store), settings, files=files_of(store))


def files_of(path: Path) -> list[Path]:
    """Return all files below a folder, in the order of their names; of a file, nothing."""
    return [Path(folder, name) for folder, _, names in sorted(os.walk(path)) for name in sorted(names)]


def _some(source: Source) -> Source:
    """Return samples that are evenly spread over a source, of `_MOST` bytes in all."""
    looked = evenly_spread(len(source), 8)
    sizes = [sum(map(size_of_cell, source.cells(index).values())) for index in looked]
    number = int(_MOST * len(sizes) / max(1, sum(sizes)))
    return source if number >= len(source) else Subset(source, evenly_spread(len(source), max(1, number)))
