"""What the process in the background computes for the page: points placed by a method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from voxloom.analysis.explorer.reading import Reading
from voxloom.analysis.explorer.worker import Progress
from voxloom.analysis.latents.kept import key_of
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import PROJECTIONS, Projected, Projection, project

__all__ = ["Projecting"]


@dataclass(frozen=True)
class Projecting:
    """Projects the same points by one method after the other.

    Parameters
    ----------
    points
        What is placed.
    fit
        As `project` takes it.
    """

    points: Points
    fit: str = "joint"

    def __call__(self, request: Projection, progress: Progress) -> Projected:
        """Return the points in the plane, or in space."""

        def told(share: float, text: str) -> None:
            self._reading.let_go()
            progress(share, text)

        with self._reading.points() as points:
            return project(points, request, fit=self.fit, progress=told)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self.points)

    def key(self, request: Projection) -> str:
        """Return what tells a result from all others: 20 hexadecimal digits."""
        return key_of(self.points.digest, request.name, request.model_dump(mode="json"), self.fit)

    def method(self, name: str, **settings: Any) -> Projection:
        """Return a method with its settings."""
        found: Projection = PROJECTIONS[name].model_validate(settings)
        return found
