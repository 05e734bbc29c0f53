"""Batches on their way to a device: the next one is copied while one is worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from voxloom.loading.batch import Batch
from voxloom.loading.worker import Failure

__all__ = ["DeviceCopies"]


class DeviceCopies:
    """Copies batches to a device, on CUDA one ahead and on a stream of its own.

    The copy runs beside the work on the batch before it, where batches lie in page-locked memory. The
    stream that asks for a batch waits for its copy, and the host does not. Elsewhere batches are just
    copied; on the CPU they stay what they are.

    Parameters
    ----------
    device
        Where the tensors should lie.

    Examples
    --------
    >>> batches = [Batch({"image": torch.ones(1, 1, 2, 2)}, ["a"], [0])]
    >>> [batch["image"].device.type for batch in DeviceCopies("cpu").of(batches)]
    ['cpu']
    """

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self._stream: torch.cuda.Stream | None = None
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def of(self, batches: Iterable[Batch | Failure]) -> Iterator[Batch | Failure]:
        """Yield the batches on the device, in order; failures as they are."""
        if self._stream is None:
            yield from (batch if isinstance(batch, Failure) else batch.to(self.device) for batch in batches)
            return
        last: tuple[Batch | Failure, torch.cuda.Event] | None = None
        for batch in batches:
            begun = self._begin(batch, self._stream)
            if last is not None:
                yield self._ready(*last)
            last = begun
        if last is not None:
            yield self._ready(*last)

    def _begin(
        self, batch: Batch | Failure, stream: torch.cuda.Stream
    ) -> tuple[Batch | Failure, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            moved = batch if isinstance(batch, Failure) else batch.to(self.device, non_blocking=True)
            return moved, stream.record_event()

    def _ready(self, batch: Batch | Failure, copied: torch.cuda.Event) -> Batch | Failure:
        using = torch.cuda.current_stream(self.device)
        using.wait_event(copied)
        if isinstance(batch, Batch):
            for tensor in batch.fields.values():
                tensor.record_stream(using)  # else its memory might be used again while `using` reads it
        return batch
