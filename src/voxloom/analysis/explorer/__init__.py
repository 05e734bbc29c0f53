"""A page in the browser to explore points of a latent space."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Comparison": "session",
    "Facts": "gallery",
    "FieldChoice": "choices",
    "Images": "images",
    "Job": "queue",
    "Serving": "server",
    "Session": "session",
    "SessionOptions": "session",
    "Slider": "choices",
    "make_app": "server",
}

__all__ = [
    "Comparison",
    "Facts",
    "FieldChoice",
    "Images",
    "Job",
    "Serving",
    "Session",
    "SessionOptions",
    "Slider",
    "make_app",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.analysis.explorer' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.analysis.explorer.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
