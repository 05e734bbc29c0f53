"""A stamp of what a volume holds: whether it was written anew, told without reading it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from voxloom.volumes.volume import Volume

__all__ = ["stamp_of"]

_METADATA = ("zarr.json", ".zarray", "attributes.json")
_LOOKED_AT = 64  # files, evenly spread over the array: more would take long on a file system of a cluster


def stamp_of(volume: Volume, level: int = 0) -> str:
    """Return a text that is another one when a level was written anew.

    It depends on the metadata of the level's array and, in a file system, on the sizes and times of 64
    of its files, spread over the array. So a volume that was made again has another stamp; one of
    which a small part was changed may have the same, and so has one in an object store.

    Raises
    ------
    VolumeReadError
        If the metadata cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.volumes.layout import VolumeLayout
    >>> layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    >>> volume = Volume.create(f"{mkdtemp()}/raw.zarr", shape=(64, 64, 64), layout=layout)
    >>> before = stamp_of(volume)
    >>> volume.write(volume.bounding_box, volume.read(volume.bounding_box) + 1)
    >>> before == stamp_of(volume)
    False
    """
    place = volume.place.join(volume.levels[level].path)
    digest = hashlib.blake2b(digest_size=8)
    for name in _METADATA:
        digest.update(place.read_bytes(name) or b"")
    newest = 0
    for path in _spread(Path(place.path)) if place.scheme == "file" else ():
        with suppress(OSError):
            found = path.stat()
            newest = max(newest, found.st_mtime_ns)
            digest.update(f"{path}:{found.st_size}:{found.st_mtime_ns}".encode())
    told = f", written until {datetime.fromtimestamp(newest / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return digest.hexdigest() + (told if newest else "")


def _spread(folder: Path) -> list[Path]:
    """Return some files below a folder, sorted; where there are more, evenly spread by name."""

    @cache
    def listed(path: str) -> list[tuple[str, bool]]:
        with suppress(OSError), os.scandir(path) as entries:  # reading tells what is wrong
            kept = (e for e in entries if not e.name.startswith(".") and e.name not in _METADATA)
            return sorted((e.path, e.is_dir()) for e in kept)
        return []

    found = (_at(str(folder), (k + 0.5) / _LOOKED_AT, listed) for k in range(_LOOKED_AT))
    return sorted({Path(path) for path in found if path is not None})


def _at(path: str, part: float, listed: Callable[[str], list[tuple[str, bool]]]) -> str | None:
    """Return the file that lies at a part of what is below a folder; None where there is no file."""
    is_folder = True
    while is_folder:
        if not (names := listed(path)):
            return None
        part *= len(names)
        path, is_folder = names[int(part)]
        part %= 1
    return path
