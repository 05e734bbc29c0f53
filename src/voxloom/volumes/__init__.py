"""Multiscale volumes in world coordinates; TensorStore loads when one is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; at run time names load when they are used
    from voxloom.volumes.engine import set_cache
    from voxloom.volumes.opening import Level
    from voxloom.volumes.place import Place
    from voxloom.volumes.volume import Volume

_HOME = {
    "Level": "opening",
    "Place": "place",
    "Volume": "volume",
    "set_cache": "engine",
}

__all__ = [
    "Level",
    "Place",
    "Volume",
    "set_cache",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.volumes' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.volumes.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
