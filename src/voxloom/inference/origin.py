"""What the samples of a source are made of, without reading them: the facts that a cache is keyed by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from voxloom.errors import ConfigError
from voxloom.formats.store import Store
from voxloom.source import Concat, Map, Select, Source, Subset
from voxloom.sources.files import FileSource
from voxloom.sources.stored import MatchedImages, StoredImages

__all__ = ["origin_of"]


def origin_of(source: Source) -> list[Any]:
    """Return plain values that change when what the source reads changes.

    Of files these are path, size and time of change; of a store the digests in its manifest, so that a
    copy of a store counts as the same; of a source of neither kind, nothing.

    Examples
    --------
    >>> import os
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources import ImageFolder, write_image
    >>> path = Path(mkdtemp()) / "1.tif"
    >>> write_image(path, np.eye(4))
    >>> before = origin_of(ImageFolder(path.parent))
    >>> os.utime(path, ns=(1, 1))
    >>> before == origin_of(ImageFolder(path.parent))
    False
    """
    return _origin(source, range(len(source)))


def _origin(source: Source, indices: Sequence[int]) -> list[Any]:
    match source:
        case Subset():
            return _origin(source.source, source.indices[list(indices)].tolist())
        case Map():
            return [_name(source.function), *_origin(source.source, indices)]
        case Select():
            return [list(source.schema), *_origin(source.source, indices)]
        case Concat():
            return _origin_of_parts(source, indices)
        case MatchedImages():
            sides = source.sides.items()
            return [[name, *_origin(side, source.rows[name][list(indices)].tolist())] for name, side in sides]
        case StoredImages():
            rows = source.rows[list(indices)].tolist()
            return [source.policy.model_dump(), *_origin(source.store, rows)]
        case Store():
            return [list(source.schema), _digest(source), list(indices)]
        case FileSource():
            return [
                list(source.schema),
                *(_file_facts(path) for i in indices for path in _columns(source, i)),
            ]
    policy = getattr(source, "policy", None)
    facts = [_file_facts(path) for index in indices for path in _files(source, index)]
    return [policy.model_dump() if policy is not None else None, *facts]


def _origin_of_parts(source: Concat, indices: Sequence[int]) -> list[Any]:
    located = [source.located(index) for index in indices]
    parts = list(dict.fromkeys(part for part, _ in located))
    rows = [[row for other, row in located if other is part] for part in parts]
    order = [parts.index(part) for part, _ in located]
    return [order, *(_origin(part, some) for part, some in zip(parts, rows, strict=True))]


def _digest(store: Store) -> str:
    files = (file.xxh3 for shard in store.manifest.shards for file in shard.files)
    return hashlib.blake2b("".join(files).encode(), digest_size=16).hexdigest()


def _name(function: object) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _columns(source: FileSource, index: int) -> list[Path]:
    """The files behind a sample; fields of values have none."""
    paths = []
    for name in source.schema:
        with suppress(ConfigError):
            paths.append(source.path(index, name))
    return paths


def _files(source: Source, index: int) -> list[Path]:
    """The files behind a sample; none where a source has no files."""
    path = getattr(source, "path", None)
    found = path(index) if callable(path) else []
    if isinstance(found, Mapping):
        return [Path(p) for p in found.values()]
    return [Path(p) for p in found] if isinstance(found, list | tuple) else [Path(found)]


def _file_facts(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return str(path.resolve()), facts.st_size, facts.st_mtime_ns
