"""Samples side by side: the one place where numpy becomes torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from voxloom.errors import SchemaError
from voxloom.loading.order import Share
from voxloom.registry import did_you_mean
from voxloom.sample import Array, Field, Sample

__all__ = ["Batch", "collate"]


@dataclass(frozen=True)
class Batch:
    """Some samples of one schema, stacked.

    Attributes
    ----------
    fields
        One tensor a field, samples first: images, masks and latents are (B, C, H, W) float32 with
        the values of the file or of the transforms, classes are int64.
    keys
        The key of each sample.
    indices
        The index of each sample in its source.
    epoch
        Passes over the data that were complete before this batch.
    weight
        Samples here over the mean number per rank; 1 in a single process (see `Share`).

    Examples
    --------
    >>> batch = Batch({"image": torch.zeros(2, 1, 4, 4)}, ["a", "b"], [0, 1])
    >>> len(batch), batch["image"].shape
    (2, torch.Size([2, 1, 4, 4]))
    """

    fields: Mapping[str, torch.Tensor]
    keys: list[str]
    indices: list[int]
    epoch: int = 0
    weight: float = 1.0

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.fields:
            known = ", ".join(self.fields)
            raise SchemaError(f"no field {name!r}. Fields: {known}.{did_you_mean(name, self.fields)}")
        return self.fields[name]

    def __len__(self) -> int:
        return len(self.keys)

    def to(
        self,
        device: torch.device | str,
        *,
        non_blocking: bool = False,
        memory_format: torch.memory_format | None = None,
    ) -> Batch:
        """Return the batch on `device`.

        Parameters
        ----------
        device
            Where the tensors should lie.
        non_blocking
            Whether the copy may run beside the host: useful from pinned memory.
        memory_format
            Memory layout of the 4-D tensors, for instance ``torch.channels_last``.
        """

        def move(tensor: torch.Tensor) -> torch.Tensor:
            layout = memory_format if memory_format and tensor.ndim == 4 else torch.preserve_format
            return tensor.to(device, non_blocking=non_blocking, memory_format=layout)

        return self._map(move)

    def take(self, number: int) -> Batch:
        """Return the first `number` samples, or all where there are fewer."""
        return replace(
            self,
            fields={name: tensor[:number] for name, tensor in self.fields.items()},
            keys=self.keys[:number],
            indices=self.indices[:number],
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; torch's DataLoader calls it by this name."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        return replace(self, fields={name: function(tensor) for name, tensor in self.fields.items()})


def collate(samples: Sequence[Sample], share: Share | None = None) -> Batch:
    """Stack samples into a batch.

    Parameters
    ----------
    samples
        At least one; each has the same fields, and each field one shape.
    share
        Where the samples come from. Without it they count as samples 0, 1, ... of epoch 0.

    Returns
    -------
    Batch
        Fields of kind ``class`` as int64, all others as float32. The memory is the batch's own.

    Raises
    ------
    SchemaError
        If fields or shapes differ, or a field is text; it names the samples.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> schema = Schema([Field(name="image")])
    >>> samples = [Sample(key, schema, {"image": np.ones((1, 4, 6), "uint8")}) for key in ("a", "b")]
    >>> batch = collate(samples)
    >>> batch["image"].shape, batch["image"].dtype, batch.keys
    (torch.Size([2, 1, 4, 6]), torch.float32, ['a', 'b'])
    """
    if not samples:
        raise SchemaError("a batch of no samples: expected at least one")
    share = share or Share(0, list(range(len(samples))), 1.0)
    schema, names = samples[0].schema, list(samples[0])
    for sample in samples:
        if list(sample) != names:
            raise SchemaError(
                f"sample {sample.key!r} has fields {list(sample)}, but {samples[0].key!r} has {names}; "
                "expected the same fields in the same order in each sample of a batch"
            )
    fields = {name: _stack(schema[name], samples) for name in names}
    return Batch(fields, [sample.key for sample in samples], share.indices, share.epoch, share.weight)


def _stack(field: Field, samples: Sequence[Sample]) -> torch.Tensor:
    if field.kind == "text":
        raise SchemaError(f"field {field.name!r} is text; expected numbers. Encode it in a transform first.")
    arrays = [sample[field.name] for sample in samples]
    if any(array.shape != arrays[0].shape for array in arrays):
        raise SchemaError(_shapes_differ(field.name, samples, arrays))
    stacked = np.stack(arrays, dtype=np.int64 if field.kind == "class" else np.float32, casting="same_kind")
    return torch.from_numpy(stacked)


def _shapes_differ(name: str, samples: Sequence[Sample], arrays: Sequence[Array]) -> str:
    firsts = {array.shape: sample.key for sample, array in reversed(list(zip(samples, arrays, strict=True)))}
    shapes = ", ".join(f"{shape} ({key!r})" for shape, key in sorted(firsts.items()))
    return (
        f"field {name!r} has shapes {shapes} in one batch; expected one shape. "
        "Bring all images to one size with a resize (patch_size), or use a batch size of 1."
    )
