"""Measure predictions, draw them, and write a report of it all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "METRICS": "voxloom.analysis.summary",
    "Bootstrap": "voxloom.analysis.summary",
    "Evaluation": "voxloom.analysis.evaluation",
    "Failure": "voxloom.analysis.evaluation",
    "MaskRule": "voxloom.analysis.foreground",
    "Metric": "voxloom.analysis.summary",
    "Row": "voxloom.analysis.evaluation",
    "check_output": "voxloom.analysis.evaluation",
    "evaluate": "voxloom.analysis.judge",
    "format_table": "voxloom.analysis.summary",
    "loss_curves": "voxloom.analysis.figures",
    "write_report": "voxloom.analysis.report",
}

__all__ = [
    "METRICS",
    "Bootstrap",
    "Evaluation",
    "Failure",
    "MaskRule",
    "Metric",
    "Row",
    "check_output",
    "evaluate",
    "format_table",
    "loss_curves",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.analysis' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
