"""A loader of torch whose batches are read ahead by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from voxloom.compat.cellmap_data.base_dataset import Item
from voxloom.compat.cellmap_data.items import PendingItem
from voxloom.loading.threads import Threads
from voxloom.seeding import rng_for

__all__ = ["ReadAhead", "collated", "device_or_best", "process_options"]

_OF_PROCESSES = ("multiprocessing_context", "persistent_workers", "timeout", "worker_init_fn")


@dataclass(frozen=True)
class _Step:
    """One batch to read: its number in the epoch, and its indices."""

    seed: int
    number: int
    indices: Sequence[int]


class ReadAhead(DataLoader[Item]):
    """Batches of a dataset that can begin items; voxels are read ahead, in threads.

    Transforms run where batches are taken, one item after the other: they draw from torch's global
    generator, so that a run is the same for any number of threads.

    Parameters
    ----------
    dataset
        With ``begin(index, rng)``.
    place
        Puts a batch on its device.
    threads
        How many; 0 to read when a batch is asked for.
    prefetch_factor
        Batches that each thread keeps ready.
    **options
        As torch's DataLoader takes them; those about processes mean nothing.
    """

    def __init__(
        self,
        dataset: Any,
        place: Callable[[Item], Item],
        *,
        threads: int,
        prefetch_factor: int | None = None,
        **options: Any,
    ) -> None:
        self._place = place
        self._threads, self._ahead = threads, threads * (prefetch_factor or 2)
        self._collate = options.pop("collate_fn", None) or collated
        kept = {name: value for name, value in options.items() if name not in _OF_PROCESSES}
        super().__init__(dataset, collate_fn=self._collate, **kept)

    def __iter__(self) -> Any:
        """Yield the batches of an epoch."""
        if self._threads == 0:
            return self._batches(map(self._read, self._steps()))
        return self._batches(self._read_ahead())

    def _read_ahead(self) -> Iterator[list[PendingItem]]:
        threads = Threads(self._threads, ahead=self._ahead)
        try:
            yield from threads.map(self._read, self._steps())
        finally:
            threads.close()

    def _steps(self) -> Iterator[_Step]:
        seed = int(torch.randint(2**62, (), generator=self.generator))
        batches = self.batch_sampler if self.batch_sampler is not None else ([i] for i in self.sampler)
        return (_Step(seed, number, list(indices)) for number, indices in enumerate(batches))

    def _read(self, step: _Step) -> list[PendingItem]:
        dataset: Any = self.dataset
        begun = [
            dataset.begin(index, rng_for(step.seed, "pose", step.number, place))
            for place, index in enumerate(step.indices)
        ]
        return [pending.wait() for pending in begun]

    def _batches(self, reads: Iterator[list[PendingItem]]) -> Iterator[Item]:
        pinned = self.pin_memory and torch.cuda.is_available()
        for items in reads:
            batch = self._collate([pending.item() for pending in items])
            yield self._place(_pinned(batch) if pinned else batch)


def collated(batch: Sequence[Item]) -> Item:
    """Return items as one dictionary: tensors stacked, all else listed.

    Examples
    --------
    >>> collated([{"idx": torch.tensor(1), "__metadata__": {}}, {"idx": torch.tensor(2), "__metadata__": {}}])
    {'idx': tensor([1, 2]), '__metadata__': [{}, {}]}
    """
    names = batch[0]
    columns = {name: [item[name] for item in batch] for name in names}
    return {n: torch.stack(c) if isinstance(c[0], torch.Tensor) else c for n, c in columns.items()}


def _pinned(batch: Item) -> Item:
    return {
        name: value.pin_memory() if isinstance(value, torch.Tensor) and value.device.type == "cpu" else value
        for name, value in batch.items()
    }


def process_options(options: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what torch's loader is told to read in processes."""
    if number == 0:
        unfit = ("prefetch_factor", *_OF_PROCESSES)
        return {name: value for name, value in options.items() if name not in unfit}
    return {"persistent_workers": True, **options, "num_workers": number}


def device_or_best(device: str | torch.device | None) -> torch.device:
    """Return a device; where none is named the GPU if there is one."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
