"""Stores of vectors by the names of their groups, and those that are made of folders of images."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from voxloom.analysis.latents.keys import key_place
from voxloom.analysis.latents.points import Points
from voxloom.cache import cache_folder
from voxloom.component import Component
from voxloom.config import Config
from voxloom.conversion import convert
from voxloom.errors import CheckpointError, ConfigError, DataError, Interrupted, MissingDataError
from voxloom.formats.manifest import MANIFEST
from voxloom.formats.store import Store
from voxloom.inference import EncodedImages, ImageEncoder, Trained
from voxloom.jobs.bare import trained_from_weights
from voxloom.jobs.device import device_of
from voxloom.jobs.encoding import check_files
from voxloom.jobs.reading import open_named, require_checkpoint, require_store
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.source import Source
from voxloom.sources.decode import Color

__all__ = ["FolderOptions", "encode_folders", "first_points", "key_row", "named_stores", "open_latents"]

logger = logging.getLogger(__name__)

_SHARD_SAMPLES = 256

Progress = Callable[[int, int, int], object]

_GROUP = "Name them with --group NAME=STORE."


def named_stores(paths: Sequence[Path], named: Mapping[str, Path] | None = None) -> dict[str, Path]:
    """Return paths by the names of their groups: the folders' names, as long as needed to differ.

    Examples
    --------
    >>> list(named_stores([Path("a/latents"), Path("b/latents")], {"ct": Path("c")}))
    ['a/latents', 'b/latents', 'ct']
    """
    found = dict(named or {})
    names = [path.resolve().name for path in paths]
    if len({*names, *found}) < len(names) + len(found):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    first = dict(zip(names, paths, strict=True))
    if len({*first, *found}) < len(paths) + len(found):
        raise ConfigError(f"{', '.join(map(str, paths))}: expected stores of different names. {_GROUP}")
    return first | found


def open_latents(paths: Mapping[str, Path]) -> dict[str, Source]:
    """Open stores by the names of their groups.

    Raises
    ------
    MissingDataError
        When one is not there; a near name is told.
    DataError
        When one is no finished store.
    """
    for path in paths.values():
        require_store(path)
    return {name: Store(path) for name, path in paths.items()}


def key_row(points: Points, group: str, key: str) -> int:
    """Return the row of a key in a group; the ending of an image file may be left out.

    Raises
    ------
    MissingDataError
        When there is no such key, a near one is told; or when several are meant.
    """
    rows = points.rows_of(group)
    return int(rows[key_place(points.parts[group].source.keys, key, group)])


def first_points(sources: Mapping[str, Source], most: int | None) -> dict[str, Source]:
    """Return the first points of each group, or all of them."""
    if most is None:
        return dict(sources)
    return {name: source if len(source) <= most else source[:most] for name, source in sources.items()}


class FolderOptions(Component):
    """How folders of images are encoded."""

    size: tuple[int, int] | None = None
    """Height and width that images are brought to; None for that of the training."""
    max_images: Annotated[int, Field(ge=1)] | None = None
    """Most images of a folder, its first ones by name; None takes all."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Images at once."""
    device: str | None = None
    """Device to compute on; None takes a GPU where there is one."""
    color: Color | None = None
    """Images of several channels: ``error``, or ``luma`` for their brightness; None as in the training."""


def encode_folders(
    folders: Mapping[str, Path],
    checkpoint: str | Path,
    *,
    config: Config | None = None,
    options: FolderOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, Source]:
    """Encode folders of images, or find their latents in the cache folder, by the names of their groups.

    Latents are kept under a digest of the weights, the preparation and the images; a stopped call goes on.

    Parameters
    ----------
    folders
        Group name -> folder of images.
    checkpoint
        A run's folder, a checkpoint, exported weights, or bare weights of an older system.
    config
        What bare weights belong to; a checkpoint knows by itself.
    options
        Everything else.
    progress
        Told (samples, total, bytes) of each folder.

    Raises
    ------
    CheckpointError
        When the checkpoint has no autoencoder of images, or bare weights come without a configuration.
    MissingDataError
        When a folder is not there or holds no image.
    Interrupted
        On Ctrl-C; what is encoded is kept.
    """
    options = options or FolderOptions()
    encoder = _encoder(checkpoint, config, options)
    try:
        with interrupted_by_sigterm():
            return {name: _encoded(folder, encoder, options, progress) for name, folder in folders.items()}
    except KeyboardInterrupt as stop:
        raise Interrupted(
            "stopped: the latents so far are kept. Give the same command again to go on."
        ) from stop


def _encoder(checkpoint: str | Path, config: Config | None, options: FolderOptions) -> ImageEncoder:
    require_checkpoint(checkpoint)
    device = device_of(options.device)
    try:
        trained = Trained.load(checkpoint)
    except CheckpointError:
        if config is None:
            raise
        trained = trained_from_weights("vae", checkpoint, config)
    encoder = ImageEncoder.of(trained).reading(options.color)
    encoder.autoencoder.to(device)
    if options.size is None:
        return encoder
    encoder.autoencoder.check_size(*options.size)
    return replace(encoder, size=options.size)


def _encoded(
    folder: Path, encoder: ImageEncoder, options: FolderOptions, progress: Progress | None
) -> Source:
    source = open_named(folder)
    if not len(source):
        raise MissingDataError(f"{folder}: no images. Expected at least one to encode.")
    chosen = source if options.max_images is None else source[: options.max_images]
    facts = {"input": {"path": os.path.abspath(folder), "options": {}}}
    with closing(EncodedImages(chosen, encoder, batch_size=options.batch_size, facts=facts)) as images:
        place = cache_folder() / "latents" / f"encoded-{images.provenance.identity}"
        if not _is_whole(place):
            convert(
                images,
                place,
                format="memmap",
                samples_per_shard=_SHARD_SAMPLES,
                resume=not (place / MANIFEST).exists(),
                overwrite=(place / MANIFEST).exists(),
                progress=progress,
            )
    return Store(place)


def _is_whole(place: Path) -> bool:
    """Whether latents lie there that can be taken; what is damaged in a cache is made again."""
    if not (place / MANIFEST).exists():
        return False
    try:
        check_files(place)
    except DataError as error:
        logger.warning("encoding again: %s", error)
        return False
    return True
