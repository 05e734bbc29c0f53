"""Samples side by side: the one place where numpy becomes torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from voxloom.errors import SchemaError
from voxloom.loading.order import Share
from voxloom.registry import did_you_mean
from voxloom.sample import Array, Field, Sample

__all__ = ["Batch", "collate", "tensor_of"]

_OF_VOLUMES = {torch.channels_last: torch.channels_last_3d}


@dataclass(frozen=True)
class Batch:
    """Some samples of one schema, stacked.

    Attributes
    ----------
    fields
        One tensor a field, samples first, with the values of the file or of the transforms: images,
        masks and latents are (B, C, H, W), of the integers of the file or float32; classes are int64.
    keys
        The key of each sample; from a store they are read when they are first asked for.
    indices
        The index of each sample in its source.
    epoch
        Passes over the data that were complete before this batch.
    weight
        Samples here over the mean number per rank; 1 in a single process (see `Share`).
    texts
        The fields of text, a string for each sample.

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
    texts: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)

    def keyed_by(self, keys: Callable[[], list[str]]) -> Batch:
        """Return a batch whose keys are what `keys` returns, which is called when they are asked for."""
        batch = object.__new__(Batch)
        batch.__dict__.update({k: v for k, v in self.__dict__.items() if k != "keys"}, _keys=keys)
        return batch

    def __getattr__(self, name: str) -> Any:
        # asked only for what an instance does not have: keys that have not been read yet
        if name != "keys" or "_keys" not in self.__dict__:
            raise AttributeError(f"a batch has no attribute {name!r}")
        return self.__dict__.setdefault("keys", self.__dict__["_keys"]())

    def __getstate__(self) -> dict[str, Any]:
        state = {"keys": self.keys, **self.__dict__}
        state.pop("_keys", None)
        return state

    def __repr__(self) -> str:
        shapes = (f"{name} {tuple(t.shape)} {str(t.dtype)[6:]}" for name, t in self.fields.items())
        return f"Batch({', '.join([*shapes, *self.texts])})"

    def __getitem__(self, name: str) -> torch.Tensor:
        if name in self.texts:
            raise SchemaError(f"field {name!r} is text; expected numbers. Its strings are texts[{name!r}].")
        if name not in self.fields:
            known = ", ".join(self.fields)
            raise SchemaError(f"no field {name!r}. Fields: {known}.{did_you_mean(name, self.fields)}")
        return self.fields[name]

    def __len__(self) -> int:
        return len(self.__dict__.get("keys", self.indices))  # keys that nobody asked for stay unread

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
            Memory layout of the 4-D tensors, for instance ``torch.channels_last``; of 5-D ones it is
            the layout of volumes that is like it.
        """
        layouts = {4: memory_format, 5: _OF_VOLUMES.get(memory_format)} if memory_format else {}

        def move(tensor: torch.Tensor) -> torch.Tensor:
            layout = layouts.get(tensor.ndim) or torch.preserve_format
            return tensor.to(device, non_blocking=non_blocking, memory_format=layout)

        return self._map(move)

    def float(self, *names: str, scale: bool = False) -> Batch:
        """Return the batch with integers as float32: on the device, where that costs little.

        Parameters
        ----------
        *names
            Fields to turn; without one all but those of int64, which are classes. Masks whose values
            are classes stay integers by naming the images alone.
        scale
            Whether integers are divided by the largest of their type, 255 for uint8, so that images
            lie in [0, 1].

        Examples
        --------
        >>> batch = Batch({"image": torch.tensor([[51]], dtype=torch.uint8)}, ["a"], [0])
        >>> batch.float()["image"], batch.float("image", scale=True)["image"]
        (tensor([[51.]]), tensor([[0.2000]]))
        """
        chosen = {name: self[name] for name in names} or {
            name: tensor for name, tensor in self.fields.items() if tensor.dtype != torch.int64
        }
        floats = {name: _as_float(tensor, scale=scale) for name, tensor in chosen.items()}
        return self.with_fields({**self.fields, **floats})

    def take(self, number: int) -> Batch:
        """Return the first `number` samples, or all where there are fewer."""
        return dataclasses.replace(
            self,
            fields={name: tensor[:number] for name, tensor in self.fields.items()},
            keys=self.keys[:number],
            indices=self.indices[:number],
            texts={name: text[:number] for name, text in self.texts.items()},
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; torch's DataLoader calls it by this name."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        return self.with_fields({name: function(tensor) for name, tensor in self.fields.items()})

    def with_fields(self, fields: Mapping[str, torch.Tensor]) -> Batch:
        """Return a batch of the same samples with these fields and no others."""
        batch = object.__new__(Batch)  # and not `replace`, which would ask for the keys
        batch.__dict__.update(self.__dict__, fields=fields)
        return batch


def collate(samples: Sequence[Sample], share: Share | None = None) -> Batch:
    """Stack samples into a batch.

    Parameters
    ----------
    samples
        At least one; each has the same fields, and each field one shape, but for text.
    share
        Where the samples come from. Without it they count as samples 0, 1, ... of epoch 0.

    Returns
    -------
    Batch
        As `tensor_of` makes the tensors. The memory is the batch's own.

    Raises
    ------
    SchemaError
        If fields or shapes differ; it names the samples.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> schema = Schema([Field(name="image", axes="yxc")])
    >>> samples = [Sample(key, schema, {"image": np.ones((4, 6, 3), "uint8")}) for key in ("a", "b")]
    >>> batch = collate(samples)
    >>> batch["image"].shape, batch["image"].dtype, batch.keys
    (torch.Size([2, 3, 4, 6]), torch.uint8, ['a', 'b'])
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
    texts = {name: [str(s[name]) for s in samples] for name in names if schema[name].kind == "text"}
    fields = {name: _stack(schema[name], samples) for name in names if name not in texts}
    return Batch(fields, [sample.key for sample in samples], share.indices, share.epoch, share.weight, texts)


