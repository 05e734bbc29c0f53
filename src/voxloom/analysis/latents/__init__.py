"""Points in a latent space: reduced, projected, compared and drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "PROJECTIONS": "projection",
    "Estimate": "estimates",
    "GroupRow": "groups",
    "GroupStatistics": "groups",
    "MemorisationRow": "groups",
    "PairRow": "groups",
    "PatientRow": "groups",
    "Pca": "projection",
    "Points": "points",
    "Projected": "projection",
    "Projection": "projection",
    "ProjectionQuality": "groups",
    "Reduced": "pca",
    "StatisticsOptions": "groups",
    "group_statistics": "groups",
    "neighbours": "nearest",
    "project": "projection",
    "reduced": "pca",
}

__all__ = [
    "PROJECTIONS",
    "Estimate",
    "GroupRow",
    "GroupStatistics",
    "MemorisationRow",
    "PairRow",
    "PatientRow",
    "Pca",
    "Points",
    "Projected",
    "Projection",
    "ProjectionQuality",
    "Reduced",
    "StatisticsOptions",
    "group_statistics",
    "neighbours",
    "project",
    "reduced",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.analysis.latents' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.analysis.latents.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
