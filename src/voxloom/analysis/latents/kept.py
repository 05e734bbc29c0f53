"""Results that took long to compute, kept in the cache folder under what they were computed from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.atomic import replacing
from voxloom.cache import cache_folder
from voxloom.errors import SaveError
from voxloom.sample import Array

__all__ = ["Arrays", "kept", "key_of"]

_LONGEST = 90 * 86400  # seconds that a file stays which nobody uses
_LOG = logging.getLogger(__name__)

Arrays = Mapping[str, Array]


def key_of(*facts: Any) -> str:
    """Return 20 hexadecimal digits that depend on some facts, which JSON must be able to hold.

    Examples
    --------
    >>> key_of("pca", 50) == key_of("pca", 50) != key_of("pca", 51)
    True
    """
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=10).hexdigest()


def kept(name: str, shapes: Mapping[str, tuple[int | None, ...]], compute: Callable[[], Arrays]) -> Arrays:
    """Return arrays that were kept under a name, or compute and keep them.

    A damaged file is computed again; a folder that cannot be written is a logged warning. When a file is
    written, those beside it that nobody has asked for in 90 days are removed.

    Parameters
    ----------
    name
        Name of the file below ``latents`` in the cache folder, for instance ``pca-`` and a `key_of`.
    shapes
        Shape of each array, None where a length is not known before: a file of others is damaged.
    compute
        Called where there is no such file.
    """
    path = cache_folder() / "latents" / f"{name}.npz"
    found = _read(path, shapes)
    if found is None:
        found = compute()
        _write(path, found)
    return found


def _read(path: Path, shapes: Mapping[str, tuple[int | None, ...]]) -> Arrays | None:
    try:
        # A zip file, where each array has its checksum. Opened here: numpy forgets to close what is no zip.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
        _touch(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        _LOG.warning("%s cannot be used (%s); it is computed again.", path, error)
        return None
    if all(_fits(arrays[name].shape, shape) for name, shape in shapes.items()):
        return arrays
    _LOG.warning("%s holds arrays of other shapes; it is computed again.", path)
    return None


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        b is None or a == b for a, b in zip(shape, expected, strict=True)
    )


def _write(path: Path, arrays: Arrays) -> None:
    try:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except SaveError as error:
        _LOG.warning("What was computed is not kept for the next time: %s", error)
        return
    _remove_old(path.parent)


def _touch(path: Path) -> None:
    """Note that a file was used: many systems do not keep the time of reading."""
    with suppress(OSError):  # a folder of somebody else's, who may remove it later
        os.utime(path)


def _remove_old(folder: Path) -> None:
    """Remove what was not used for long, and what a killed process left half-written."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if path.suffix in (".npz", ".tmp"):
                _remove_if_old(path)


def _remove_if_old(path: Path) -> None:
    with suppress(OSError):  # another process was first, or has it open
        if time.time() - path.stat().st_mtime > _LONGEST:
            path.unlink()
