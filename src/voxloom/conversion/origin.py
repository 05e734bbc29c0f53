"""What is converted, and where it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxloom.errors import ConfigError
from voxloom.source import Source
from voxloom.sources.dataset import DatasetSource
from voxloom.sources.opening import open_source

__all__ = ["as_source", "origins", "reads_in_threads"]


def as_source(source: Any) -> Source:
    """Return a source, or open what is meant by a path or a map-style dataset.

    Raises
    ------
    ConfigError
        If it is nothing of these.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        return open_source(source)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return DatasetSource(source)
    raise ConfigError(
        f"{type(source).__name__} cannot be converted: expected a Source, a path, or a dataset with "
        "len() and indices"
    )


def origins(source: object) -> list[Path]:
    """Return the files and folders that a source says it was read from, as far as they are there."""
    told = [getattr(source, name, None) for name in ("path", "root", "folder", "origin")]
    folders = getattr(source, "folders", None)
    told += list(folders.values()) if isinstance(folders, Mapping) else []
    paths = [Path(path) for path in told if isinstance(path, str | Path) and os.path.exists(path)]
    for each in _inner(source):
        paths += origins(each)
    return paths


def reads_in_threads(source: object) -> bool:
    """Whether a source may be read from other threads: ours all may, datasets of others may not."""
    return not isinstance(source, DatasetSource) and all(reads_in_threads(each) for each in _inner(source))


def _inner(source: object) -> list[object]:
    """Return what a source reads from: the sources or the dataset that it is made of."""
    found = [getattr(source, name, None) for name in ("source", "dataset")]
    return [each for each in (*found, *(getattr(source, "_sources", None) or ())) if each is not None]
