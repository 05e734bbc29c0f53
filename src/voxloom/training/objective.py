"""What is learned: an objective turns a batch into phases of named loss terms.

The trainer knows no model. In each step it calls the active phases in order; a phase is a module
whose forward computes one scalar to minimise and the values to report, so that data-parallel
training can wrap it and be called through forward only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voxloom.loading import Batch
from voxloom.panels import panel
from voxloom.seeding import Key, rng_for

__all__ = ["Clock", "Memory", "Objective", "Phase", "PreviewRow", "noise_for", "weighted_sum"]

Memory = dict[str, Tensor]
"""What an earlier phase leaves to a later one of the same micro-batch, detached."""

PreviewRow = list[tuple[str, np.ndarray[Any, Any]]]
"""Titles and (H, W) images that are shown side by side in one intensity window; or (H, W, 3) in colour."""


@dataclass(frozen=True)
class Clock:
    """Where training stands: `step` optimizer steps and `epoch` passes done, `seed` of the run."""

    step: int
    epoch: int
    seed: int


class Phase(nn.Module, ABC):
    """One optimizer's part of a step. Its parameters are those that the optimizer changes.

    Attributes
    ----------
    name
        Names the optimizer in a checkpoint and the phase in a log.
    """

    name: str

    def is_active(self, clock: Clock) -> bool:  # noqa: ARG002 - most phases are active always
        """Whether the phase takes part in this step."""
        return True

    @abstractmethod
    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar to minimise, a mean over the batch, and detached values to report."""


class Objective(ABC):
    """What a run minimises, validates and shows.

    Attributes
    ----------
    models
        Every network that a checkpoint holds, the frozen ones too.
    configs
        For each model its ``{"model": table name, **settings}``, from which it is built again.
    phases
        What a step does, in order.
    main
        Name of the model that is averaged (EMA) and used for prediction.
    """

    models: dict[str, nn.Module]
    configs: dict[str, dict[str, Any]]
    phases: list[Phase]
    main: str

    def prepare(self, batch: Batch, seed: int, *, training: bool) -> Batch:  # noqa: ARG002
        """Return a batch as phases, validation and preview take it; it lies on their device.

        Integers become float32 but for classes. What is random here follows from the seed, the epoch
        and the indices, and is there in training alone.
        """
        return batch.float()

    def informed(self, batch: Batch) -> Tensor | None:  # noqa: ARG002 - most know all of their samples
        """Return which samples of a prepared batch teach anything, bool (B,); None for all of them.

        Where it tells, a phase returns the mean over these alone, and a step is the mean over those of
        all its batches and ranks: a sample of which nothing is known changes nothing.
        """
        return None

    @abstractmethod
    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Return values of shape (B,), one a sample; ``loss`` decides which checkpoint is best.

        Noise depends on the seed and the keys alone, so that epochs compare.
        """

    def concluded(self, means: dict[str, float]) -> dict[str, float]:
        """Return what is told of a validation, from the means of its values over all samples.

        A ratio of sums, which no mean of ratios can give, is made here.
        """
        return means

    @abstractmethod
    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:
        """Return what a person wants to see of the batch: one row a sample."""

    def picture(self, row: PreviewRow) -> np.ndarray[Any, Any]:
        """Return a row of the preview as (H, W, 3) uint8: the images, and how the last two differ."""
        return panel(row, difference=True)

    def facts(self) -> dict[str, Any]:
        """Return plain values that a checkpoint has to carry for prediction beside the models."""
        return {}


def noise_for(batch: Batch, shape: tuple[int, ...], *key: Key, like: Tensor) -> Tensor:
    """Return standard normal noise for each sample of a training batch.

    Drawn from (key, epoch, index), so that it is the same for any batch size, number of ranks or
    workers and after a resume, and differs from epoch to epoch.

    Parameters
    ----------
    batch
        Gives epoch and indices.
    shape
        Shape of one sample's noise.
    *key
        Seed and purpose.
    like
        Gives the device.

    Returns
    -------
    Tensor
        Float32 of shape (B, \\*shape).
    """
    drawn = np.stack(
        [rng_for(*key, batch.epoch, i).standard_normal(shape, np.float32) for i in batch.indices]
    )
    return torch.from_numpy(drawn).to(like.device, non_blocking=True)


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum of the terms times their weights; a term without a weight counts once."""
    return torch.stack([weights.get(name, 1.0) * value.float() for name, value in terms.items()]).sum()
