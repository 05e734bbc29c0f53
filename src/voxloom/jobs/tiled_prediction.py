"""Predict a volume with a trained segmenter: OME-Zarr in, OME-Zarr out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from voxloom.component import Component
from voxloom.conversion.dask import answers, require_distributed
from voxloom.errors import ConfigError
from voxloom.inference.segmentation import seen_beyond, segmentation_model
from voxloom.inference.tiling import TiledReport, VolumeTask, predict_volume
from voxloom.inference.trained import Trained
from voxloom.inference.volume_plan import TiledOptions
from voxloom.jobs.device import device_of
from voxloom.jobs.input_paths import input_paths
from voxloom.jobs.prediction_input import check_input
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.ranks import Rank
from voxloom.volumes import Volume

__all__ = [
    "PRECISIONS",
    "InputOptions",
    "channel_of",
    "predict_on_dask",
    "predict_segmentation",
    "tiled_options",
]

Progress = Callable[[int, int], object]
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class InputOptions(Component):
    """How the input is opened, and where the network computes."""

    channels: tuple[str, ...] | None = None
    """Names or numbers of the input's channels to show to the network; None for all."""
    unit: str | None = None
    """Unit of an input whose metadata tell none; None: as in training."""
    spacing: tuple[float, float, float] | None = None
    """Distance of voxels along z, y, x in nm, for an input without metadata."""
    device: str | None = None
    """Device to compute on; None takes a GPU where there is one."""
    any_type: bool = False
    """Predict although the input is of another type than what the network learned from."""
    precision: str = "fp32"
    """Arithmetic of the network: fp32, bf16 or fp16."""
    dask: str | None = None
    """``local``, or the address of a Dask scheduler that shall do the work."""


def predict_segmentation(
    checkpoint: str | Path,
    volume: str | Mapping[str, str],
    output: str,
    *,
    settings: dict[str, Any] | None = None,
    options: InputOptions | None = None,
    progress: Progress | None = None,
) -> TiledReport:
    """Predict the classes of each voxel of a volume. A call that was cut off goes on when made again.

    Parameters
    ----------
    checkpoint
        A run's folder (its best checkpoint), a checkpoint file, or exported weights.
    volume
        Path or URL of what is read; where the network learned from several volumes at each place, that of
        each input by name. The first input's is the one that is predicted.
    output
        Path or URL of the new OME-Zarr.
    settings
        Settings of `TiledOptions`; what is not stated is as in training.
    options
        Everything else.
    progress
        Told (done, total) in tiles, or in units on Dask.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another task.
    ConfigError
        If a setting cannot be meant, or the input is unlike what the network learned from.
    OutputExistsError, SaveError, VolumeReadError, Interrupted
        As `predict_volume` does.
    """
    options, rank = options or InputOptions(), Rank.from_environment()
    if options.precision not in PRECISIONS:
        raise ConfigError(f"precision {options.precision!r}: expected one of {', '.join(PRECISIONS)}.")
    device = device_of(options.device, rank)
    trained = Trained.load(checkpoint, device=device)
    model = segmentation_model(trained, device=device, precision=PRECISIONS[options.precision])
    tiled = tiled_options({**seen_beyond(trained), **(settings or {})})
    raw = _opened(volume, trained, options)
    with interrupted_by_sigterm():
        if options.dask:
            return predict_on_dask(VolumeTask(model, raw, output, tiled), options.dask, progress=progress)
        return predict_volume(model, raw, output, options=tiled, rank=rank, progress=progress)


def _opened(given: str | Mapping[str, str], trained: Trained, options: InputOptions) -> list[Volume]:
    """Open the volume, or that of each input, and check that the network can know it."""
    channels = None if options.channels is None else [channel_of(name) for name in options.channels]
    unit = options.unit or trained.config["segmentation_data"].get("unit")
    opened = {
        name: Volume.open(path, channels=channels, unit=unit, spacing=options.spacing)
        for name, path in input_paths(given, trained.facts).items()
    }
    first = next(iter(opened.values()))
    for name, volume in opened.items():
        check_input(volume, trained, name=name, any_type=options.any_type)
        if (first.bounding_box & volume.bounding_box) is None:
            raise ConfigError(
                f"{volume.path} has no place in common with {first.path}: expected volumes of one sample, in "
                "the same coordinates. `voxloom inspect` tells where each lies."
            )
    return list(opened.values())


def predict_on_dask(task: VolumeTask, scheduler: Any, *, progress: Progress | None = None) -> TiledReport:
    """Predict the units of a volume as tasks of a cluster, whose machines see the same stores.

    Parameters
    ----------
    task
        What to predict.
    scheduler
        ``local`` for a cluster of this machine's own, the address of a scheduler, or a
        ``distributed.Client``.
    progress
        Told (done, total) in units.

    Raises
    ------
    MissingExtraError
        When distributed is not installed.
    DistributedError
        When the scheduler cannot be reached.
    LoadingError
        When workers die again and again.
    """
    require_distributed()  # before anything is made
    task.begin()
    missing, done = task.missing(), 0
    for done, _ in enumerate(answers(scheduler, _predict, (task, missing), gave_up=_GAVE_UP), 1):
        if progress is not None:
            progress(done, len(missing))
    return task.report(done, is_finished=task.complete())


_GAVE_UP = (
    "a unit",
    "Take smaller units or tiles. What is finished is kept: give the same command again to go on.",
)


def _predict(number: int, task: VolumeTask) -> int:
    (predicted,) = task.run([number])
    return predicted


def tiled_options(settings: dict[str, Any]) -> TiledOptions:
    """Return checked settings; what is wrong is a ConfigError."""
    try:
        return TiledOptions(**settings)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in error.errors())
        raise ConfigError("; ".join(each.replace("Value error, ", "") for each in told)) from error


def channel_of(name: str) -> str | int:
    """Return a channel's name, or its number."""
    return int(name) if name.isdecimal() else name
