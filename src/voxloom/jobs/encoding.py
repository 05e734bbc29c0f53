"""Encode: the images of any source into a store of latents, and from the store back to its images."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field as Setting
from pydantic import ValidationError

from voxloom.conversion import convert
from voxloom.conversion.journal import Journal
from voxloom.conversion.target import apart
from voxloom.errors import (
    ConfigError,
    DataError,
    Interrupted,
    MissingDataError,
    OutputExistsError,
    VoxloomError,
)
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS
from voxloom.formats.opened import check_size
from voxloom.formats.store import Store
from voxloom.inference import EncodedImages, GreyImages, ImageEncoder, Trained
from voxloom.inference.grey_images import KeyedImages
from voxloom.jobs.conversion import progress_of
from voxloom.jobs.device import device_of
from voxloom.jobs.reading import SourceOptions, open_named, require_checkpoint
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.models.perceptual import PerceptualConfig
from voxloom.ranks import Rank
from voxloom.source import Source
from voxloom.sources import ReadPolicy
from voxloom.sources.decode import Color

__all__ = ["EncodeOptions", "check_files", "encode", "encoded_source"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, int], object]

_SHARDS = 1000
_SHARD_BYTES = 2**26
_SHARD_SAMPLES = 256
"""Samples of a shard: what a kill may cost, unless that makes more shards than `_SHARDS`."""


class EncodeOptions(SourceOptions):
    """How a source is found and encoded."""

    batch_size: Annotated[int, Setting(gt=0)] = 16
    """Images at once; beyond rounding it changes nothing."""
    num_workers: Annotated[int, Setting(ge=0)] = 0
    """Processes that read and prepare ahead."""
    device: str | None = None
    """Device to compute on; None takes a GPU where there is one."""
    format: str = "memmap"
    """How a shard lies on disk, a name of ``voxloom.formats.FORMATS``."""
    on_error: Literal["fail", "skip"] = "fail"
    """Whether a sample that cannot be read ends the encoding, or is left out and listed."""
    color: Color | None = None
    """Images of several channels: ``error``, or ``luma`` for their brightness; None as in the training."""
    features: Path | None = None
    """Weights of a perceptual network, whose features are kept beside the latents."""
    features_backbone: Literal["squeezenet1_1", "vgg16"] = "squeezenet1_1"
    """Which network `features` are the weights of."""
    overwrite: bool = False
    """Replace a store that is there already."""


def encode(
    checkpoint: str | Path,
    source_path: str | Path | None,
    output: str | Path,
    *,
    options: EncodeOptions | None = None,
    progress: Progress | None = None,
) -> Store | None:
    """Encode all images of a source to posterior means and deviations, and return their store.

    The store is keyed by what it is made of: the content of the weights, the preparation and the images.
    What an earlier call with the same has begun is gone on with, and what it has finished is taken as it
    is. Under a launcher (torchrun, srun) each rank encodes its share of the shards.

    Parameters
    ----------
    checkpoint
        A run's folder (its best checkpoint), a checkpoint file, or exported weights: of a VAE, or of a
        latent model, which carries its autoencoder along.
    source_path
        What `open_named` opens; None where `options` names folders.
    output
        Folder of the store.
    options
        Everything else.
    progress
        Told (samples, total, bytes).

    Returns
    -------
    Store or None
        For each image field ``x`` the fields ``x_mu`` and ``x_sigma``, float32 (C, h, w), and with
        `features` the vector ``x_features`` (D,); then the
        classes, attributes and texts of the source. ``manifest.facts["encoded"]`` says how they came
        about. None for a rank whose part is done while others have to write theirs.

    Raises
    ------
    CheckpointError
        When the checkpoint has no autoencoder of images.
    OutputExistsError
        When the output holds something else, latents of other weights for instance, or lies within the
        input.
    DataError
        When a source is empty or an image cannot be read.
    Interrupted
        On Ctrl-C, and on SIGTERM; it says how much is kept.
    """
    options, output = options or EncodeOptions(), Path(output)
    for folder in _folders(source_path, options):
        apart(output, folder)
    source = open_named(source_path, options)
    if not len(source):
        raise MissingDataError(
            f"{source_path or source!r}: no samples. Expected at least one image to encode."
        )
    trained = _trained(checkpoint, options.device)
    encoder = _with_features(ImageEncoder.of(trained).reading(options.color), options)
    facts = {"checkpoint": str(trained.path), "input": _input(source_path, options)}
    images = EncodedImages(
        source, encoder, batch_size=options.batch_size, num_workers=options.num_workers, facts=facts
    )
    with closing(images):
        return _stored(images, output, options, progress)


def _stored(
    images: EncodedImages, output: Path, options: EncodeOptions, progress: Progress | None
) -> Store | None:
    if not options.overwrite:
        wanted = {**images.encoder.facts, "identity": images.provenance.identity}
        if _found(output, wanted):
            logger.info("latents of %d samples found in %s", len(images), output)
            return Store(output)
    settings = {"format": options.format, "on_error": options.on_error}
    how = {"resume": not options.overwrite, "overwrite": options.overwrite, "progress": progress}
    try:
        with interrupted_by_sigterm():
            report = convert(images, output, samples_per_shard=_shard_samples(images), **how, **settings)  # type: ignore[arg-type]
    except KeyboardInterrupt as stop:
        raise Interrupted(_state(output)) from stop
    return report.store() if report.finished else None


def _trained(checkpoint: str | Path, device: str | None) -> Trained:
    require_checkpoint(checkpoint)
    return Trained.load(checkpoint, device=device_of(device, Rank.from_environment()))


def _with_features(encoder: ImageEncoder, options: EncodeOptions) -> ImageEncoder:
    if options.features is None:
        return encoder
    config = PerceptualConfig(weights=options.features, backbone=options.features_backbone)
    perceptual = config.build().to(encoder.device).eval()
    try:
        perceptual.pooled(torch.zeros(1, 1, *encoder.size, device=encoder.device))
    except RuntimeError as error:  # its layers leave nothing of so small an image
        raise ConfigError(
            f"features of {config.backbone} at {' x '.join(map(str, encoder.size))} pixels: {error}. "
            "Expected a checkpoint with a larger patch_size, for instance 64 x 64; or leave features out."
        ) from error
    return replace(encoder, perceptual=perceptual)


def _folders(source_path: str | Path | None, options: SourceOptions) -> list[Path]:
    if source_path is not None:
        return [Path(source_path)]
    return [*options.images.values(), *options.masks.values()]


def _input(source_path: str | Path | None, options: SourceOptions) -> dict[str, Any]:
    """Return how the source is opened again, from any folder."""
    told = {name: getattr(options, name) for name in SourceOptions.model_fields}
    for name in ("images", "masks"):
        told[name] = {field: os.path.abspath(folder) for field, folder in told[name].items()}
    path = None if source_path is None else os.path.abspath(source_path)
    return {"path": path, "options": SourceOptions(**told).model_dump(mode="json")}


def _shard_samples(images: EncodedImages) -> int:
    """Return the samples of a shard, which depend on the source and the latents' size alone."""
    latents = [field for field in images.schema.values() if field.kind == "latent"]
    size = 4 * sum(_extent(field.shape or ()) for field in latents)
    return max(1, min(max(_SHARD_SAMPLES, -(-len(images) // _SHARDS)), _SHARD_BYTES // max(1, size)))


def _extent(shape: Sequence[int]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product


def _found(output: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether the wanted latents lie there whole; what else lies there is refused.

    Raises
    ------
    OutputExistsError
        When it is no store of latents, or the beginning or the whole of another one.
    """
    whole = (output / MANIFEST).exists()
    if not whole and not (output / JOURNAL).is_dir():
        return False  # new, or something that the conversion refuses
    facts = Store(output).manifest.facts if whole else _begun(output)
    if facts is None:
        return False
    told = facts.get("encoded")
    if not isinstance(told, dict):
        raise OutputExistsError(
            f"{output} holds a store that `voxloom encode` has not written. Name another folder, or replace "
            "it with overwrite (--overwrite)."
        )
    if told.get("identity") != wanted["identity"]:
        raise OutputExistsError(
            f"{output} holds latents of {_differing(told, wanted)}. Name another folder, or replace "
            "them with overwrite (--overwrite)."
        )
    if whole:
        check_files(output)
    return whole


def check_files(output: Path) -> None:
    """Look at the sizes of a finished store's files.

    Raises
    ------
    DamagedStoreError
        When one is gone or cut.
    """
    for file in (file for shard in Store(output).manifest.shards for file in shard.files):
        check_size(output / SHARDS / file.name, file)


def _begun(output: Path) -> dict[str, Any] | None:
    """Return the facts of a store that was begun, or None where no plan says of what."""
    try:
        begun = Journal(output).plan()
    except DataError:
        return None
    return None if begun is None else begun[0].facts()


def _differing(told: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    words = {
        "weights": "other weights",
        "preparation": "another preparation",
        "size": "another size",
        "read": "another reading of the images",
        "features": "other features",
    }
    found = [word for name, word in words.items() if told.get(name) != wanted.get(name)]
    return " and ".join(found) or "other images, or of images that were changed or moved since"


def _state(output: Path) -> str:
    if not (output / JOURNAL).is_dir():
        return "stopped before anything was written."
    progress = progress_of(output)
    return f"stopped: {progress} of {output} {progress.verb} finished and kept."


def encoded_source(store: Store) -> Source | None:
    """Open the images that a store of latents was made of again.

    Parameters
    ----------
    store
        What `encode` wrote.

    Returns
    -------
    Source or None
        Sample i has the images of sample i of the store, float32 (1, height, width) as the files hold
        them; reading one that is gone raises MissingDataError. None where the store does not say what
        it was made of, or that cannot be opened any more: the log tells why.
    """
    told = store.manifest.facts.get("encoded")
    try:
        path, options = told["input"]["path"], SourceOptions.model_validate(told["input"]["options"])  # type: ignore[index]
        policy = ReadPolicy.model_validate(told["read"])  # type: ignore[index]
    except (TypeError, KeyError, ValidationError):
        logger.info("%s does not say which images it was made of.", store.path)
        return None
    try:
        return KeyedImages(GreyImages(open_named(path, options), policy), store.keys)
    except VoxloomError as error:
        logger.info("the images that %s was made of cannot be opened any more: %s", store.path, error)
        return None
