"""How much each batch counts in a step: a step is a mean over its samples, those of other ranks too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from voxloom.loading import Batch
from voxloom.training.distributed import total_over_ranks
from voxloom.training.objective import Objective

__all__ = ["Part", "parts_of"]


class Part(NamedTuple):
    """What one batch is of a step.

    Attributes
    ----------
    share
        What its mean loss is multiplied by, so that gradients, added up over the batches and averaged
        over the ranks, are those of the mean over all samples.
    weight
        How often its values count in a report.
    """

    share: float | Tensor
    weight: float | Tensor


def parts_of(batches: Sequence[Batch], objective: Objective, world: int) -> list[Part]:
    """Return what each prepared batch of a rank is of its step; all ranks have to ask.

    Where the objective tells which samples are informed, these alone count. The counts stay on the
    device: nothing waits for it.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> batches = [Batch({}, ["a"] * n, [0] * n) for n in (3, 1)]
    >>> [part.share for part in parts_of(batches, SimpleNamespace(informed=lambda batch: None), world=1)]
    [0.75, 0.25]
    """
    told = [objective.informed(batch) for batch in batches]
    counts = [mask.sum().float() for mask in told if mask is not None]
    if len(counts) < len(batches):
        per_rank = sum(len(batch) / batch.weight for batch in batches)
        return [Part(len(batch) / per_rank, 1.0) for batch in batches]
    total = total_over_ranks(torch.stack(counts).sum()).clamp_min(1)
    return [Part(count * world / total, count) for count in counts]
