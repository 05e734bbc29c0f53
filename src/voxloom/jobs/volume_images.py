"""Patches of volumes as the images or the pairs of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from voxloom.amounts import counted
from voxloom.atomic import write_json
from voxloom.config import Config, Task
from voxloom.config.files import read_file
from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import AXES, Grid, PatchSpec
from voxloom.jobs.data import Data, Place
from voxloom.jobs.latents import latents_of
from voxloom.jobs.objectives import Material
from voxloom.jobs.volume_rows import SIDES, paths_of, rows_of
from voxloom.source import Source, Subset
from voxloom.sources.areas import voxels_in
from voxloom.sources.locations import Locations, Random, centers_of
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.split_rows import SplitRow, rows_from_dict
from voxloom.sources.tiles import Tiled
from voxloom.sources.volume_split import Dataset, OpenedSplit, VolumeSplit
from voxloom.training.settings import ImageTrainSettings
from voxloom.transforms import Compose, Preparation, RangeNormalize
from voxloom.volumes import Volume
from voxloom.volumes.value_range import value_range

__all__ = ["VolumeImages", "VolumeLatents", "VolumePairs"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Area:
    """Datasets of a part, and the voxels of each that belong to it."""

    datasets: Sequence[Dataset]
    grids: Sequence[Grid]


@dataclass(frozen=True)
class _Tiles:
    """What the latents of a part are encoded of."""

    train: Source
    validation: Source


class _Volumes(Data):
    """Volumes of a split, or one whose far end validates."""

    kind: ClassVar[Literal["images", "pairs"]]
    fields: ClassVar[tuple[str, ...]]

    def __init__(self, task: Task, config: Config, state: Mapping[str, Any] | None, place: Place) -> None:
        settings = config.settings(task)
        assert isinstance(settings, ImageTrainSettings)
        self.task, self.state, self.place = task, state, place
        self.size = settings.patch_size if task == "vae" else settings.image_size
        config.volume_data.refuse_augment(is_latent=task == "ldm", of_images=bool(config.augment))
        self.rows = _rows_of_state(state) if state else rows_of(config, self.kind)
        self.share = float(state["split"]["share"][0]) if state else config.train_split
        self.opened = _opened(self.rows, config, self.fields)
        self.config = _resolved(task, config, self.opened)

    @classmethod
    def folders(cls, config: Config) -> list[Path]:
        """Return the local volumes."""
        paths = chain.from_iterable(paths_of(row).values() for row in rows_of(config, cls.kind))
        return [Path(path) for path in paths if "://" not in path]

    @property
    def split(self) -> dict[str, Any]:
        """The rows of both parts; where none validates, the share of each volume that trains."""
        parts: dict[str, list[Any]] = {"train": [], "validation": [], "share": [self.share]}
        for row in self.rows:
            parts[row.part].append({"raw": dict(paths_of(row))})
        return parts

    def describe(self) -> str:
        """Return how many volumes and patches there are, and which values become -1 and 1."""
        train, validation = self.sources
        field = train.schema[self.fields[0]]
        scale = self._scale
        held = "" if self.opened.validation else f", their last {100 * (1 - self.share):.3g} % to validate on"
        other = f", {counted(len(self.opened.validation), 'volume')} to validate on"
        spacing = " x ".join(f"{s:g}" for s in self.spec.spacing)
        return (
            f"{counted(len(self.opened.train), 'volume')} to learn from{held or other}; {len(train)} patches "
            f"an epoch, {len(validation)} to validate on; each {' x '.join(map(str, field.shape or ()))} "
            f"{field.dtype} of {spacing} nm; values {scale.low:g} to {scale.high:g} become -1 to 1"
        )

    def save(self, folder: Path) -> None:
        """Write the split, and the volumes that were left out and why."""
        write_json(folder / "split.json", self.split)
        write_json(folder / "skipped.json", {each.origin: each.reason for each in self.opened.skipped})

    @property
    def spec(self) -> PatchSpec:
        """The patch."""
        data = self.config.volume_data
        assert data.spacing is not None
        return data.spec(self.size, data.spacing)

    @property
    def _scale(self) -> RangeNormalize:
        scale = self.config.preparation.normalization
        assert isinstance(scale, RangeNormalize)
        return scale

    @cached_property
    def areas(self) -> tuple[_Area, _Area]:
        """Where patches to learn from lie, and where those to validate on."""
        train = [voxels_in(dataset, self.spec) for dataset in self.opened.train]
        if self.opened.validation:
            other = [voxels_in(dataset, self.spec) for dataset in self.opened.validation]
            return _Area(self.opened.train, train), _Area(self.opened.validation, other)
        near, far = zip(*(_divided(grid, self.spec, self.share) for grid in train), strict=True)
        return _Area(self.opened.train, near), _Area(self.opened.train, far)

    @cached_property
    def sources(self) -> tuple[Source, Source]:
        """The patches to learn from, drawn anew each epoch, and the tiles to validate on."""
        data, (train, validation) = self.config.volume_data, self.areas
        centers = [centers_of(grid, self.spec) for grid in train.grids]
        places = Random(centers, data.length, self.config.seed)
        options = PatchOptions(augment=data.augmentation, seed=self.config.seed)
        return self._cut(train, places, options), self._tiles(validation, data.validation_patches)

    def _tiles(self, area: _Area, most: int | None) -> Source:
        return thinned(self._cut(area, Tiled(area.grids, self.spec), PatchOptions()), most)

    def _cut(self, area: _Area, places: Locations, options: PatchOptions) -> PatchSource:
        data = self.config.volume_data
        how = {"outside": data.outside, "fill": data.fill, "interpolation": data.interpolation}
        inputs = dict.fromkeys(self.fields, self.spec)
        return PatchSource(
            area.datasets, inputs=inputs, locations=places, options=options.model_copy(update=how)
        )

    def material(self) -> Material:
        """Return the patches."""
        train, validation = self.sources
        scaled = Compose(transforms=(self._scale,))
        return Material(
            train=train,
            validation=validation,
            train_transform=scaled,
            validation_transform=scaled,
            data_range=2.0,
            is_drawn=True,
            facts={"data_range": 2.0, "value_range": [self._scale.low, self._scale.high]},
        )


class VolumeImages(_Volumes):
    """Single patches, for a VAE."""

    kind, fields = "images", ("image",)


class VolumePairs(_Volumes):
    """Pairs of patches from one place, for a direct translator."""

    kind, fields = "pairs", SIDES


class VolumeLatents(_Volumes):
    """Pairs of patches that are trained on as latents: tiles, encoded once."""

    kind, fields = "pairs", SIDES

    @cached_property
    def sources(self) -> tuple[Source, Source]:
        """Tiles to learn from and to validate on."""
        data, (train, validation) = self.config.volume_data, self.areas
        return self._tiles(train, data.length), self._tiles(validation, data.validation_patches)

    def material(self) -> Material:
        """Encode the pairs, or find them encoded."""
        place, state = self.place, dict(self.state) if self.state else None
        tiles = _Tiles(*self.sources)
        return latents_of(self.config, tiles, place.rank, place.device, place.bars, state)


def thinned(source: Source, most: int | None) -> Source:
    """Return at most so many samples, evenly spread."""
    if most is None or len(source) <= most:
        return source
    return Subset(source, np.linspace(0, len(source) - 1, most).round().astype(int).tolist())


def _rows_of_state(state: Mapping[str, Any]) -> list[SplitRow]:
    split = state["split"]
    return rows_from_dict({part: split[part] for part in ("train", "validation") if split[part]})


def _opened(rows: Sequence[SplitRow], config: Config, fields: tuple[str, ...]) -> OpenedSplit:
    data = config.volume_data
    unit: dict[str, Any] = {"unit": data.unit} if data.unit else {}
    opened = VolumeSplit(rows).open(inputs=fields, on_error=data.on_error, **unit)
    if not opened.train:
        raise ConfigError("volume_data.split: no volume to learn from; expected some as `train`.")
    train, validation = ([_chosen(d, config) for d in part] for part in (opened.train, opened.validation))
    return OpenedSplit(train, validation, opened.skipped)


def _chosen(dataset: Dataset, config: Config) -> Dataset:
    """Return a dataset whose volumes show the one channel that is meant."""
    channels = config.volume_data.channels
    raw = {
        name: Volume.open(volume.path, channels=[channels[name]], unit=config.volume_data.unit)
        if name in channels
        else volume
        for name, volume in dataset.raw.items()
    }
    for name, volume in raw.items():
        if len(volume.channels) != 1:
            raise SchemaError(
                f"{volume.path} has {len(volume.channels)} channels ({', '.join(volume.channels)}): expected "
                f'one. Choose it: volume_data.channels={{"{name}": "{volume.channels[0]}"}}.'
            )
    return replace(dataset, raw=raw)


def scale_of_vae(path: Path | None) -> RangeNormalize | None:
    """Return the range of values that a VAE's run was trained on, if there is a run and it has one."""
    folders = [] if path is None else [path, path.parent.parent]
    for file in (folder / "config.json" for folder in folders):
        if file.is_file():
            scale = Preparation.model_validate(read_file(file).get("preparation", {})).normalization
            return scale if isinstance(scale, RangeNormalize) else None
    return None


