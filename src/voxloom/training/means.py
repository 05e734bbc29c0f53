"""Means of what the steps report, kept on the device: reading them is the only time that it waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["Means"]


class Means:
    """Running means by name; a name that a step does not report is averaged over the others.

    Examples
    --------
    >>> means = Means()
    >>> means.add({"loss": torch.tensor(1.0)})
    >>> means.add({"loss": torch.tensor(3.0), "kl": torch.tensor(5.0)})
    >>> means.values()
    {'loss': 2.0, 'kl': 5.0}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take up the scalars of one batch, without waiting for the device."""
        for name, value in values.items():
            total = value.double()
            if name in self._sums:
                total = total + self._sums[name].to(total.device)
            self._sums[name] = total
            self._counts[name] = self._counts.get(name, 0) + 1

    def values(self) -> dict[str, float]:
        """Return the means."""
        return {name: total / self._counts[name] for name, total in self._totals().items()}

    def shared(self, average: Callable[[dict[str, float]], dict[str, float]]) -> Means:
        """Return the means after `average`, which makes the sums of several processes one."""
        return self.from_state({"sums": average(self._totals()), "counts": self._counts})

    def state_dict(self) -> dict[str, Any]:
        """Return sums and counts as plain values, for a checkpoint."""
        return {"sums": self._totals(), "counts": dict(self._counts)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Means:
        """Return what `state_dict` was of."""
        means = cls()
        means._sums = {name: torch.tensor(v, dtype=torch.float64) for name, v in state["sums"].items()}
        means._counts = dict(state["counts"])
        return means

    def _totals(self) -> dict[str, float]:
        if not self._sums:
            return {}
        device = next(reversed(self._sums.values())).device
        totals = torch.stack([value.to(device) for value in self._sums.values()]).tolist()
        return dict(zip(self._sums, totals, strict=True))
