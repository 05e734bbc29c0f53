"""Batches without samples: a source copies or decodes right into the memory of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from voxloom.errors import DataError
from voxloom.loading.batch import Batch, tensor_of
from voxloom.loading.order import Share
from voxloom.loading.ring import Memory, PinnedMemory, Ring
from voxloom.sample import Array
from voxloom.source import Concat, Source, Subset

__all__ = ["Gatherer", "gathers", "reads_in_threads"]


def gathers(source: Source) -> bool:
    """Return whether a source has a way of its own to read a batch, without Python work for each sample."""
    while isinstance(source, Subset):
        source = source.source
    if isinstance(source, Concat):
        return all(map(gathers, source.sources))
    return type(source).gather is not Source.gather


def reads_in_threads(source: Source) -> bool:
    """Return whether something within a source reads with threads of its own, which no fork survives."""
    within = getattr(source, "sources", None) or [getattr(source, "source", None)]
    inner = [each for each in within if isinstance(each, Source)]
    return bool(getattr(source, "reads_in_threads", False)) or any(map(reads_in_threads, inner))


class Gatherer:
    """Makes batches by one `gather` of the source each.

    Fields of one shape are gathered into buffers that are used again. For a field without a shape in
    the schema, the first batch tells it; where a later one has another, gathering makes its own
    memory from then on.

    Parameters
    ----------
    source
        What is read.
    rows
        Most samples in a batch.
    buffers
        Batches that may be held at once before the memory of the first is used again.
    pinned
        Whether the memory is page-locked.
    """

    def __init__(self, source: Source, rows: int, *, buffers: int, pinned: bool = False) -> None:
        self.source = source
        self._rows, self._buffers, self._pinned = rows, buffers, pinned
        shapes = {f.name: (f.shape, np.dtype(f.dtype)) for f in source.schema.values() if f.shape is not None}
        self._fixed = self._memory(shapes)
        # Never changed, but replaced: other threads are using it. None once a batch had another shape.
        self._learned: Mapping[str, Memory] | None = {}

    def batch(self, share: Share) -> Batch:
        """Return the batch of a share."""
        schema = self.source.schema
        source = self.source.at_epoch(share.epoch)
        arrays = self._gathered(source, share.indices)
        texts = {name: array.tolist() for name, array in arrays.items() if schema[name].kind == "text"}
        fields = {name: tensor_of(array, schema[name]) for name, array in arrays.items() if name not in texts}
        batch = Batch(fields, [], share.indices, share.epoch, share.weight, texts)
        return batch.keyed_by(partial(_keys, source, share.indices))

    def _gathered(self, source: Source, indices: Sequence[int]) -> dict[str, Array]:
        learned = self._learned
        try:
            arrays = self._gathered_into(source, {**self._fixed, **(learned or {})}, indices)
        except DataError:  # a sample that cannot be read has nothing to do with shapes
            raise
        except (ValueError, TypeError):  # SchemaError among them: perhaps it has not the shape of the first
            if not learned:
                raise
            self._learned = None
            return self._gathered_into(source, self._fixed, indices)
        if learned is not None and len(arrays) > len(self._fixed) + len(learned):
            others = {name: (a.shape[1:], a.dtype) for name, a in arrays.items() if name not in self._fixed}
            self._learned = self._memory(others) or None
        return arrays

    def _gathered_into(
        self, source: Source, memory: Mapping[str, Memory], indices: Sequence[int]
    ) -> dict[str, Array]:
        out = {name: room.take(len(indices)) for name, room in memory.items()}
        arrays = source.gather(indices, out=out)
        # The very arrays of `take`, not views of them: by those it knows that their memory is held.
        return {name: out.get(name, a) if _is_within(a, out.get(name)) else a for name, a in arrays.items()}

    def _memory(self, shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> dict[str, Memory]:
        schema = self.source.schema
        memory: dict[str, Memory] = {}
        for name, (shape, dtype) in shapes.items():
            if schema[name].kind == "text" or not dtype.isnative or dtype.kind not in "biufc":
                continue
            memory[name] = (
                PinnedMemory(shape, dtype)
                if self._pinned
                else Ring(self._rows, shape, dtype, most=self._buffers)
            )
        return memory


def _is_within(array: Array, out: Array | None) -> bool:
    return out is not None and np.may_share_memory(array, out)


def _keys(source: Source, indices: Sequence[int]) -> list[str]:
    keys = source.keys
    return [keys[index] for index in indices]
