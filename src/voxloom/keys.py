"""Keys that are looked up when they are asked for: a source of millions need not hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

__all__ = ["Keys"]


class Keys(Sequence[str]):
    """The keys of a source, in order.

    Parameters
    ----------
    length
        How many there are.
    key
        Returns the key of an index in [0, length).
    each
        Returns an iterable over all keys, where that is quicker than one by one.

    Examples
    --------
    >>> keys = Keys(3, lambda index: f"slice {index}")
    >>> keys[-1], keys[:2], keys == ["slice 0", "slice 1", "slice 2"]
    ('slice 2', ['slice 0', 'slice 1'], True)
    """

    def __init__(
        self, length: int, key: Callable[[int], str], each: Callable[[], Iterable[str]] | None = None
    ) -> None:
        self._length, self._key, self._each = length, key, each

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._key(i) for i in range(self._length)[index]]
        if not -self._length <= index < self._length:
            raise IndexError(
                f"key {index} of {self._length}: expected an index in [-{self._length}, {self._length})"
            )
        return self._key(int(index) % self._length)

    def __iter__(self) -> Iterator[str]:
        return iter(self._each() if self._each is not None else map(self._key, range(self._length)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(
            one == another for one, another in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            repr(list(self)) if len(self) <= 10 else f"<{len(self)} keys, from {self[0]!r} to {self[-1]!r}>"
        )
