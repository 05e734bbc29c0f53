"""Small files of a store that is being made, and what happens where one cannot be written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tensorstore as ts

from voxloom.errors import SaveError
from voxloom.volumes import engine
from voxloom.volumes.place import Place

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where two processes must not make one store at once
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "claimed",
    "has_files",
    "names_in",
    "refuse_read_only",
    "remove_all",
    "saved",
    "write_file",
    "write_json",
]

_FAILURES = (ValueError, RuntimeError, OSError, OverflowError, NotImplementedError)
_SYSTEM = re.compile(r": ([^:]+) \[os_error_code=")
_NETWORK = ("retry attempts failed", "UNAVAILABLE", "DEADLINE_EXCEEDED")
_NO_SPACE = ("no space left", "file too large", "quota", "resource_exhausted")


def saved(future: Any, what: str) -> Any:
    """Wait for a future of TensorStore that writes, and return its result.

    Raises
    ------
    SaveError
        Where TensorStore gives up; what was there before is still there.
    """
    try:
        return future.result()
    except _FAILURES as error:
        raise SaveError(f"could not write {what}: {_said(error)}. {_cure(str(error))}") from error


def write_file(place: Place, name: str, data: bytes) -> None:
    """Write a small file below a place, whole or not at all.

    Raises
    ------
    SaveError
        Where it cannot be written.
    """
    saved(_store(place).write(name, data), f"{place}/{name}")


def write_json(place: Place, name: str, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON below a place, whole or not at all.

    Raises
    ------
    SaveError
        Where it cannot be written.
    """
    write_file(place, name, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def refuse_read_only(place: Place) -> None:
    """Refuse a place where nothing can be written, before anything is looked up there.

    Raises
    ------
    SaveError
        If it is on a web server.
    """
    if place.scheme.startswith("http"):
        raise SaveError(f"{place}: web servers are only read. Expected a folder, or s3:// or gs://.")


def has_files(place: Place) -> bool:
    """Return whether anything lies below a place."""
    return bool(names_in(place))


def names_in(place: Place) -> list[str]:
    """Return the names directly below a place; of a file its own."""
    is_file = place.scheme == "file" and Path(place.path).is_file()
    return [place.name] if is_file else place.list_children()


def remove_all(place: Place, first: tuple[str, ...], but: str) -> None:
    """Remove all files below a place.

    Parameters
    ----------
    first
        Those that make the rest look whole: they are gone before any other is.
    but
        The one that stays.
    """
    store = _store(place)
    for name in first:
        saved(store.write(name, None), f"{place}/{name}")
    ranges = (ts.KvStore.KeyRange("", but), ts.KvStore.KeyRange(f"{but}\0", ""))
    for part in ranges:
        saved(store.delete_range(part), str(place))


@contextmanager
def claimed(place: Place, name: str) -> Iterator[None]:
    """Keep a file of a name below a place for as long as the block runs, and when it does not end well.

    In a file system no two processes are within at once: the second waits for the first. A file that a
    killed process has left does not hinder. Object stores have no locks; there one process at a time
    has to see to it.

    Raises
    ------
    SaveError
        Where the file cannot be made.
    """
    refuse_read_only(place)
    if place.scheme != "file" or fcntl is None:
        write_file(place, name, b"")
        yield
        saved(_store(place).write(name, None), f"{place}/{name}")
        return
    path = Path(place.path) / name
    with _locked(path):
        yield
        with suppress(FileNotFoundError):
            path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = _open_locked(path)
    try:
        yield
    finally:
        os.close(handle)  # which unlocks


def _open_locked(path: Path) -> int:
    """Return a handle of the locked file; one that another process has removed meanwhile will not do."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise SaveError(f"could not write {path}: {error.strerror}. {_cure(str(error))}") from error
        _lock(handle, path)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:  # TensorStore locks what it writes too, so going on without would not do
        os.close(handle)
        raise SaveError(
            f"could not lock {path}: {error.strerror}. Have the file system mounted with locks (Lustre: -o "
            "flock; NFS: its lock service), or name a folder on another one."
        ) from error


def _store(place: Place) -> Any:
    return ts.KvStore.open(place.kvstore(), context=engine.context()).result()


def _said(error: BaseException) -> str:
    """Return what the system said, or else what TensorStore did, without where in its source."""
    system = _SYSTEM.search(str(error))
    if system:
        return system[1]
    return engine.plain(error)


def _cure(text: str) -> str:
    if any(sign in text.lower() for sign in _NO_SPACE):
        return "Free some space or name another folder, then go on."
    if any(sign in text for sign in _NETWORK):
        return "Check the network and go on: what is written stays."
    return "Name a place that can be written, or have its rights changed."
