"""Items of a dataset: begun, in flight, and made of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from voxloom.compat.cellmap_data.base_dataset import Item
from voxloom.compat.cellmap_data.base_image import CellMapImageBase, PendingImage

__all__ = ["PendingItem", "PendingTarget", "Source"]

Source = Any
"""A `CellMapImage` or an `EmptyImage`: what begins a patch, and transforms its values."""


@dataclass
class PendingTarget:
    """The classes of one target array, on their way.

    Attributes
    ----------
    sources
        What each class is read from; None for a class that others tell about.
    reads
        The patches by class, those of classes that are no target but tell about others among them.
    excluded
        For each class that others tell about, these.
    empty
        What stands for unknown.
    """

    sources: Mapping[str, Source]
    reads: dict[str, PendingImage]
    excluded: Mapping[str, Sequence[str]]
    empty: float
    values: dict[str, torch.Tensor] = field(default_factory=dict)

    def wait(self) -> None:
        """Wait for all voxels."""
        self.values = {name: read.values() for name, read in self.reads.items()}
        self.reads = {}

    def stacked(self) -> torch.Tensor:
        """Return (classes, ...): each class after its transform."""
        channels = []
        for name, source in self.sources.items():
            others = self.excluded.get(name)
            values = self._inferred(others) if others is not None else self.values[name]
            channels.append(values if others is not None else source.transformed(values))
        return _stacked(channels)

    def _inferred(self, others: Sequence[str]) -> torch.Tensor:
        """Return 0 where another class is that excludes this one, and unknown elsewhere."""
        said = [self.values[name] > 0 for name in others]
        is_other = torch.stack(said).any(0)
        return torch.where(is_other, 0.0, self.empty)


@dataclass
class PendingItem:
    """One item, on its way."""

    inputs: Mapping[str, tuple[Source, PendingImage]]
    targets: Mapping[str, PendingTarget]
    told: Item
    device: torch.device
    values: dict[str, torch.Tensor] = field(default_factory=dict)

    def wait(self) -> PendingItem:
        """Wait for all voxels; any thread may do that."""
        self.values = {name: read.values() for name, (_, read) in self.inputs.items()}
        for target in self.targets.values():
            target.wait()
        return self

    def item(self) -> Item:
        """Return the tensors, after their transforms; these draw from torch's global generator."""
        item: Item = {}
        for name, (source, _) in self.inputs.items():
            values = source.transformed(self.values[name])
            item[name] = values if _has_channels(source) else values[None]
        for name, target in self.targets.items():
            item[name] = target.stacked()
        return {name: tensor.to(self.device) for name, tensor in item.items()} | self.told


def _has_channels(source: CellMapImageBase) -> bool:
    volume = getattr(source, "volume", None)
    return volume is not None and len(volume.channels) > 1


def _stacked(channels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack channels of any types: float32 unless all agree on another that is not float64."""
    dtypes = {channel.dtype for channel in channels}
    dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    return torch.stack([c.to(torch.float32 if dtype is torch.float64 else dtype) for c in channels])
