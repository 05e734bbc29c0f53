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

__all__ = ["as_source", "inner_of", "origins", "reads_in_threads", "roots"]


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


def origins(source: object, *, inner: bool = True) -> list[Path]:
    """Return the files and folders that a source says it was read from, as far as they are there.

    A dataset of others is taken by the folders below its root of which it lists files: its root alone
    is often where it may put things, and not what it holds.
    """
    paths = [path for path in _told(source) if isinstance(source, Source)]
    folders = getattr(source, "folders", None)
    paths += list(folders.values()) if isinstance(folders, Mapping) else []
    if not isinstance(source, Source):
        paths += _listed(source)
    found = [Path(path) for path in paths if isinstance(path, str | Path) and os.path.exists(path)]
    for each in inner_of(source) if inner else ():
        found += origins(each)
    return found


def roots(source: object) -> list[str]:
    """Return all that a source says of where it lies, longest first, to leave it out of what is told."""
    told = {str(path) for path in _told(source) if isinstance(path, str | Path)}
    told |= {os.path.abspath(path) for path in told} | {str(path) for path in origins(source, inner=False)}
    for each in inner_of(source):
        told |= set(roots(each))
    return sorted(told - {"", os.curdir, os.sep}, key=len, reverse=True)


def _told(source: object) -> list[object]:
    return [getattr(source, name, None) for name in ("path", "root", "folder", "origin")]


def _listed(dataset: object) -> list[str]:
    """Return the folders, one below the root, of which a dataset lists files."""
    root = next((path for path in _told(dataset) if isinstance(path, str | Path)), None)
    found = set()
    for name in ("samples", "imgs", "paths"):
        listed = getattr(dataset, name, None)
        for each in listed if isinstance(listed, list | tuple) else ():
            path = each[0] if isinstance(each, list | tuple) and each else each
            if isinstance(path, str | Path):
                found.add(os.path.dirname(path))
    if root is None:
        return sorted(found)
    parts = {os.path.relpath(folder, root).split(os.sep)[0] for folder in found}
    return sorted(os.path.join(root, part) for part in parts - {os.curdir, os.pardir})


def reads_in_threads(source: object) -> bool:
    """Whether a source may be read from other threads: ours all may, datasets of others may not."""
    return not isinstance(source, DatasetSource) and all(reads_in_threads(each) for each in inner_of(source))


def inner_of(source: object) -> list[object]:
    """Return what a source reads from: the sources or the dataset that it is made of."""
    found = [getattr(source, name, None) for name in ("source", "dataset")]
    return [each for each in (*found, *(getattr(source, "sources", None) or ())) if each is not None]
