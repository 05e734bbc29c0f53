"""Samples under the preparation and the augmentation of a configuration, as a training would see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from voxloom.amounts import counted
from voxloom.analysis.looking.drawing import named_ids, pictures_of
from voxloom.analysis.looking.page import facts_section, legend_section, sheet_section, write_page
from voxloom.analysis.looking.sheet import Tile, sheet_of
from voxloom.analysis.markup import element
from voxloom.config import Config, Task, load_config
from voxloom.errors import ConfigError
from voxloom.jobs.config_task import task_of
from voxloom.jobs.data import DATA, OF_TASK, Place
from voxloom.jobs.image_draws import image_draws, variant_draws
from voxloom.jobs.inspection_parts import parts_of
from voxloom.jobs.objectives import Material
from voxloom.jobs.patch_draws import Drawn, patch_draws
from voxloom.jobs.volume_rows import names_volumes
from voxloom.panels import Window, window_of
from voxloom.ranks import Rank
from voxloom.sample import Sample
from voxloom.source import Source
from voxloom.sources import write_png
from voxloom.sources.patches import PatchSource
from voxloom.training.settings import ImageTrainSettings

__all__ = ["Draws", "draws_of", "write_draws"]

_SIZE = 176  # pixels of an image on the sheet
_NAMED = 24  # ids that a legend names


@dataclass(frozen=True)
class Draws:
    """Samples under their transforms.

    Attributes
    ----------
    rows
        Of each sample: as it lies in the file, as it is prepared, and the draws.
    seed
        That the draws derive from.
    is_random
        Whether the configuration augments at all.
    origin
        Where the samples come from.
    task, file
        Whose settings were taken, and of which file.
    meaning
        What the draws are to a training.
    """

    rows: tuple[tuple[Drawn, ...], ...]
    seed: int
    is_random: bool
    origin: str
    task: Task
    file: str
    meaning: str


def draws_of(
    config: str | Path,
    path: str | Path | None = None,
    *,
    task: str | None = None,
    samples: int = 1,
    draws: int = 7,
) -> Draws:
    """Prepare and augment samples as a training with a configuration does.

    Draw n is what the n-th epoch does to the sample: the same seed, the same generators. Patches of
    volumes stay at the place of the first epoch, so that only the pose and the values differ. A latent
    model encodes a few augmented copies once: these are drawn then.

    Parameters
    ----------
    config
        The file.
    path
        Images to take, in the place of those that the configuration names.
    task
        Whose settings count; None finds it, see `voxloom.jobs.config_task.task_of`.
    samples
        How many, evenly spread over those that train.
    draws
        Of each sample.

    Raises
    ------
    ConfigError
        If the configuration cannot be used, or `path` is given for patches of volumes.
    DataError
        If the data cannot be read.
    """
    kind = task_of(Path(config), task)
    settings = load_config(kind, [config])
    if path is not None and kind == "segmentation":
        raise ConfigError(
            f"{path}: a segmentation's configuration names its own volumes. Leave PATH out, or change "
            "segmentation_data.split."
        )
    material = _of_path(settings, kind, Path(path)) if path is not None else _material(settings, kind)
    total = len(material.train)
    number = min(samples, total)
    indices = [(2 * place + 1) * total // (2 * number) for place in range(number)]  # the middle for one
    drawing, meaning = _how(settings, kind, material)
    rows = [tuple(drawing(index, draws)) for index in indices]
    return Draws(
        rows=tuple(rows),
        seed=settings.seed,
        is_random=any(len(row) > 2 for row in rows),
        origin=_origin(material.train),
        task=kind,
        file=Path(config).name,
        meaning=meaning,
    )


def _how(config: Config, task: Task, material: Material) -> tuple[Callable[[int, int], Iterator[Drawn]], str]:
    """Return what draws a sample so many times, and what the draws are to a training."""
    source = material.train
    if task == "ldm":
        copies = counted(config.diffusion_train.augment_variants, "augmented copy", "augmented copies")
        meaning = f"of {copies} that are encoded once, each epoch takes one at random"
        return lambda index, draws: variant_draws(config, material, index, draws=draws), meaning
    if isinstance(source, PatchSource):
        meaning = "draw n has pose and values of epoch n, at the place of epoch 0"
        return lambda index, draws: patch_draws(config, material, source, index, draws=draws), meaning
    meaning = "draw n is that of epoch n"
    return lambda index, draws: image_draws(config, material, index, draws=draws), meaning


def _origin(source: Source) -> str:
    if isinstance(source, PatchSource):
        return f"{counted(len(source), 'patch', 'patches')} of {counted(len(source.datasets), 'dataset')}"
    return repr(source)


def write_draws(path: str | Path, found: Draws) -> Path:
    """Draw samples and their draws: a row each on a sheet (.png), or on a page (.html).

    All states of a sample but the first are drawn in one window of values.
    """
    path = Path(path)
    tiles = [tile for row in found.rows for tile in _tiles(row)]
    head = _head(found)
    legend = _legend(found)
    if path.suffix.lower() == ".html":
        facts = [
            ("task", found.task, f"of {found.file}"),
            ("samples", str(len(found.rows)), ""),
            ("seed", str(found.seed), "of the configuration"),
        ]
        sections = [
            element("div", "voxloom inspect --transforms", class_="over"),
            element("h1", "What a training would see"),
            element("p", head, class_="faint"),
            facts_section(facts),
            element("h2", "Draws"),
            legend_section(legend),
            sheet_section(tiles),
        ]
        return write_page(path, "Transforms · voxloom inspect", sections)
    columns = max(len(row) for row in found.rows) if len(found.rows) > 1 else None
    sheet = sheet_of(tiles, head, size=_SIZE, names=legend, columns=columns)
    write_png(path, sheet.transpose(2, 0, 1))
    return path


def _head(found: Draws) -> str:
    told = f"{found.task} of {found.file}: {counted(len(found.rows), 'sample')} of {found.origin}"
    told = f"{told}, seed {found.seed}; as in the file, prepared"
    if not found.is_random:
        return f"{told}; augment is off"
    number, noun = max(len(row) for row in found.rows) - 2, found.rows[0][-1].title.split()[0]
    return f"{told}, and {counted(number, noun)}: {found.meaning}"


def _material(config: Config, task: Task) -> Material:
    """Return what is trained on; of a latent model the images, for it is those that are augmented."""
    place = Place(Rank.from_environment(), torch.device("cpu"), lambda _: None)
    if task == "ldm" and names_volumes(config):
        return _tiles_of(config, place)
    kind = "pairs" if task == "ldm" else OF_TASK[task]
    made = DATA[f"volume_{kind}" if kind != "patches" and names_volumes(config) else kind]
    material: Material = made(task, config, None, place).material()
    return material


def _tiles_of(config: Config, place: Place) -> Material:
    """Return the tiles of volumes that a latent model encodes, and how they are prepared."""
    data = DATA["volume_latents"]("ldm", config, None, place)
    train, validation = data.sources
    plain = data.config.preparation.transform(config.diffusion_train.image_size)
    return Material(train=train, validation=validation, train_transform=plain, validation_transform=plain)


def _of_path(config: Config, task: Task, path: Path) -> Material:
    first = next(iter(parts_of(path).values())).source
    settings = config.settings(task)
    assert isinstance(settings, ImageTrainSettings)
    size = settings.image_size
    return Material(
        train=first,
        validation=first,
        train_transform=config.preparation.transform(size, config.augmentation),
        validation_transform=config.preparation.transform(size),
    )


def _tiles(row: Sequence[Drawn]) -> Iterator[Tile]:
    windows = _windows(row[1].sample)
    key = row[0].sample.key
    for place, each in enumerate(row):
        names = [name for name, field in each.sample.schema.items() if field.is_spatial]
        pictures = pictures_of(each.sample, names, windows if place else None)
        yield Tile(f"{key}: {each.title}" if place == 0 else each.title, pictures, each.told)


def _windows(prepared: Sample) -> Mapping[str, Window]:
    """Return the window of each image as it is prepared: draws are drawn in it too."""
    images = [name for name, field in prepared.schema.items() if field.is_spatial and field.kind != "mask"]
    return {name: window_of(prepared[name]) for name in images}


def _legend(found: Draws) -> list[tuple[str, tuple[int, int, int]]]:
    ids: dict[str, set[int]] = {}
    schema = found.rows[0][0].sample.schema
    for row in found.rows:
        for name, field in row[0].sample.schema.items():
            if field.kind == "mask" and row[0].sample[name].dtype.kind in "biu":
                ids.setdefault(name, set()).update(np.unique(row[0].sample[name]).tolist())
    named = named_ids(schema, ids)
    return named if len(named) <= _NAMED else []
