"""Batches of a dataset, as dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from voxloom.compat.cellmap_data.base_dataset import Item
from voxloom.compat.cellmap_data.mutable_sampler import MutableSubsetRandomSampler
from voxloom.compat.cellmap_data.read_ahead import ReadAhead, collated, device_or_best, process_options
from voxloom.compat.cellmap_data.sampler import ShuffledSampler, chosen_sampler

__all__ = ["CellMapDataLoader"]


class CellMapDataLoader:
    """Batches of a dataset.

    They are read ahead by threads of this process: reading leaves Python free. With
    ``multiprocessing_context="spawn"`` (or "forkserver") processes do so instead, and run the value
    transforms too; a script then needs its ``if __name__ == "__main__"``.

    Parameters
    ----------
    dataset
        Any of this package.
    classes
        Those of the dataset.
    batch_size
        Items of a batch.
    num_workers
        Threads that read ahead; 0 to read when a batch is asked for.
    weighted_sampler
        Whether datasets come as often as what they hold of the classes weighs. Without
        `iterations_per_epoch` an epoch is then one batch.
    sampler
        Any sampler, or what makes one.
    is_train
        Whether items come in a random order.
    rng
        Decides the order and how patches are laid; None for that of the dataset, or torch's global one.
    device
        Where batches are put; None for the GPU if there is one.
    iterations_per_epoch
        Batches of an epoch, drawn at random; None for all items.
    **kwargs
        As torch's DataLoader takes them: drop_last, pin_memory, prefetch_factor.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.compat.cellmap_data import CellMapDataset
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> raw = write_volume(mkdtemp() + "/raw", phantom((16, 16, 17)))
    >>> arrays = {"raw": {"shape": (16, 16, 16), "scale": (8, 8, 8)}}
    >>> loader = CellMapDataLoader(CellMapDataset(raw, None, None, arrays), batch_size=2, device="cpu")
    >>> [batch["raw"].shape for batch in loader], loader[[1, 0]]["idx"]
    ([torch.Size([2, 1, 16, 16, 16])], tensor([1, 0]))
    """

    def __init__(
        self,
        dataset: Any,
        classes: Sequence[str] | None = None,
        batch_size: int = 1,
        num_workers: int = 0,
        weighted_sampler: bool = False,
        sampler: Sampler[int] | Callable[[], Sampler[int]] | None = None,
        is_train: bool = True,
        rng: torch.Generator | None = None,
        device: str | torch.device | None = None,
        iterations_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.dataset = dataset
        self.classes = list(classes if classes is not None else getattr(dataset, "classes", None) or ())
        self.batch_size, self.num_workers = batch_size, num_workers
        self.weighted_sampler, self.rng = weighted_sampler, rng
        self.device = device_or_best(device)
        self.iterations_per_epoch = iterations_per_epoch
        self.is_train = kwargs.pop("shuffle", is_train)
        self.default_kwargs = dict(kwargs)
        self._given = sampler
        self._non_blocking = True
        self.sampler = self._sampler()
        self._loader = self._made()

    @property
    def loader(self) -> DataLoader[Item]:
        """The loader of torch that hands the batches out."""
        return self._loader

    def refresh(self) -> None:
        """Draw other items, where the items of an epoch are drawn at random."""
        if isinstance(self.sampler, MutableSubsetRandomSampler):
            self.sampler.refresh()
        elif callable(self._given) and not isinstance(self._given, Sampler):
            self.sampler = self._sampler()
            self._loader = self._made()

    def __iter__(self) -> Iterator[Item]:
        return iter(self._loader)

    def __len__(self) -> int:
        return len(self._loader)

    def __getitem__(self, indices: int | Sequence[int]) -> Item:
        """Return a batch of the items at some indices, or at one."""
        return self.collate_fn(self.dataset.__getitems__(np.atleast_1d(np.asarray(indices)).tolist()))

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapDataLoader:
        """Choose where batches are put."""
        self.device, self._non_blocking = torch.device(device), non_blocking
        return self

    def collate_fn(self, batch: Sequence[Item]) -> Item:
        """Return items as one dictionary: tensors stacked and put on the device, all else listed."""
        return self._placed(collated(batch))

    def _placed(self, batch: Item) -> Item:
        return {
            name: value.to(self.device, non_blocking=self._non_blocking)
            if isinstance(value, torch.Tensor)
            else value
            for name, value in batch.items()
        }

    def _sampler(self) -> Sampler[int] | None:
        given = self._given
        if given is not None:
            return given if isinstance(given, Sampler) else given()
        per_epoch = self.iterations_per_epoch
        return chosen_sampler(
            self.dataset,
            self.batch_size,
            samples=None if per_epoch is None else per_epoch * self.batch_size,
            weighted=self.weighted_sampler,
            rng=self.rng,
        ) or (ShuffledSampler(len(self.dataset), rng=self.rng) if self.is_train else None)

    def _made(self) -> DataLoader[Item]:
        options = {"batch_size": self.batch_size, "sampler": self.sampler, **self.default_kwargs}
        options.setdefault("pin_memory", self.device.type == "cuda")
        options.setdefault("generator", self.rng or getattr(self.dataset, "rng", None))
        in_processes = self.num_workers > 0 and options.get("multiprocessing_context")
        if in_processes or not hasattr(self.dataset, "begin"):
            return _Placing(self, **process_options(options, self.num_workers))
        return ReadAhead(self.dataset, self._placed, threads=self.num_workers, **options)


class _Placing(DataLoader[Item]):
    """Processes that read; this one puts batches on the device."""

    def __init__(self, owner: CellMapDataLoader, **options: Any) -> None:
        self._owner = owner
        super().__init__(owner.dataset, **{"collate_fn": collated, **options})

    def __iter__(self) -> Any:
        return map(self._owner._placed, super().__iter__())
