"""Images and pairs in folders or stores, as the data of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from voxloom.atomic import write_json
from voxloom.config import Config, Task
from voxloom.jobs.data import Data, Place
from voxloom.jobs.latents import latents_of
from voxloom.jobs.objectives import Material, images_of, pairs_of
from voxloom.jobs.outputs import data_folders
from voxloom.sources import Parts, Split, describe

__all__ = ["ImageData", "LatentData", "PairData"]

logger = logging.getLogger(__name__)


class _Folders(Data):
    """Images that a `Layout` finds."""

    kind: ClassVar[Literal["images", "pairs"]]

    def __init__(self, task: Task, config: Config, state: Mapping[str, Any] | None, place: Place) -> None:
        self.task, self.config, self.state, self.place = task, config, state, place
        split = Split.model_validate(state["split"]) if state else None
        bar = place.bars("reading")
        self.parts = Parts(config.layout, self.kind, config.seed, split=split, progress=bar)

    @classmethod
    def folders(cls, config: Config) -> list[Path]:
        """Return the folders and stores of both sides."""
        return data_folders(config.layout)

    @property
    def split(self) -> dict[str, Any]:
        """The keys of both parts."""
        return self.parts.split.model_dump(mode="json")

    def describe(self) -> str:
        """Return number, size, type and values of the images, from some of them."""
        return str(describe(self.parts.source, self.parts.split))

    def save(self, folder: Path) -> None:
        """Write the split, and what was left out and why."""
        self.parts.split.save(folder / "split.json")
        write_json(folder / "skipped.json", dict(self.parts.skipped))
        if self.parts.skipped:
            logger.warning("%d images left out; see %s", len(self.parts.skipped), folder / "skipped.json")


class ImageData(_Folders):
    """Single images."""

    kind = "images"

    def material(self) -> Material:
        """Return the images."""
        return images_of(self.config, self.parts)


class PairData(_Folders):
    """Pairs of images."""

    kind = "pairs"

    def material(self) -> Material:
        """Return the pairs."""
        return pairs_of(self.config, self.task, self.parts)


class LatentData(_Folders):
    """Pairs of images that are trained on as latents."""

    kind = "pairs"

    def material(self) -> Material:
        """Encode the pairs, or find them encoded."""
        place, state = self.place, dict(self.state) if self.state else None
        return latents_of(self.config, self.parts, place.rank, place.device, place.bars, state)
