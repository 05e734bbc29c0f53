"""Diffusion and flow: schedules, the two processes, and the solvers that run them backwards."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; at run time names load when they are used
    from voxloom.diffusion.generate import Generator
    from voxloom.diffusion.process import (
        PROCESSES,
        DiffusionProcess,
        FlowProcess,
        Process,
        process_from,
    )
    from voxloom.diffusion.schedules import (
        SCHEDULES,
        Schedule,
    )
    from voxloom.diffusion.solvers import (
        DEFAULT_SOLVERS,
        SOLVERS,
        Network,
        Noise,
        Solver,
        ddim,
        ddpm,
        dpmpp_2m,
        euler,
        heun,
        solver_for,
        solves,
    )

_HOME = {
    "DEFAULT_SOLVERS": "solvers",
    "DiffusionProcess": "process",
    "FlowProcess": "process",
    "Generator": "generate",
    "Network": "solvers",
    "Noise": "solvers",
    "PROCESSES": "process",
    "Process": "process",
    "SCHEDULES": "schedules",
    "SOLVERS": "solvers",
    "Schedule": "schedules",
    "Solver": "solvers",
    "ddim": "solvers",
    "ddpm": "solvers",
    "dpmpp_2m": "solvers",
    "euler": "solvers",
    "heun": "solvers",
    "process_from": "process",
    "solver_for": "solvers",
    "solves": "solvers",
}

__all__ = [
    "DEFAULT_SOLVERS",
    "PROCESSES",
    "SCHEDULES",
    "SOLVERS",
    "DiffusionProcess",
    "FlowProcess",
    "Generator",
    "Network",
    "Noise",
    "Process",
    "Schedule",
    "Solver",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "euler",
    "heun",
    "process_from",
    "solver_for",
    "solves",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.diffusion' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.diffusion.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
