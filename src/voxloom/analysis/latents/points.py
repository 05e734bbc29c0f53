"""Vectors of a latent space, or of any other, with their keys and what is known of each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.array_source import ArraySource
from voxloom.analysis.latents.columns import Labels, column, number_labels, tells
from voxloom.analysis.latents.keys import key_labels
from voxloom.analysis.latents.vectors import Vectors
from voxloom.errors import SchemaError, UnknownNameError
from voxloom.formats.store import Store
from voxloom.registry import did_you_mean
from voxloom.sample import Array, Field
from voxloom.source import Source

__all__ = ["Labels", "Points", "Vectors"]

_BLOCK_BYTES = 1 << 26  # of vectors held at once while all are read
_MEAN = "_mu"


@dataclass(frozen=True)
class Points:
    """Points of one space, in one or several groups, in order: all of the first group, then the next.

    Vectors stay where they are and are read when they are asked for, so that 100,000 of them need not
    fit into memory.

    Parameters
    ----------
    parts
        Vectors of each group by its name. All have the same length.

    Raises
    ------
    SchemaError
        When there is no point, or the groups' vectors differ in length.

    Examples
    --------
    >>> points = Points.of_arrays({"ct": np.eye(3), "mr": np.zeros((2, 3))})
    >>> len(points), points.dim, points.groups.tolist()
    (5, 3, ['ct', 'ct', 'ct', 'mr', 'mr'])
    >>> points.vectors([0, 4]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    parts: Mapping[str, Vectors]

    def __post_init__(self) -> None:
        shapes = {name: part.shape for name, part in self.parts.items() if len(part)}
        if not shapes:
            raise SchemaError("no points: expected at least one sample with a latent.")
        if len({math.prod(shape) for shape in shapes.values()}) > 1:
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise SchemaError(
                f"groups of different size: {told}. Encode all of them with the same checkpoint and size."
            )

    @classmethod
    def of_stores(cls, sources: Mapping[str, Source], *, field: str | None = None) -> Points:
        """Return the points of one or several sources.

        Parameters
        ----------
        sources
            Group name -> source, for instance a store of ``voxloom encode``.
        field
            Field to take; None takes the posterior means (``*_mu``), or the only latent. A source with
            several of them, for instance ``condition_mu`` and ``target_mu``, becomes a group for each.

        Raises
        ------
        SchemaError
            When a source has no such field.
        """
        parts: dict[str, Vectors] = {}
        for name, source in sources.items():
            fields = [field] if field is not None else _latent_fields(source)
            _ = [source.schema[each] for each in fields]
            for each in fields:
                short = each.removesuffix(_MEAN)
                group = name if len(fields) == 1 else short if len(sources) == 1 else f"{name} {short}"
                parts[group] = Vectors(source, each)
        return cls(parts)

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, Array], keys: Mapping[str, Sequence[str]] | None = None
    ) -> Points:
        """Return the points of arrays (n, ...), one a group; keys are numbers where none are given."""
        found = keys or {}
        return cls(
            {name: Vectors(ArraySource(array, found.get(name)), "vector") for name, array in arrays.items()}
        )

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return next(part.dim for part in self.parts.values() if len(part))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a point before it is flattened."""
        return next(part.shape for part in self.parts.values() if len(part))

    @cached_property
    def groups(self) -> Labels:
        """Name of each point's group, (N,)."""
        return np.repeat(list(self.parts), [len(part) for part in self.parts.values()])

    @cached_property
    def keys(self) -> Sequence[str]:
        """Key of each point; two groups may share keys."""
        return [key for part in self.parts.values() for key in part.source.keys]

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum([0, *(len(part) for part in self.parts.values())])

    def rows_of(self, group: str) -> npt.NDArray[np.int64]:
        """Return the rows of one group.

        Raises
        ------
        UnknownNameError
            When there is no group of that name.
        """
        if group not in self.parts:
            raise UnknownNameError(
                f"no group {group!r}. Groups: {', '.join(self.parts)}.{did_you_mean(group, self.parts)}"
            )
        place = list(self.parts).index(group)
        return np.arange(self._starts[place], self._starts[place + 1])

    def located(self, row: int) -> tuple[Source, int]:
        """Return the source of a point and its index there.

        Raises
        ------
        IndexError
            When there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"point {row}: expected 0 to {len(self) - 1}.")
        place = int(np.searchsorted(self._starts, row, side="right")) - 1
        return list(self.parts.values())[place].source, int(row - self._starts[place])

    def vectors(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return the vectors of some rows in their order, (n, dim) float32."""
        rows = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(rows), self.dim), np.float32)
        places = np.searchsorted(self._starts, rows, side="right") - 1
        for place, part in enumerate(self.parts.values()):
            chosen = np.flatnonzero(places == place)
            if len(chosen):
                out[chosen] = part.read(rows[chosen] - self._starts[place])
        return out

    def blocks(self, rows: npt.NDArray[np.integer] | None = None) -> Iterator[tuple[slice, Array]]:
        """Yield all vectors, or those of `rows`, in order, as (places among them, (n, dim) float32).

        At most 64 MB are held at once, and what was read of mapped files is let go with the block.
        """
        wanted = np.arange(len(self)) if rows is None else np.asarray(rows)
        size = max(1, _BLOCK_BYTES // (4 * self.dim))
        own = Points({name: part.reopened() for name, part in self.parts.items()})
        for start in range(0, len(wanted), size):
            place = slice(start, min(start + size, len(wanted)))
            block = own.vectors(wanted[place])
            for part in own.parts.values():
                if isinstance(part.source, Store):
                    part.source.close()  # mapped pages count as the memory of a process
            yield place, block

    @cached_property
    def attributes(self) -> Mapping[str, Array]:
        """What is known of each point beside its vector, (N,) each.

        Classes by their names and texts as strings, numbers as float64 (NaN where a group has none).
        """
        names: dict[str, Field] = {}
        for part in self.parts.values():
            for name, field in part.source.schema.items():
                if tells(field):
                    names.setdefault(name, field)
        return {name: self._attribute(name, field) for name, field in names.items()}

    def _attribute(self, name: str, field: Field) -> Array:
        columns = [column(part.source, name, field) for part in self.parts.values()]
        return np.concatenate(columns)

    def labels(self, by: str) -> Labels:
        """Return a label for each point, (N,) strings.

        Parameters
        ----------
        by
            ``group``, the name of an attribute, or ``key:REGEX``: what the expression's first group (or
            else all of it) finds in the key, for instance ``key:_([0-9]+)$`` for a patient's number. The
            key is looked at without the ending of an image file first, then as a whole.

        Raises
        ------
        UnknownNameError
            When there is no such attribute.
        ConfigError
            When the expression is wrong or finds nothing in any key.

        Examples
        --------
        >>> points = Points.of_arrays({"a": np.eye(2)}, {"a": ["image_001", "image_002"]})
        >>> points.labels("key:[0-9]+$").tolist()
        ['001', '002']
        """
        if by == "group":
            return self.groups
        if by.startswith("key:"):
            return key_labels(self.keys, by.removeprefix("key:"))
        if by not in self.attributes:
            known = ["group", *self.attributes]
            raise UnknownNameError(
                f"no attribute {by!r}. Known: {', '.join(known)}, or key:REGEX.{did_you_mean(by, known)}"
            )
        values = self.attributes[by]
        if values.dtype.kind != "f":
            return values
        return np.concatenate([number_labels(part.source, by) for part in self.parts.values()])

    @cached_property
    def digest(self) -> str:
        """20 hexadecimal digits that depend on what the points are; caches are keyed by it."""
        facts = [(name, len(part), part.digest) for name, part in self.parts.items()]
        return hashlib.blake2b(json.dumps(facts).encode(), digest_size=10).hexdigest()


def _latent_fields(source: Source) -> list[str]:
    """Return the fields of posterior means, or else the only latent."""
    latents = [name for name, field in source.schema.items() if field.kind == "latent"]
    means = [name for name in latents if name.endswith(_MEAN)]
    if means or len(latents) == 1:
        return means or latents
    raise SchemaError(
        f"{source!r} has the fields {', '.join(source.schema)}: expected latents, as voxloom encode writes "
        "them, or the name of a field of vectors."
    )
