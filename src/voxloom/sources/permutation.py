"""Permutations without memory: the n-th element of a shuffled range, computed and not looked up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt

from voxloom.errors import SchemaError
from voxloom.seeding import Key, stable_hash

__all__ = ["Permutation", "mixed", "permutation"]

_WORD = (1 << 64) - 1
_ROUNDS = 8  # 4 are proven enough for a large side and ideal functions; ours are neither


def mixed(key: int, *numbers: int) -> int:
    """Return 64 bits that look random, from a key of 64 bits and numbers (SplitMix64).

    Far quicker than `rng_for` where a few bits are wanted millions of times.

    Examples
    --------
    >>> mixed(0, 1, 2) == mixed(0, 1, 2), mixed(0, 1, 2) == mixed(0, 2, 1)
    (True, False)
    """
    state = key
    for number in numbers:
        state = (state + 0x9E3779B97F4A7C15 * (number + 1)) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state


@dataclass(frozen=True)
class Permutation:
    """The numbers below a size in an order that looks random, each computed on its own.

    A Feistel network over the smallest square that holds the range: a number is written with two
    digits, and in each round one digit is moved by a keyed hash of the other, which can be undone, so
    the whole is one to one. A result beyond the range is put in again until it lies within (cycle
    walking; Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).

    Attributes
    ----------
    size
        How many numbers; any that Python can hold.
    key
        64 bits that choose the permutation.

    Raises
    ------
    SchemaError
        If the size is not positive.

    Examples
    --------
    >>> order = Permutation(5, key=1)
    >>> sorted(order[i] for i in range(5))
    [0, 1, 2, 3, 4]
    >>> Permutation(10**18, key=1)[123456789] < 10**18
    True
    """

    size: int
    key: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SchemaError(f"a permutation of {self.size} numbers: expected at least 1")

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        """Return the number at a place in [0, size)."""
        if not 0 <= index < self.size:
            raise IndexError(f"place {index} of a permutation: expected one in [0, {self.size})")
        place = self._once(index)
        while place >= self.size:
            place = self._once(place)
        return place

    def _once(self, index: int) -> int:
        side = self._side
        left, right = divmod(index, side)
        for key in self._keys:
            left, right = right, (left + mixed(key, right)) % side
        return left * side + right

    @cached_property
    def _side(self) -> int:
        return isqrt(self.size - 1) + 1

    @cached_property
    def _keys(self) -> tuple[int, ...]:
        return tuple(mixed(self.key, number) for number in range(_ROUNDS))


@lru_cache(maxsize=4096)  # one a dataset and class; they are small
def permutation(size: int, *key: Key) -> Permutation:
    """Return the permutation of a size that belongs to a seed and a place of use.

    Examples
    --------
    >>> permutation(100, 0, "places", 1)[0] == permutation(100, 0, "places", 1)[0]
    True
    """
    return Permutation(size, stable_hash(*key))
