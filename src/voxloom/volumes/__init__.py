"""Multiscale volumes in world coordinates; TensorStore loads when one is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; at run time names load when they are used
    from voxloom.volumes.bits import Mark, PendingBits, begin_bits
    from voxloom.volumes.class_cells import ClassCells, ClassIndex, class_weights
    from voxloom.volumes.classes import Classes
    from voxloom.volumes.creation import create, create_labels
    from voxloom.volumes.description import Level
    from voxloom.volumes.engine import set_cache
    from voxloom.volumes.index import class_index, class_indexes
    from voxloom.volumes.labels import Labels
    from voxloom.volumes.layout import VolumeLayout
    from voxloom.volumes.patch import PendingPatch, Reading, begin_patch
    from voxloom.volumes.place import Place
    from voxloom.volumes.volume import Volume
    from voxloom.volumes.warming import warm
    from voxloom.volumes.writing import begin_write, downsample, hot_levels, write, write_level_block

_HOME = {
    "ClassCells": "class_cells",
    "ClassIndex": "class_cells",
    "Classes": "classes",
    "Labels": "labels",
    "Level": "description",
    "Mark": "bits",
    "PendingBits": "bits",
    "PendingPatch": "patch",
    "Place": "place",
    "Reading": "patch",
    "Volume": "volume",
    "VolumeLayout": "layout",
    "begin_bits": "bits",
    "begin_patch": "patch",
    "begin_write": "writing",
    "class_index": "index",
    "class_indexes": "index",
    "class_weights": "class_cells",
    "create": "creation",
    "create_labels": "creation",
    "downsample": "writing",
    "hot_levels": "writing",
    "set_cache": "engine",
    "warm": "warming",
    "write": "writing",
    "write_level_block": "writing",
}

__all__ = [
    "ClassCells",
    "ClassIndex",
    "Classes",
    "Labels",
    "Level",
    "Mark",
    "PendingBits",
    "PendingPatch",
    "Place",
    "Reading",
    "Volume",
    "VolumeLayout",
    "begin_bits",
    "begin_patch",
    "begin_write",
    "class_index",
    "class_indexes",
    "class_weights",
    "create",
    "create_labels",
    "downsample",
    "hot_levels",
    "set_cache",
    "warm",
    "write",
    "write_level_block",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.volumes' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.volumes.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
