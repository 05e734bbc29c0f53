"""Names of what voxels belong to, and what belonging to one says about the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
from pydantic import model_validator

from voxloom.component import Component
from voxloom.registry import did_you_mean

__all__ = ["Classes"]

_MOST = 63  # bits of an int64 that hold no sign
_DTYPES = {8: "uint8", 15: "int16", 31: "int32", _MOST: "int64"}  # torch computes with these alone


class Classes(Component):
    """Classes that a voxel may belong to, several at once, and how they relate.

    A patch of labels is an integer a voxel: bit k is set where the voxel belongs to class k, and a
    second integer tells which classes are known there. A class that nobody annotated is unknown, which
    is not the same as absent. Relations make some of it known: where a voxel is a mitochondrion it is
    no nucleus (`excludes`, both ways), and where it is a mitochondrion's membrane it is a mitochondrion
    (`implies`; so where there is no mitochondrion there is none of its membrane either). Both are
    followed through: what implies something that excludes a class excludes that class too. What was
    annotated stays as it was annotated.

    Examples
    --------
    >>> classes = Classes(names=("mito", "mito_mem", "er"), excludes={"mito": ("er",)},
    ...                   implies={"mito_mem": ("mito",)})
    >>> classes.dtype, classes.bits(["mito", "er"])
    (dtype('uint8'), 5)
    >>> [int(mask) for mask in classes.excluded]  # by each class, as bits
    [4, 4, 3]
    >>> Classes(names=("mito", "er"), excludes={"mito": ("eer",)})
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: ...
      Value error, excludes of 'mito': no class 'eer'. Classes: mito, er. Did you mean 'er'? ...
    """

    names: tuple[str, ...]
    """The classes, in the order of their bits."""
    excludes: Mapping[str, tuple[str, ...]] = {}
    """For a class, those that no voxel of it belongs to; it holds the other way round too."""
    implies: Mapping[str, tuple[str, ...]] = {}
    """For a class, those that each voxel of it belongs to as well."""
    witnesses: tuple[str, ...] = ()
    """Classes that are read only for what they tell about the others: they are in no target."""

    @model_validator(mode="after")
    def _fits(self) -> Classes:
        listed = self.all_names
        if not self.names or len(set(listed)) != len(listed) or "" in listed:
            raise ValueError(f"class names {listed}: expected at least one, each once, none empty")
        if len(listed) > _MOST:
            raise ValueError(f"{len(listed)} classes: expected at most {_MOST}, the bits of an integer")
        for what in ("excludes", "implies"):
            self._check_names(what, getattr(self, what))
        for name, implied, excluded in zip(listed, self.implied, self.excluded, strict=True):
            if both := self._named((implied | self.bits([name])) & excluded):
                raise ValueError(
                    f"class {name!r}: the relations say that its voxels are and are not {', '.join(both)}; "
                    "expected one of both. Look at excludes and implies, followed through."
                )
        return self

    def _check_names(self, what: str, relation: Mapping[str, tuple[str, ...]]) -> None:
        known = self.all_names
        for name, others in relation.items():
            for other in (name, *others):
                if other not in known:
                    raise ValueError(
                        f"{what} of {name!r}: no class {other!r}. Classes: {', '.join(known)}."
                        f"{did_you_mean(other, known)} A class that is no target, but tells about others, "
                        "stands in witnesses."
                    )
            if name in others and what == "excludes":
                raise ValueError(f"excludes of {name!r} holds the class itself; expected others")

    @property
    def all_names(self) -> tuple[str, ...]:
        """The classes and the witnesses, in the order of their bits."""
        return self.names + self.witnesses

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The integer that has a bit for each class."""
        return _dtype_of(len(self.names))

    @property
    def reading_dtype(self) -> np.dtype[np.generic]:
        """The integer that has a bit for each class and each witness."""
        return _dtype_of(len(self.all_names))

    @property
    def related(self) -> bool:
        """Whether any class tells about another."""
        return any(self.excludes.values()) or any(self.implies.values())

    def bits(self, names: Iterable[str]) -> int:
        """Return an integer with the bits of some classes set; names of no class are left out."""
        place = {name: 1 << bit for bit, name in enumerate(self.all_names)}
        return sum(place.get(name, 0) for name in set(names))

    def _named(self, bits: int) -> list[str]:
        return [name for bit, name in enumerate(self.all_names) if bits >> bit & 1]

    @cached_property
    def implied(self) -> tuple[int, ...]:
        """For each class, the bits of all that its voxels belong to as well."""
        reached = [self.bits(self.implies.get(name, ())) for name in self.all_names]
        for _ in reached:  # a chain has at most as many links as there are classes
            reached = [_united(reached, bits) | bits for bits in reached]
        return tuple(bits & ~(1 << k) for k, bits in enumerate(reached))

    @cached_property
    def implying(self) -> tuple[int, ...]:
        """For each class, the bits of all that imply it: none of them is where it is not."""
        return tuple(
            sum(1 << j for j, implied in enumerate(self.implied) if implied >> k & 1)
            for k in range(len(self.all_names))
        )

    @cached_property
    def excluded(self) -> tuple[int, ...]:
        """For each class, the bits of all that its voxels do not belong to."""
        said = [self.bits(self.excludes.get(name, ())) for name in self.all_names]
        both = [bits | sum(1 << j for j, b in enumerate(said) if b >> k & 1) for k, bits in enumerate(said)]
        inherited = [_united(both, implied) | bits for implied, bits in zip(self.implied, both, strict=True)]
        return tuple(bits | _united(self.implying, bits) for bits in inherited)


def _united(masks: Iterable[int], chosen: int) -> int:
    """Return the union of the masks whose bit is chosen."""
    union = 0
    for bit, mask in enumerate(masks):
        if chosen >> bit & 1:
            union |= mask
    return union


def _dtype_of(number: int) -> np.dtype[np.generic]:
    return np.dtype(next(dtype for most, dtype in _DTYPES.items() if number <= most))
