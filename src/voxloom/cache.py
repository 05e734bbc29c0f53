"""The folder of what voxloom can compute again."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return where voxloom keeps what it can compute again: VOXLOOM_CACHE, or the platform's place.

    It is not made by asking. Whoever wants the room may delete it at any time.

    Examples
    --------
    >>> cache_folder().name != ""
    True
    """
    if stated := os.environ.get("VOXLOOM_CACHE"):
        return Path(stated).expanduser()
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "voxloom"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local") / "voxloom" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "voxloom"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without a name, as in some containers
        return Path(tempfile.gettempdir())
