"""Transforms in the chains of other libraries, which hand on bare arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field, Sample, Schema
from voxloom.seeding import rng_for
from voxloom.transforms.transform import Transform

__all__ = ["on_array"]

Adapted = TypeVar("Adapted")


def on_array(transform: Transform, field: str = "image", *, seed: int = 0) -> Callable[[Adapted], Adapted]:
    """Make a transform work on bare arrays, for instance in a chain of another library.

    Parameters
    ----------
    transform
        What is applied.
    field
        Name that the array has inside, as an image.
    seed
        Randomness derives from it, from the number of calls so far and, in a worker process of a
        torch DataLoader, from the worker's seed: no two calls, workers or epochs are alike.

    Returns
    -------
    callable
        Takes and returns a numpy array or a torch tensor, axes yx or cyx; it can be pickled.

    Examples
    --------
    >>> from voxloom.transforms import MinMaxNormalize
    >>> on_array(MinMaxNormalize())(np.array([[0, 5, 10]])).tolist()
    [[0.0, 0.5, 1.0]]
    """
    return _OnArray(transform, field, seed)


class _OnArray:
    def __init__(self, transform: Transform, field: str, seed: int) -> None:
        self.transform = transform
        self.field = field
        self.seed = seed
        self.calls = 0

    def __call__(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return self._apply(array)
        import torch  # heavy, and only needed where the caller has it already

        return torch.from_numpy(self._apply(array.detach().cpu().numpy())).to(array.device)

    def _apply(self, array: Array) -> Array:
        if array.ndim not in (2, 3):
            raise SchemaError(
                f"an array of shape {array.shape}: expected (height, width) or (channels, height, width)"
            )
        schema = Schema([Field(name=self.field, dtype=array.dtype.name)])
        sample = Sample("", schema, {self.field: array[np.newaxis] if array.ndim == 2 else array})
        result = self.transform(sample, self._rng())[self.field]
        return result[0] if array.ndim == 2 else result

    def _rng(self) -> np.random.Generator:
        self.calls += 1
        if not self.transform.random:
            return rng_for(self.seed)
        from torch.utils.data import get_worker_info  # as above

        worker = get_worker_info()
        return rng_for(self.seed, "on_array", worker.seed if worker else "main", self.calls)
