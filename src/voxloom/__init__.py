"""voxloom: microscope and scanner files, woven into trained models.

``import voxloom`` loads neither torch nor any storage library; names load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Concat": "voxloom.sample",
    "Field": "voxloom.sample",
    "Map": "voxloom.sample",
    "Sample": "voxloom.sample",
    "Schema": "voxloom.sample",
    "Source": "voxloom.sample",
    "Subset": "voxloom.sample",
    "VoxloomError": "voxloom.errors",
}

__all__ = ["Concat", "Field", "Map", "Sample", "Schema", "Source", "Subset", "VoxloomError", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
