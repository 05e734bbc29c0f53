"""Jobs: what a command does, as a function. Here the rooms are put together; the CLI only parses.

Names load when they are used: to convert or to inspect needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxloom.analysis.looking.sheet import contact_sheet
    from voxloom.jobs.conversion import ConvertOptions, convert_data
    from voxloom.jobs.encoding import EncodeOptions, encode, encoded_source
    from voxloom.jobs.inspection import inspect
    from voxloom.jobs.latent_analysis import AnalyzeOptions, analyze_latents
    from voxloom.jobs.packing import PackOptions, pack
    from voxloom.jobs.prediction import PredictOptions, predict
    from voxloom.jobs.training import train

_HOME = {
    "AnalyzeOptions": "voxloom.jobs.latent_analysis",
    "ConvertOptions": "voxloom.jobs.conversion",
    "EncodeOptions": "voxloom.jobs.encoding",
    "PackOptions": "voxloom.jobs.packing",
    "PredictOptions": "voxloom.jobs.prediction",
    "analyze_latents": "voxloom.jobs.latent_analysis",
    "contact_sheet": "voxloom.analysis.looking.sheet",
    "convert_data": "voxloom.jobs.conversion",
    "encode": "voxloom.jobs.encoding",
    "encoded_source": "voxloom.jobs.encoding",
    "inspect": "voxloom.jobs.inspection",
    "pack": "voxloom.jobs.packing",
    "predict": "voxloom.jobs.prediction",
    "train": "voxloom.jobs.training",
}

__all__ = [
    "AnalyzeOptions",
    "ConvertOptions",
    "EncodeOptions",
    "PackOptions",
    "PredictOptions",
    "analyze_latents",
    "contact_sheet",
    "convert_data",
    "encode",
    "encoded_source",
    "inspect",
    "pack",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.jobs' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
