"""Reconstruct or translate a volume with a trained model: OME-Zarr in, OME-Zarr out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxloom.config import Config, Task
from voxloom.errors import CheckpointError, ConfigError
from voxloom.inference.tiling import TiledReport, VolumeTask, predict_volume
from voxloom.inference.trained import Trained
from voxloom.inference.volume_translation import translation_model
from voxloom.jobs.device import device_of
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.jobs.tiled_prediction import PRECISIONS, InputOptions, channel_of, predict_on_dask, tiled_options
from voxloom.ranks import Rank
from voxloom.volumes import Volume

__all__ = ["predict_translation"]

Progress = Callable[[int, int], object]
_FIELD = {"vae": "image"}  # else the condition


def predict_translation(
    task: Task,
    checkpoint: str | Path,
    volume: str,
    output: str,
    *,
    settings: dict[str, Any] | None = None,
    how: dict[str, Any] | None = None,
    options: InputOptions | None = None,
    progress: Progress | None = None,
) -> TiledReport:
    """Reconstruct or translate a volume. A call that was cut off goes on when made again.

    The result has the input's type where that is uint8 or uint16, else float32, and values in the
    input's range. Its voxels are those that the model was trained on: of the input, where the spacing is
    the same.

    Parameters
    ----------
    task
        ``vae``, ``ldm``, ``regression`` or ``pix2pix``.
    checkpoint
        A run's folder (its best checkpoint), a checkpoint file, or exported weights.
    volume, output
        Path or URL of what is read, and of the new OME-Zarr.
    settings
        Settings of `TiledOptions`.
    how
        Seed, solver and steps of a latent model.
    options
        Everything else.
    progress
        Told (done, total) in tiles, or in units on Dask.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another task, or its values lead back to none of a volume.
    ConfigError
        If a setting cannot be meant.
    OutputExistsError, SaveError, VolumeReadError, Interrupted
        As `predict_volume` does.
    """
    options, rank = options or InputOptions(), Rank.from_environment()
    if options.precision not in PRECISIONS:
        raise ConfigError(f"precision {options.precision!r}: expected one of {', '.join(PRECISIONS)}.")
    device = device_of(options.device, rank)
    trained = Trained.load(checkpoint, device=device)
    if trained.task != task:
        raise CheckpointError(
            f"{trained.path} is a checkpoint of task {trained.task!r}: expected one of {task!r}. "
            f"Use: voxloom predict {trained.task} --checkpoint {trained.path}"
        )
    raw = _opened(volume, trained, options)
    spacing = raw.levels[0].grid.spacing
    model = translation_model(
        trained, spacing, device=device, precision=PRECISIONS[options.precision], how=how
    )
    tiled = tiled_options({**_as_trained(trained), **_written(raw), **(settings or {})})
    with interrupted_by_sigterm():
        if options.dask:
            return predict_on_dask(VolumeTask(model, raw, output, tiled), options.dask, progress=progress)
        return predict_volume(model, raw, output, options=tiled, rank=rank, progress=progress)


def _opened(volume: str, trained: Trained, options: InputOptions) -> Volume:
    data = trained.config.get("volume_data") or {}
    channels = None if options.channels is None else [channel_of(name) for name in options.channels]
    known = data.get("channels", {}).get(_FIELD.get(trained.task, "condition"))
    raw = Volume.open(
        volume,
        channels=[known] if channels is None and known is not None else channels,
        unit=options.unit or data.get("unit"),
        spacing=options.spacing,
    )
    if len(raw.channels) != 1:
        raise ConfigError(
            f"{raw.path} has {len(raw.channels)} channels ({', '.join(raw.channels)}): expected one. Choose "
            "it with channels (--channel NAME)."
        )
    return raw


def _as_trained(trained: Trained) -> dict[str, Any]:
    data = Config.model_validate({"volume_data": trained.config.get("volume_data") or {}}).volume_data
    outside = "mirror" if data.outside == "refuse" else data.outside
    return {"outside": outside, "fill": data.fill, "interpolation": data.interpolation}


def _written(raw: Volume) -> dict[str, Any]:
    dtype = raw.dtype.name if raw.dtype.name in ("uint8", "uint16") else "float32"
    return {"write": ("values",), "dtype": dtype, "value_range": (0.0, 255.0)}
