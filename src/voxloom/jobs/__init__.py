"""Jobs: what a command does, as a function. Here the rooms are put together; the CLI only parses.

Names load when they are used: to convert or to inspect needs no torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxloom.jobs.conversion import ConvertOptions, convert_data
    from voxloom.jobs.inspection import inspect
    from voxloom.jobs.predict import PredictOptions, predict
    from voxloom.jobs.preview import contact_sheet
    from voxloom.jobs.train import train

_HOME = {
    "ConvertOptions": "voxloom.jobs.conversion",
    "PredictOptions": "voxloom.jobs.predict",
    "contact_sheet": "voxloom.jobs.preview",
    "convert_data": "voxloom.jobs.conversion",
    "inspect": "voxloom.jobs.inspection",
    "predict": "voxloom.jobs.predict",
    "train": "voxloom.jobs.train",
}

__all__ = [
    "ConvertOptions",
    "PredictOptions",
    "contact_sheet",
    "convert_data",
    "inspect",
    "predict",
    "train",
]


class _Room(ModuleType):
    """This module. ``train`` is the job, whoever has imported the file ``jobs/train.py`` before."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _HOME or not isinstance(value, ModuleType):  # as the import system leaves it here
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.jobs' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
