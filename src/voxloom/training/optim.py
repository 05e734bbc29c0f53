"""How fast is learned: the learning rate as a pure function of the step, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
from pydantic import Field as Setting
from torch import Tensor, nn

from voxloom.component import Component

__all__ = ["Average", "LearningRate"]


class LearningRate(Component):
    """Linear warm-up, then a constant, a cosine or steps; no state, so a resume needs none."""

    schedule: Literal["constant", "cosine", "multistep"] = "constant"
    """``cosine`` falls to `final_fraction` at the last step; ``multistep`` by 10 at each milestone."""
    warmup_steps: Annotated[int, Setting(ge=0)] = 0
    """Optimizer steps over which the rate grows linearly to its full value."""
    milestones: tuple[int, ...] = ()
    """Epochs at which ``multistep`` divides the rate by 10."""
    final_fraction: Annotated[float, Setting(ge=0, le=1)] = 0.0
    """Share of the full rate that ``cosine`` ends at."""

    def factor(self, step: int, *, total_steps: int, epoch: int) -> float:
        """Return the factor on the full learning rate at `step` of `total_steps`.

        Examples
        --------
        >>> rate = LearningRate(schedule="cosine", warmup_steps=10)
        >>> rate.factor(4, total_steps=100, epoch=0), rate.factor(100, total_steps=100, epoch=9)
        (0.5, 0.0)
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "cosine":
            done = (step - self.warmup_steps) / max(1, total_steps - self.warmup_steps)
            half = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
            return self.final_fraction + (1 - self.final_fraction) * half
        if self.schedule == "multistep":
            return float(0.1 ** sum(epoch >= milestone for milestone in self.milestones))
        return 1.0


class Average:
    """Exponential moving average of a model's parameters, with a decay that grows at the start.

    The decay at update n is ``min(decay, (1 + n) / (10 + n))``, so that a short run is not held
    back by its random start. Buffers are taken as they are.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._live: Sequence[Tensor] = list(model.parameters())
        self._names = [name for name, _ in model.named_parameters()]
        self.mean = [p.detach().clone() for p in self._live]
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the live parameters."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self._live], 1 - decay)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Exchange the live parameters for their means within the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for live, i in zip(self._live, range(len(self.mean)), strict=True):
            live.data, self.mean[i] = self.mean[i], live.data

    def state_dict(self) -> dict[str, Tensor]:
        """Return the means under the parameters' names, and the number of updates."""
        return {**dict(zip(self._names, self.mean, strict=True)), "__updates__": torch.tensor(self.updates)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` returned, or begin at a model's own state dict."""
        self.updates = int(state.get("__updates__", 0))
        for mean, name in zip(self.mean, self._names, strict=True):
            mean.copy_(state[name])
