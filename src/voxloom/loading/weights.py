"""How often each sample is drawn: weights, and those that make classes equally frequent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.errors import ConfigError

__all__ = ["Weights", "balanced_weights"]

Floats = npt.NDArray[np.float64]


class Weights:
    """A weight for each sample: twice the weight is drawn twice as often.

    Parameters
    ----------
    values
        One number a sample, finite, not negative, and not all zero; their scale does not matter.

    Raises
    ------
    ConfigError
        If they are anything else.

    Examples
    --------
    >>> weights = Weights([1, 0, 3])
    >>> draws = weights.draw(1000, np.random.default_rng(0))
    >>> np.bincount(draws).tolist()
    [231, 0, 769]
    """

    def __init__(self, values: Sequence[float] | Floats) -> None:
        self.values = np.array(values, dtype=np.float64)
        if self.values.ndim != 1 or not self.values.size:
            raise ConfigError(f"weights of shape {self.values.shape}: expected one number for each sample")
        wrong = np.flatnonzero(~np.isfinite(self.values) | (self.values < 0))
        if wrong.size:
            first = int(wrong[0])
            raise ConfigError(
                f"weight {self.values[first]} of sample {first}: expected a finite number, 0 or more"
            )
        if not self.values.any():
            raise ConfigError(f"{len(self.values)} weights that are all 0: expected at least one above 0")
        self.values.flags.writeable = False
        self._upto = np.cumsum(self.values / self.values.max())

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((len(self.values), float(self._upto[-1])))

    def __repr__(self) -> str:
        return f"{len(self)} weights from {self.values.min():g} to {self.values.max():g}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Weights, (self.values,)

    def draw(self, number: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return `number` indices drawn with replacement."""
        where = rng.random(number) * self._upto[-1]
        # Rounding may bring a draw up to the whole sum, past the last sample with a weight.
        last = int(np.flatnonzero(self.values)[-1])
        drawn: npt.NDArray[np.int64] = np.searchsorted(self._upto, where, side="right")
        return np.minimum(drawn, last)


def balanced_weights(labels: Sequence[int] | npt.NDArray[np.integer[Any]]) -> Floats:
    """Return the weights that draw each class equally often, however many samples it has.

    Parameters
    ----------
    labels
        The class of each sample, for instance from `labels_of`.

    Examples
    --------
    >>> balanced_weights([0, 0, 0, 1]).tolist()
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 1.0]
    """
    _, which, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[which.reshape(-1)], dtype=np.float64)
