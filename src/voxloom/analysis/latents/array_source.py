"""An array as a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field, Sample, Schema
from voxloom.source import Source

__all__ = ["ArraySource"]


class ArraySource(Source):
    """An array as a source of one field, ``vector``.

    Parameters
    ----------
    array
        (n, ...), at most four axes after the first.
    keys
        n of them; None takes numbers.

    Raises
    ------
    SchemaError
        When there are not as many keys as vectors.

    Examples
    --------
    >>> source = ArraySource(np.eye(2), None)
    >>> list(source.keys), source[1]["vector"].tolist()
    (['0', '1'], [0.0, 1.0])
    """

    def __init__(self, array: Array, keys: Sequence[str] | None) -> None:
        self._array = np.asarray(array)
        self._keys = [str(i) for i in range(len(self._array))] if keys is None else list(keys)
        if len(self._keys) != len(self._array):
            raise SchemaError(f"{len(self._keys)} keys for {len(self._array)} vectors: expected one each.")

        shape = tuple(self._array.shape[1:])
        axes = "c" + "zyx"[4 - len(shape) :]
        self._schema = Schema([Field(name="vector", kind="latent", axes=axes, shape=shape)])

    @property
    def schema(self) -> Schema:
        """One field."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The given ones, or numbers."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return one row."""
        return Sample(self._keys[index], self._schema, {"vector": np.asarray(self._array[index])})

    def select(self, *names: str) -> Source:  # noqa: ARG002 - there is one
        """Return itself."""
        return self

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:  # noqa: ARG002
        """Return several rows."""
        return {"vector": self._array[np.asarray(indices, dtype=np.int64)]}
