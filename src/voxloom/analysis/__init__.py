"""Measure predictions, draw them, and write a report of it all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "METRICS": "voxloom.analysis.summary",
    "Bootstrap": "voxloom.analysis.summary",
    "Calibration": "voxloom.analysis.calibration",
    "ErrorMaps": "voxloom.analysis.error_maps",
    "Evaluation": "voxloom.analysis.evaluation",
    "Failure": "voxloom.analysis.evaluation",
    "MaskRule": "voxloom.analysis.foreground",
    "Metric": "voxloom.analysis.summary",
    "PairedDifference": "voxloom.analysis.paired",
    "Row": "voxloom.analysis.evaluation",
    "RunEntry": "voxloom.analysis.run_list",
    "calibration_of": "voxloom.analysis.calibration",
    "check_output": "voxloom.analysis.evaluation",
    "evaluate": "voxloom.analysis.judge",
    "format_table": "voxloom.analysis.summary",
    "found_runs": "voxloom.analysis.run_list",
    "loss_curves": "voxloom.analysis.figures",
    "mean_errors": "voxloom.analysis.error_maps",
    "measure_calibration": "voxloom.analysis.calibration",
    "paired_differences": "voxloom.analysis.paired",
    "run_curves": "voxloom.analysis.figures",
    "write_report": "voxloom.analysis.report",
}

__all__ = [
    "METRICS",
    "Bootstrap",
    "Calibration",
    "ErrorMaps",
    "Evaluation",
    "Failure",
    "MaskRule",
    "Metric",
    "PairedDifference",
    "Row",
    "RunEntry",
    "calibration_of",
    "check_output",
    "evaluate",
    "format_table",
    "found_runs",
    "loss_curves",
    "mean_errors",
    "measure_calibration",
    "paired_differences",
    "run_curves",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.analysis' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
