"""What a run is trained on, as it lies on disk: one object for each kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from voxloom.config import Config, Task
from voxloom.jobs.objectives import Material
from voxloom.jobs.volume_rows import names_volumes
from voxloom.ranks import Rank
from voxloom.registry import Registry

__all__ = ["DATA", "Bars", "Data", "Place", "data_of"]

Bars = Callable[[str], Callable[[int, int], object] | None]
"""Makes a progress bar of what is being done, or none."""

DATA = Registry(
    "kind of data",
    {
        "images": "voxloom.jobs.images:ImageData",
        "latents": "voxloom.jobs.images:LatentData",
        "pairs": "voxloom.jobs.images:PairData",
        "patches": "voxloom.jobs.patches:PatchData",
        "volume_images": "voxloom.jobs.volume_images:VolumeImages",
        "volume_latents": "voxloom.jobs.volume_images:VolumeLatents",
        "volume_pairs": "voxloom.jobs.volume_images:VolumePairs",
    },
)
"""Name -> class; what reads volumes is imported for the tasks that do."""

OF_TASK: dict[Task, str] = {
    "vae": "images",
    "ldm": "latents",
    "regression": "pairs",
    "pix2pix": "pairs",
    "segmentation": "patches",
}
"""The kind of data of each task; of volumes, that of images with ``volume_`` before it."""


def data_of(task: Task, config: Config) -> type[Data]:
    """Return the class that reads what a configuration names."""
    kind = OF_TASK[task]
    found: type[Data] = DATA[f"volume_{kind}" if kind != "patches" and names_volumes(config) else kind]
    return found


@dataclass(frozen=True)
class Place:
    """Where a process prepares data: its number, its device, and its progress bars."""

    rank: Rank
    device: torch.device
    bars: Bars


class Data(ABC):
    """The data of a run, opened.

    Parameters
    ----------
    task, config
        What is trained.
    state
        The checkpoint that a run goes on from: its split counts. None for a new run.
    place
        Where.

    Attributes
    ----------
    config
        The same, with what follows from the data filled in.
    """

    config: Config

    @abstractmethod
    def __init__(self, task: Task, config: Config, state: Mapping[str, Any] | None, place: Place) -> None: ...

    @classmethod
    @abstractmethod
    def folders(cls, config: Config) -> list[Path]:
        """Return the local folders that are only read, where no run may lie."""

    @property
    @abstractmethod
    def split(self) -> dict[str, Any]:
        """What trains and what validates, as plain values for a checkpoint."""

    @abstractmethod
    def describe(self) -> str:
        """Return what a person wants to know of the data before training; it may read some."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write into a run's folder what is trained on."""

    @abstractmethod
    def material(self) -> Material:
        """Return the samples, and how they are prepared."""
