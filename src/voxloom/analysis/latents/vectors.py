"""One numeric field of a source as vectors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.content import content_of
from voxloom.formats.store import Store
from voxloom.source import Source

__all__ = ["Vectors"]

_HASHED = 1 << 24  # bytes of vectors held at once for a digest


@dataclass(frozen=True)
class Vectors:
    """One numeric field of a source, each sample's array as one vector.

    Attributes
    ----------
    source
        What is read.
    field
        Name of the field. Of several variants (axis v) the first is taken.
    """

    source: Source
    field: str

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's array before it is flattened, for instance (C, h, w)."""
        field = self.source.schema[self.field]
        shape = field.shape if field.shape is not None else self.source[0][self.field].shape
        return tuple(shape[1:]) if field.axes.startswith("v") else tuple(shape)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return math.prod(self.shape)

    def reopened(self) -> Vectors:
        """Return the same with files of its own where they are a store's, so that closing disturbs nobody."""
        return Vectors(Store(self.source.path), self.field) if isinstance(self.source, Store) else self

    def read(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return the vectors of some rows, (n, dim) float32."""
        chosen = self.source.select(self.field)
        field = self.source.schema[self.field]
        array = chosen.gather([int(row) for row in rows])[self.field]
        if field.axes.startswith("v"):
            array = array[:, 0]
        return np.ascontiguousarray(array.reshape(len(rows), -1), dtype=np.float32)

    @property
    def digest(self) -> str:
        """20 hexadecimal digits that depend on the vectors.

        Stores know their content, and so does what is chosen from them. Of any other source all vectors
        are read, in blocks of 16 MB: what a source calls itself says nothing of its numbers.
        """
        known = content_of(self.source)
        shape = self.shape if len(self) else ()
        found = hashlib.blake2b(f"{self.field}\0{shape}\0{known}".encode(), digest_size=10)
        if known is None:
            size = max(1, _HASHED // (4 * max(1, self.dim)))
            for start in range(0, len(self), size):
                found.update(self.read(range(start, min(start + size, len(self)))).data)
        return found.hexdigest()
