"""Patches of volumes, as the data of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.amounts import counted
from voxloom.atomic import write_json
from voxloom.config import Config, Task
from voxloom.config.patches import Drawing, SegmentationData
from voxloom.errors import ConfigError, MissingDataError
from voxloom.jobs.data import Data, Place
from voxloom.jobs.objectives import Material
from voxloom.registry import did_you_mean
from voxloom.source import Source, Subset
from voxloom.sources.areas import centers_in, voxels_in
from voxloom.sources.balanced import Balanced
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Locations, Random
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.split_rows import SplitRow, followed
from voxloom.sources.tiles import Tiled
from voxloom.sources.volume_split import Dataset, VolumeSplit
from voxloom.training import SegmentationPatches
from voxloom.volumes.class_cells import class_weights
from voxloom.volumes.index import class_indexes

__all__ = ["TARGET", "PatchData", "volumes_of"]

logger = logging.getLogger(__name__)

TARGET = "labels"
"""The field of a sample that holds the bits of its classes."""


class PatchData(Data):
    """Volumes of a split, opened, and the patches that are cut of them."""

    def __init__(self, task: Task, config: Config, state: Mapping[str, Any] | None, place: Place) -> None:  # noqa: ARG002
        self.config, self.data, self.rank = config, _data_of(config), place.rank
        split = VolumeSplit.from_dict(state["split"]) if state else _split_of(self.data)
        self.rows = list(chain.from_iterable(followed(row) for row in split.rows))
        self.opened = VolumeSplit(self.rows).open(
            self.data.classes,
            inputs=tuple(self.data.inputs),
            on_error=self.data.on_error,
            for_training=True,
            **({"unit": self.data.unit} if self.data.unit else {}),
        )
        if not self.opened.train or not self.opened.validation:
            part = "validation" if self.opened.train else "train"
            raise MissingDataError(
                f"no dataset of the {part} part in segmentation_data.split: expected at least one. Name some "
                "as `train` and some as `validate`."
            )

    @classmethod
    def folders(cls, config: Config) -> list[Path]:
        """Return the local volumes that the split names."""
        rows = _split_of(_data_of(config)).rows
        paths = chain.from_iterable((*_raw_of(row).values(), *row.gt) for row in rows)
        return [Path(path.partition("/[")[0]) for path in paths if "://" not in path]

    @property
    def split(self) -> dict[str, Any]:
        """The rows of both parts, wildcards followed, with absolute paths."""
        parts: dict[str, list[dict[str, Any]]] = {"train": [], "validation": []}
        for row in self.rows:
            raw = row.raw if isinstance(row.raw, str) else dict(row.raw)
            parts[row.part].append({"raw": raw, "gt": list(row.gt)})
        return parts

    def describe(self) -> str:
        """Return how many datasets and patches there are, and which classes are annotated in how many."""
        train, validation = self.sources
        parts = {"to learn from": self.opened.train, "to validate on": self.opened.validation}
        told = [
            f"{counted(len(found), 'dataset')} {what} ({self._annotated(found)})"
            for what, found in parts.items()
        ]
        shapes = (f"{f.name} {' x '.join(map(str, f.shape or ()))} {f.dtype}" for f in train.schema.values())
        amounts = f"{len(train)} patches an epoch, {len(validation)} to validate on"
        return f"{', '.join(told)}; {amounts}; each {', '.join(shapes)}"

    def _annotated(self, datasets: Sequence[Dataset]) -> str:
        names = [name for d in datasets if d.labels for name in sorted(d.labels.annotated)]
        wanted = self.data.classes.names
        return ", ".join(f"{name} in {names.count(name)}" for name in wanted)

    def save(self, folder: Path) -> None:
        """Write the split, and the datasets that were left out and why."""
        write_json(folder / "split.json", self.split)
        write_json(folder / "skipped.json", {each.origin: each.reason for each in self.opened.skipped})

    def material(self) -> Material:
        """Return the patches to learn from, drawn anew each epoch, and the tiles to validate on."""
        train, validation = self.sources
        channels = {name: (train.schema[name].shape or (1,))[0] for name in self.data.inputs}
        return Material(
            train=train,
            validation=validation,
            data_range=1.0,
            is_drawn=True,
            crops_per_block=self.data.drawing.crops_per_block,
            patches=SegmentationPatches(
                inputs=tuple(self.data.inputs),
                target=TARGET,
                classes=self.data.classes.names,
                channels=sum(channels.values()),
                channels_of=channels,
                volumes=volumes_of([*self.opened.train, *self.opened.validation], tuple(channels)),
                dtypes={name: str(train.schema[name].dtype) for name in self.data.inputs},
                balance=self._balance(),
                values=self.data.values,
            ),
            facts={"datasets": {"train": len(self.opened.train), "validation": len(self.opened.validation)}},
        )

    def _balance(self) -> Mapping[str, float]:
        if self.config.segmentation_train.positive_weights != "balanced":
            return {}
        index = class_indexes([dataset.labels for dataset in self.opened.train], self.data.classes)
        return class_weights(index, self.data.classes.names)

    @cached_property
    def sources(self) -> tuple[Source, Source]:
        """The patches to learn from and those to validate on."""
        data, seed = self.data, self.config.seed
        places = locations_of(self.opened.train, data, seed=seed)
        options = PatchOptions(augment=data.augmentation, seed=seed, keep_blocks=self._blocks_to_keep())
        train = self._source(self.opened.train, places, options)
        grids = [voxels_in(dataset, data.target_spec) for dataset in self.opened.validation]
        tiles = self._source(self.opened.validation, Tiled(grids, data.target_spec), PatchOptions(seed=seed))
        return train, _thinned(tiles, data.validation_patches)

    def _blocks_to_keep(self) -> int:
        """Return how many blocks the batches that are read at the same time share."""
        crops, size = self.data.drawing.crops_per_block, self.config.segmentation_train.batch_size
        if size % crops == 0:
            return 0
        if self.rank.world == 1:
            return self.config.num_workers + 2
        if self.rank.is_main:
            logger.warning(
                "crops_per_block %d and a batch_size of %d for each of %d processes: several of them read a "
                "block, so less is gained, and nothing with smaller batches. Expected a batch_size that is a "
                "multiple of crops_per_block.",
                crops, size, self.rank.world,
            )  # fmt: skip
        return 0

    def _source(self, datasets: Sequence[Dataset], places: Locations, options: PatchOptions) -> PatchSource:
        data = self.data
        how = {"outside": data.outside, "fill": data.fill, "interpolation": data.interpolation}
        return PatchSource(
            datasets,
            inputs=data.inputs,
            targets={TARGET: data.target_spec},
            classes=data.classes,
            locations=places,
            options=options.model_copy(update=how),
        )


def locations_of(datasets: Sequence[Dataset], data: SegmentationData, *, seed: int) -> Locations:
    """Return where patches to learn from lie, each with all its arrays inside where that can be.

    Raises
    ------
    ConfigError
        If a weight is for a dataset that is not there.
    """
    drawing = data.drawing
    centers = [centers_in(dataset, data.inputs, {TARGET: data.target_spec}) for dataset in datasets]
    weights = _weights(drawing, datasets)
    drawn: Random | Balanced
    if drawing.kind == "random":
        drawn = Random(centers, drawing.length, seed, weights)
    else:
        index = class_indexes([dataset.labels for dataset in datasets], data.classes)
        drawn = Balanced(centers, index, data.classes.names, drawing.length, seed, weights, absent="drop")
    return Blocks(drawn, drawing.crops_per_block, drawing.spread) if drawing.crops_per_block > 1 else drawn


def volumes_of(datasets: Sequence[Dataset], inputs: Sequence[str]) -> dict[str, str]:
    """Return for each input the first that is of the same volume in every dataset.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> em, lm = SimpleNamespace(path="em.zarr"), SimpleNamespace(path="lm.zarr")
    >>> row = SimpleNamespace(raw={"near": em, "far": em, "light": lm})
    >>> volumes_of([row], ("near", "far", "light"))
    {'near': 'near', 'far': 'near', 'light': 'light'}
    """
    paths = {name: tuple(dataset.raw[name].path for dataset in datasets) for name in inputs}
    return {name: next(first for first in inputs if paths[first] == paths[name]) for name in inputs}


def _weights(drawing: Drawing, datasets: Sequence[Dataset]) -> list[float] | None:
    names = [dataset.name for dataset in datasets]
    for name in drawing.weights:
        if name not in names:
            raise ConfigError(
                f"segmentation_data.drawing.weights: no dataset {name!r} to learn from. Datasets: "
                f"{', '.join(names)}.{did_you_mean(name, names)}"
            )
    return [drawing.weights.get(name, 1.0) for name in names] if drawing.weights else None


def _thinned(source: Source, most: int | None) -> Source:
    """Return at most so many samples, evenly spread."""
    if most is None or len(source) <= most:
        return source
    return Subset(source, np.linspace(0, len(source) - 1, most).round().astype(int).tolist())


def _data_of(config: Config) -> SegmentationData:
    if config.segmentation_data is None:
        raise ConfigError(
            "segmentation_data is not set: a segmentation needs volumes, patches and classes. See "
            "segmentation.yaml of `voxloom init`."
        )
    return config.segmentation_data


def _split_of(data: SegmentationData) -> VolumeSplit:
    if isinstance(data.split, Path | str):
        return VolumeSplit.from_csv(data.split)
    parts = {part: [entry.model_dump() for entry in entries] for part, entries in data.split.items()}
    return VolumeSplit.from_dict(parts)


def _raw_of(row: SplitRow) -> Mapping[str, str]:
    return {"raw": row.raw} if isinstance(row.raw, str) else row.raw
