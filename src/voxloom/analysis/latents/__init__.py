"""Points in a latent space: reduced, projected, compared and drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "PROJECTIONS": "projection",
    "Estimate": "estimates",
    "Frechet": "frechet",
    "GroupRow": "groups",
    "GroupStatistics": "groups",
    "Mark": "palette",
    "MemorisationRow": "memorisation",
    "MmdTest": "two_samples",
    "Nearest": "distances",
    "PairRow": "groups",
    "PatientRow": "patients",
    "Pca": "projection",
    "Points": "points",
    "Projected": "projection",
    "Projection": "projection",
    "ProjectionQuality": "neighbourhoods",
    "Reduced": "pca",
    "Scatter": "series",
    "StatisticsOptions": "statistics_options",
    "colours": "palette",
    "frechet_distance": "frechet",
    "group_statistics": "measuring",
    "latent_distance": "distances",
    "marks": "palette",
    "mmd2": "two_samples",
    "mmd_test": "two_samples",
    "nearest_points": "distances",
    "neighbours": "nearest",
    "project": "projection",
    "reduced": "pca",
    "scatter_of": "colouring",
    "squared_distances": "distances",
    "write_page": "scatter_page",
    "write_picture": "scatter",
}

__all__ = [
    "PROJECTIONS",
    "Estimate",
    "Frechet",
    "GroupRow",
    "GroupStatistics",
    "Mark",
    "MemorisationRow",
    "MmdTest",
    "Nearest",
    "PairRow",
    "PatientRow",
    "Pca",
    "Points",
    "Projected",
    "Projection",
    "ProjectionQuality",
    "Reduced",
    "Scatter",
    "StatisticsOptions",
    "colours",
    "frechet_distance",
    "group_statistics",
    "latent_distance",
    "marks",
    "mmd2",
    "mmd_test",
    "nearest_points",
    "neighbours",
    "project",
    "reduced",
    "scatter_of",
    "squared_distances",
    "write_page",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxloom.analysis.latents' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.analysis.latents.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
