"""The counts of classes in the user's cache folder: small files, whole or not there at all."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import threading
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from voxloom.atomic import replacing
from voxloom.cache import cache_folder
from voxloom.errors import SaveError
from voxloom.geometry import Grid, Point
from voxloom.sample import Array
from voxloom.volumes.bits import Mark
from voxloom.volumes.class_cells import ClassCells
from voxloom.volumes.volume import Volume

__all__ = ["key_of", "load", "save"]

logger = logging.getLogger(__name__)

_FORMAT = 2  # of the files and of the way of counting; files of another are not found
_ENTRIES = 1 << 14  # files and folders of an array whose times and sizes are looked at; more than is counted
_one_writer = threading.Lock()  # of this process: its threads would share a temporary file

Key = str
"""Names what was counted; hexadecimal."""


def key_of(marks: Sequence[Mark], level: int, others: Sequence[str]) -> Key:
    """Return the key of what is counted: volumes, their metadata, what values mean, and `others`."""
    told = [
        (
            mark.volume.path,
            list(mark.volume.channels),
            repr(mark.volume.levels),
            mark.volume.options.time,
            mark.known,
            sorted((mark.table or {}).items()),
            mark.table is None,
            mark.shifts,
            _changed(mark.volume, level),
        )
        for mark in marks
    ]
    text = json.dumps([_FORMAT, level, list(others), told])
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def load(key: Key) -> dict[str, ClassCells] | None:
    """Return the counts of a key; None where there are none, or none that can be read."""
    path = _path(key)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return _unpacked(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s cannot be read (%s); its classes are counted again", path, error)
        return None


def save(key: Key, cells: Mapping[str, ClassCells]) -> None:
    """Keep counts. A cache that cannot be written costs time, so it is only said."""
    packed = _packed(cells)
    try:
        with _one_writer, replacing(_path(key)) as file:
            np.savez(file, **packed)  # type: ignore[arg-type] # mypy takes them for its flag
    except SaveError:
        _warn(cache_folder())


@lru_cache(maxsize=16)  # once a folder: the next dataset fails for the same reason
def _warn(folder: Path) -> None:
    logger.warning(
        "%s cannot be written: the counts of classes are not kept, and counted again next time. Free some "
        "space, or name another folder in VOXLOOM_CACHE.",
        folder,
    )


def _path(key: Key) -> Path:
    return cache_folder() / "classes" / f"{key}.npz"


def _packed(cells: Mapping[str, ClassCells]) -> dict[str, Array]:
    """Return arrays that hold the counts: those of one call share the grid."""
    listed = list(cells.values())
    grid = listed[0].grid
    return {
        "names": np.array(list(cells), np.str_),
        "ends": np.cumsum([len(each.numbers) for each in listed]),
        "numbers": np.concatenate([each.numbers for each in listed]).astype(np.int32),
        "counts": np.concatenate([each.counts for each in listed]).astype(np.int64),
        "counted": np.array([each.counted for each in listed], np.int64),
        "volume": np.array([each.volume for each in listed]),
        "grid": np.array([grid.shape, grid.spacing, grid.origin], np.float64),
    }


def _unpacked(file: Mapping[str, Array]) -> dict[str, ClassCells]:
    shape, spacing, origin = file["grid"].tolist()
    z, y, x = map(int, shape)
    grid = Grid((z, y, x), _point(spacing), _point(origin))
    ends = file["ends"][:-1]
    parts = zip(np.split(file["numbers"], ends), np.split(file["counts"], ends), strict=True)
    told = zip(file["names"].tolist(), file["counted"].tolist(), file["volume"].tolist(), strict=True)
    return {
        name: ClassCells(grid, numbers, counts, counted, volume)
        for (name, counted, volume), (numbers, counts) in zip(told, parts, strict=True)
    }


def _point(values: Sequence[float]) -> Point:
    z, y, x = values
    return (z, y, x)


def _changed(volume: Volume, level: int) -> str:
    """Return what changes when a local array does; nothing for what lies elsewhere.

    Chunks may be replaced by others, which changes the folder, or overwritten in place, which does not.
    """
    if volume.place.scheme != "file":
        return ""
    listed = islice(_entries(Path(volume.place.join(volume.levels[level].path).path)), _ENTRIES)
    return hashlib.blake2b(json.dumps(list(listed)).encode(), digest_size=20).hexdigest()


def _entries(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, time of change in ns, and size of all files and folders, the nearest first."""
    folders = deque([root])
    while folders:
        folder = folders.popleft()
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            try:
                told = entry.stat()
            except FileNotFoundError:  # it was a writer's temporary file
                continue
            if entry.is_dir():
                folders.append(Path(entry.path))
            yield os.path.relpath(entry.path, root), told.st_mtime_ns, told.st_size