def tensor_of(array: Array, field: Field) -> torch.Tensor:
    """Return samples of a field, side by side in one array, as a tensor of the same memory.

    Classes become int64 and numbers with a fraction float32; integers stay what they are, to be
    turned on the device (`Batch.float`). Where the channels stand last they come second, as torch
    has them, without a copy: in memory they stay last (``channels_last``).

    Parameters
    ----------
    array
        (B, *axes of the field).
    field
        What it holds.

    Examples
    --------
    >>> images = np.zeros((2, 4, 6, 3), np.uint8)
    >>> tensor = tensor_of(images, Field(name="image", axes="yxc"))
    >>> tensor.shape, tensor.is_contiguous(memory_format=torch.channels_last)
    (torch.Size([2, 3, 4, 6]), True)
    """
    array = array.astype(_dtype(field, array.dtype), copy=False)
    tensor = _shared(array if array.flags.writeable else array.copy())
    is_last = len(field.axes) > 1 and field.axes[-1] == "c" and tensor.ndim == len(field.axes) + 1
    return tensor.movedim(-1, 1) if is_last else tensor


def _shared(array: Array) -> torch.Tensor:
    origin: Any = array.base
    if isinstance(origin, torch.Tensor) and origin.shape == array.shape:
        return origin  # torch goes by its own tensor to know when page-locked memory has been copied
    return torch.from_numpy(array)


def _dtype(field: Field, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if field.kind == "class" and dtype.kind in "iub":
        return np.dtype(np.int64)
    return np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")


def _stack(field: Field, samples: Sequence[Sample]) -> torch.Tensor:
    arrays = [sample[field.name] for sample in samples]
    if any(array.shape != arrays[0].shape for array in arrays):
        raise SchemaError(_shapes_differ(field.name, samples, arrays))
    # in one go: types may differ between the samples, and a copy is needed anyway
    dtype = _dtype(field, np.result_type(*arrays))
    return tensor_of(np.stack(arrays, dtype=dtype, casting="same_kind"), field)


def _as_float(tensor: torch.Tensor, *, scale: bool) -> torch.Tensor:
    if not scale or tensor.is_floating_point() or tensor.dtype == torch.bool:
        return tensor.to(torch.float32)
    return tensor.to(torch.float32).div_(torch.iinfo(tensor.dtype).max)


def _shapes_differ(name: str, samples: Sequence[Sample], arrays: Sequence[Array]) -> str:
    firsts = {array.shape: sample.key for sample, array in reversed(list(zip(samples, arrays, strict=True)))}
    shapes = ", ".join(f"{shape} ({key!r})" for shape, key in sorted(firsts.items()))
    return (
        f"field {name!r} has shapes {shapes} in one batch; expected one shape. "
        "Bring all images to one size with a resize (patch_size), or use a batch size of 1."
    )
