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
        self._counts: dict[str, Tensor] = {}

    def add(self, values: Mapping[str, Tensor], weight: float | Tensor = 1.0) -> None:
        """Take up the scalars of one batch, which counts `weight` times, without waiting for the device."""
        for name, value in values.items():
            count = torch.as_tensor(weight, dtype=torch.float64, device=value.device)
            total = value.double() * count
            if name in self._sums:
                total = total + self._sums[name].to(total.device)
                count = count + self._counts[name].to(count.device)
            self._sums[name], self._counts[name] = total, count

    def values(self) -> dict[str, float]:
        """Return the means; what no batch counts for has none."""
        sums, counts = _read(self._sums), _read(self._counts)
        return {name: total / counts[name] for name, total in sums.items() if counts[name] or total}

    def shared(self, average: Callable[[dict[str, float]], dict[str, float]]) -> Means:
        """Return the means after `average`, which makes the sums of several processes one."""
        return self.from_state({name: average(values) for name, values in self.state_dict().items()})

    def state_dict(self) -> dict[str, Any]:
        """Return sums and counts as plain values, for a checkpoint."""
        return {"sums": _read(self._sums), "counts": _read(self._counts)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Means:
        """Return what `state_dict` was of."""
        means = cls()
        means._sums, means._counts = (
            {name: torch.tensor(value, dtype=torch.float64) for name, value in state[what].items()}
            for what in ("sums", "counts")
        )
        return means


def _read(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Return scalars as numbers, with one wait for the device."""
    if not tensors:
        return {}
    device = list(tensors.values())[-1].device
    read = torch.stack([value.to(device) for value in tensors.values()]).tolist()
    return dict(zip(tensors, read, strict=True))
