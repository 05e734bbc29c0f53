"""How the statistics of groups are found: sizes, seeds, intervals."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.analysis.summary import Bootstrap
from voxloom.component import Component

__all__ = ["Placed", "StatisticsOptions"]


class Placed(Protocol):
    """What is asked of a projection: a `voxloom.analysis.latents.Projected` is one."""

    @property
    def coordinates(self) -> npt.NDArray[np.float32]:
        """(N, dims), a row for each point."""


class StatisticsOptions(Component):
    """How the statistics of groups are found.

    Examples
    --------
    >>> StatisticsOptions(sample=500).neighbours
    15
    """

    bootstrap: Bootstrap = Bootstrap(resamples=1000)
    """Confidence intervals. Its `group` finds the patient in the keys where no label is named for it."""
    sample: int = Field(default=2000, ge=4)
    """Most points that are compared each with each. Of more, this many are drawn, and it is said."""
    neighbours: int = Field(default=15, ge=1)
    """Neighbours of a point; fewer in small sets."""
    permutations: int = Field(default=999, ge=99)
    """How often the groups' labels are exchanged for the p-value of the MMD."""
    groups: int = Field(default=100, ge=2)
    """Most groups that are measured; of more, the largest."""
    seed: int = 42
    """Seed of the drawn points and of the permutations."""
