"""voxloom: microscope and scanner files, woven into trained models.

``import voxloom`` loads neither torch nor any storage library; names load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Concat": "voxloom.source:Concat",
    "Field": "voxloom.sample:Field",
    "Map": "voxloom.source:Map",
    "Sample": "voxloom.sample:Sample",
    "Schema": "voxloom.sample:Schema",
    "Source": "voxloom.source:Source",
    "Store": "voxloom.formats.store:Store",
    "Subset": "voxloom.source:Subset",
    "Volume": "voxloom.volumes.volume:Volume",
    "VoxloomError": "voxloom.errors:VoxloomError",
    "convert": "voxloom.conversion.convert:convert",
    "open": "voxloom.sources.opening:open_source",
    "verify": "voxloom.conversion.verify:verify",
}

__all__ = [
    "Concat",
    "Field",
    "Map",
    "Sample",
    "Schema",
    "Source",
    "Store",
    "Subset",
    "Volume",
    "VoxloomError",
    "__version__",
    "convert",
    "open",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
