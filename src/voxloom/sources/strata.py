"""Shares of an epoch: which of several parts a draw goes to, exact to one draw, in random order."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

from voxloom.errors import ConfigError
from voxloom.seeding import stable_hash
from voxloom.sources.permutation import permutation

__all__ = ["Strata", "Stratum"]

_BITS = 32  # of a draw: whole numbers, since a rounded sum would let two parts share a draw


class Stratum(NamedTuple):
    """Where a draw goes."""

    number: int
    """Which part."""
    rank: int
    """How many draws of this epoch went to the same part, in an order of its own."""


@dataclass(frozen=True)
class Strata:
    """Parts of an epoch in proportion to weights.

    The draws of an epoch, put in a random order, are cut at the weights' running sums, shifted by a
    random part of one draw (systematic sampling): a part gets its share rounded down or up, and over
    epochs exactly its share, even one that is due less than one draw an epoch.

    Attributes
    ----------
    weights
        One a part, in any unit, 0 for never.
    length
        Draws an epoch.

    Raises
    ------
    ConfigError
        If the length is not positive, or a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> strata = Strata([1, 2], length=6)
    >>> sorted(strata.draw(0, 0, index) for index in range(6))[:3]
    [Stratum(number=0, rank=0), Stratum(number=0, rank=1), Stratum(number=1, rank=0)]
    """

    weights: Sequence[float]
    length: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))
        if self.length < 1:
            raise ConfigError(f"{self.length} draws an epoch: expected at least 1")
        for number, weight in enumerate(self.weights):
            if not math.isfinite(weight) or weight < 0:
                raise ConfigError(f"weight {weight} of part {number}: expected a finite number, 0 or more")
        if not any(self.weights):
            raise ConfigError(f"{len(self.weights)} weights that are all 0: expected at least one above 0")

    def draw(self, seed: int, epoch: int, index: int) -> Stratum:
        """Return where draw `index` of an epoch goes."""
        place = permutation(self.length, seed, "strata", epoch)[index]
        shift = _shift(seed, epoch)
        # The first part that ends behind the place: floor(sum + shift) > place, in whole numbers.
        number = bisect_left(self._sums, ((place + 1) << _BITS) - shift)
        begin = (self._sums[number - 1] + shift) >> _BITS if number else 0
        return Stratum(number, place - begin)

    @cached_property
    def _sums(self) -> list[int]:
        """Running sums of the weights, such that all make an epoch; with `_BITS` bits behind the point."""
        whole = math.fsum(self.weights)
        sums = [round(each / whole * (self.length << _BITS)) for each in accumulate(self.weights)]
        last = max(number for number, weight in enumerate(self.weights) if weight)
        return [*sums[:last], *[self.length << _BITS] * (len(sums) - last)]


@lru_cache(maxsize=64)
def _shift(seed: int, epoch: int) -> int:
    return stable_hash(seed, "shift", epoch) >> (64 - _BITS)
