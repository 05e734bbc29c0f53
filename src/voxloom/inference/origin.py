"""What the samples of a source are made of, without reading them: the facts that a cache is keyed by."""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any
from uuid import uuid4

import numpy as np

from voxloom.amounts import counted
from voxloom.formats.store import Store
from voxloom.sample import Cell
from voxloom.source import Concat, Map, Select, Source, Subset
from voxloom.sources.columns import Files
from voxloom.sources.files import FileSource
from voxloom.sources.folder import ImageFolder, PairFolder
from voxloom.sources.older_layout import OlderFolder
from voxloom.sources.stored import MatchedImages, StoredImages
from voxloom.sources.webdataset import TarFolder

__all__ = ["origin_of"]

_log = logging.getLogger(__name__)

_Facts = Callable[[Any, Sequence[int]], list[Any]]


def origin_of(source: Source) -> list[Any]:
    """Return plain values that change when what the source reads changes.

    Of files these are path, size and time of change; of a store the digests in its manifest, so that a
    copy of a store counts as the same. All samples of any other source are read once for a digest of
    what they hold. A `Map` whose function cannot be pickled gives another value each time.

    Raises
    ------
    DataError
        If a source is read for its digest, and a sample cannot be.

    Examples
    --------
    >>> import os
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import write_image
    >>> path = Path(mkdtemp()) / "1.tif"
    >>> write_image(path, np.eye(4))
    >>> before = origin_of(ImageFolder(path.parent))
    >>> os.utime(path, ns=(1, 1))
    >>> before == origin_of(ImageFolder(path.parent))
    False
    """
    return _origin(source, range(len(source)))


def _origin(source: Source, indices: Sequence[int]) -> list[Any]:
    # By the exact type: a class derived from one of ours may read something else.
    facts: _Facts = _FACTS.get(type(source), _of_content)
    return facts(source, indices)


def _of_subset(source: Subset, indices: Sequence[int]) -> list[Any]:
    return _origin(source.source, source.indices[list(indices)].tolist())


def _of_map(source: Map, indices: Sequence[int]) -> list[Any]:
    return [_function(source.function), *_origin(source.source, indices)]


def _of_select(source: Select, indices: Sequence[int]) -> list[Any]:
    return [list(source.schema), *_origin(source.source, indices)]


def _of_concat(source: Concat, indices: Sequence[int]) -> list[Any]:
    located = [source.located(index) for index in indices]
    parts = list(dict.fromkeys(part for part, _ in located))
    rows = [[row for other, row in located if other is part] for part in parts]
    order = [parts.index(part) for part, _ in located]
    return [order, *(_origin(part, some) for part, some in zip(parts, rows, strict=True))]


def _of_matched(source: MatchedImages, indices: Sequence[int]) -> list[Any]:
    sides = source.sides.items()
    return [[name, *_origin(side, source.rows[name][list(indices)].tolist())] for name, side in sides]


def _of_stored(source: StoredImages, indices: Sequence[int]) -> list[Any]:
    return [source.policy.model_dump(), *_origin(source.store, source.rows[list(indices)].tolist())]


def _of_store(source: Store, indices: Sequence[int]) -> list[Any]:
    files = (file.xxh3 for shard in source.manifest.shards for file in shard.files)
    scaled = getattr(source, "at_least", None)
    return [list(source.schema), _digest(file.encode() for file in files), list(indices), scaled]


def _of_files(source: FileSource, indices: Sequence[int]) -> list[Any]:
    values = {name: c for name, c in source.columns.items() if not isinstance(c, Files)}
    files = [c for c in source.columns.values() if isinstance(c, Files)]
    return [
        list(source.columns),
        source.at_least,
        {name: _digest(_told(values[name].cell(i)) for i in indices) for name in values},
        *(_file_facts(column.path(i)) for i in indices for column in files),
    ]


def _of_folder(source: ImageFolder, indices: Sequence[int]) -> list[Any]:
    return [source.policy.model_dump(), *(_file_facts(source.path(i)) for i in indices)]


def _of_pairs(source: PairFolder, indices: Sequence[int]) -> list[Any]:
    files = (path for i in indices for path in source.path(i).values())
    return [source.policy.model_dump(), *map(_file_facts, files)]


def _of_parts(source: TarFolder | OlderFolder, indices: Sequence[int]) -> list[Any]:
    """Of files that hold many samples each."""
    return [list(source.schema), list(indices), *map(_file_facts, source.files)]


def _of_content(source: Source, indices: Sequence[int]) -> list[Any]:
    """Of whatever knows no files: the one honest way is to look at it."""
    _log.info(
        "reading %s once, to tell the next time whether anything has changed", counted(len(indices), "sample")
    )
    return [list(source.schema), _digest(_contents(source, indices))]


_FACTS: dict[type[Source], _Facts] = {
    Concat: _of_concat,
    FileSource: _of_files,
    ImageFolder: _of_folder,
    Map: _of_map,
    MatchedImages: _of_matched,
    OlderFolder: _of_parts,
    PairFolder: _of_pairs,
    Select: _of_select,
    Store: _of_store,
    StoredImages: _of_stored,
    Subset: _of_subset,
    TarFolder: _of_parts,
}


def _contents(source: Source, indices: Sequence[int]) -> Iterator[bytes]:
    for index in indices:
        for name, cell in source.cells(index).items():
            yield name.encode()
            yield _told(cell)


def _told(cell: Cell) -> bytes:
    """Return a cell as bytes, an array with its type and shape."""
    if not isinstance(cell, np.ndarray):
        return bytes(cell)
    return f"{cell.dtype.str}{cell.shape}".encode() + cell.tobytes()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))  # or "ab", "c" would be "a", "bc"
        digest.update(part)
    return digest.hexdigest()


def _function(function: Callable[..., Any]) -> str:
    """Return a digest of a function with what it holds: by its name alone, two of them may differ."""
    try:
        state = pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        _log.warning(
            "%r cannot be pickled (%s), so nothing tells whether it is the same the next time: what is "
            "made of its samples is made anew each time. Use a function of a module, or an object that can "
            "be pickled.",
            function, error,
        )  # fmt: skip
        return uuid4().hex
    # A pickled function is its name; one of the same name in another script may do something else.
    called = function if hasattr(function, "__code__") else type(function).__call__
    return _digest([state, *_instructions(getattr(called, "__code__", None))])


def _instructions(code: CodeType | None) -> Iterator[bytes]:
    if code is None:
        return
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        elif isinstance(constant, frozenset):  # its order differs from process to process
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()


def _file_facts(path: str | Path) -> tuple[str, int, int]:
    path = Path(path)
    facts = path.stat()
    return str(path.resolve()), facts.st_size, facts.st_mtime_ns