def _resolved(task: Task, config: Config, opened: OpenedSplit) -> Config:
    """Fill in what follows from the volumes, so that a resume and a prediction find it as it was."""
    first = next(iter(opened.train[0].raw.values()))
    spacing = config.volume_data.spacing or first.levels[0].grid.spacing
    data = config.volume_data.model_copy(update={"spacing": spacing})
    preparation = config.preparation
    if not isinstance(preparation.normalization, RangeNormalize):
        scale = scale_of_vae(config.autoencoder_path) if task == "ldm" else None
        if scale is None:
            low, high = value_range([volume for d in opened.train for volume in d.raw.values()])
            scale = RangeNormalize(low=low, high=high)
        preparation = preparation.model_copy(update={"normalization": scale})
    return config.model_copy(update={"volume_data": data, "preparation": preparation})


def _divided(grid: Grid, spec: PatchSpec, share: float) -> tuple[Grid, Grid]:
    """Return the near and the far part of a volume, cut across the axis with the most room for patches."""
    room = [n / p for n, p in zip(grid.shape, spec.shape, strict=True)]
    axis = room.index(max(room))
    extent = grid.shape[axis]
    least = spec.shape[axis] if extent >= 2 * spec.shape[axis] else 1  # a patch fits into both
    near = min(max(round(extent * share), least), extent - least)
    if extent < 2:
        raise ConfigError(
            "a volume of one voxel leaves nothing to validate on. Name another volume as val_dir."
        )
    if min(near, extent - near) < spec.shape[axis]:
        logger.warning(
            "patches of %d voxels along %s, but %d voxels to learn from and %d to validate on: patches stand "
            "out and see the other part. Take smaller patches, another train_split, or name a val_dir.",
            spec.shape[axis], AXES[axis], near, extent - near,
        )  # fmt: skip
    shapes = [tuple(n if i == axis else e for i, e in enumerate(grid.shape)) for n in (near, extent - near)]
    start = [near if i == axis else 0 for i in range(3)]
    origins = (grid.origin, grid.world(start))
    one, other = (Grid(s, grid.spacing, o) for s, o in zip(shapes, origins, strict=True))  # type: ignore[arg-type]
    return one, other
