"""The shards of a store that a process has open, checked when they are first touched."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from voxloom.errors import DamagedStoreError, MissingDataError
from voxloom.formats.format import Shard, Spread
from voxloom.formats.manifest import SHARDS, FileFacts, Manifest, ShardFacts, digest_of
from voxloom.formats.names import FORMATS

__all__ = ["OpenShards", "check_digest", "check_size"]

_MOST_OPEN = 1024  # shards; most formats map their files, and a map holds no open file


class OpenShards:
    """The shards that this process has open; those opened first are let go first."""

    def __init__(self, path: Path, manifest: Manifest, *, verify: bool) -> None:
        self._path, self._manifest, self._verify = path, manifest, verify
        self._verified: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._shards: dict[int, Shard] = {}
        self._spreads: dict[tuple[int, str], Spread | None] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_shards, (self._path, self._manifest, self._verify)

    def __getitem__(self, number: int) -> Shard:
        if self._pid != os.getpid():  # forked: handles and a held lock belong to the parent
            self._begin()
        shard = self._shards.get(number)
        return self._opened(number) if shard is None else shard

    def spread(self, number: int, name: str) -> Spread | None:
        """Return where the samples of a column of one shape lie in a shard, if it is mapped."""
        shard = self[number]
        try:
            return self._spreads[number, name]
        except KeyError:
            spread = shard.spread(name)
            self._spreads[number, name] = spread
            return spread

    def _opened(self, number: int) -> Shard:
        with self._lock:
            if number in self._shards:
                return self._shards[number]
            facts, folder = self._manifest.shards[number], self._path / SHARDS
            self._check(number, facts, folder)
            shard: Shard = FORMATS[self._manifest.format]().open(
                folder, facts.stem, self._manifest.columns, facts.samples
            )
            # Not closed here: another thread may be reading it. It closes when nobody holds it.
            while len(self._shards) >= _MOST_OPEN:
                first = next(iter(self._shards))
                del self._shards[first]
                for name in [name for each, name in list(self._spreads) if each == first]:
                    self._spreads.pop((first, name), None)
            self._shards[number] = shard
            return shard

    def _check(self, number: int, facts: ShardFacts, folder: Path) -> None:
        for file in facts.files:
            check_size(folder / file.name, file)
            if self._verify and number not in self._verified:
                check_digest(folder / file.name, file)
        self._verified.add(number)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            for shard in self._shards.values():
                shard.close()
            self._shards.clear()
            self._spreads.clear()


def _open_shards(path: Path, manifest: Manifest, verify: bool) -> OpenShards:
    return OpenShards(path, manifest, verify=verify)


def check_size(path: Path, file: FileFacts) -> None:
    """Raise MissingDataError or DamagedStoreError unless the file is there and as long as it was written."""
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingDataError(
            f"{path} is missing; the manifest names it. Restore it, or convert the data again."
        ) from error
    if size != file.bytes:
        raise DamagedStoreError(
            f"{path} has {size} bytes, and the manifest says {file.bytes}: it was cut or changed. "
            "Restore it from a copy, or convert the data again."
        )


def check_digest(path: Path, file: FileFacts) -> None:
    """Raise DamagedStoreError unless the file's content is what was written."""
    found = digest_of(path)
    if found != file.xxh3:
        raise DamagedStoreError(
            f"{path}: its digest is {found}, and the manifest says {file.xxh3}: its content was changed. "
            "Restore it from a copy, or convert the data again."
        )
