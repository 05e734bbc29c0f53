"""Predict with a trained model: a folder of images in, a folder of predictions out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.config import TASKS, Config, Task
from voxloom.errors import CheckpointError, ConfigError, DataError, MissingDataError
from voxloom.formats.store import Store
from voxloom.inference import TRANSLATORS, Predictor, Trained, make_output
from voxloom.jobs.bare import trained_from_weights
from voxloom.jobs.device import device_of
from voxloom.jobs.outputs import data_folders, refuse_among
from voxloom.sample import Sample, Schema
from voxloom.source import Map, Source, Subset
from voxloom.sources import Layout
from voxloom.sources.stored import image_fields, images_at, pairs_at, store_at
from voxloom.transforms import Preparation

__all__ = ["PredictOptions", "predict"]

_PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

Progress = Callable[[int, int], object]


class PredictOptions(Component):
    """How a prediction is made."""

    num_samples: Annotated[int, Setting(gt=0)] | None = None
    """Number of images to predict, evenly spread over the input; None predicts all."""
    samples_per_image: Annotated[int, Setting(gt=0)] = 1
    """Predictions of each image; with more than one, their mean and deviation are written."""
    solver: str | None = None
    """Solver of a latent model; None takes that of the training configuration."""
    steps: Annotated[int, Setting(gt=0)] | None = None
    """Steps of the solver; None takes those of the training configuration."""
    seed: int = 42
    """From which all noise derives, with the image's name."""
    batch_size: Annotated[int, Setting(gt=0)] = 8
    """Images at once; it does not change a prediction."""
    num_workers: Annotated[int, Setting(ge=0)] = 0
    """Processes that read ahead."""
    original_size: bool = False
    """Give outputs in the size of the input file."""
    precision: str = "fp32"
    """Arithmetic of the networks: fp32, bf16 or fp16."""
    device: str | None = None
    """Device to compute on; None takes a GPU where there is one."""
    overwrite: bool = False
    """Replace predictions that are there already."""


def predict(
    task: Task,
    checkpoint: str | Path,
    output: str | Path,
    *,
    input_dir: str | Path | None = None,
    target_dir: str | Path | None = None,
    config: Config | None = None,
    options: PredictOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Predict every image of a folder and return what ``predict.json`` says.

    Parameters
    ----------
    task
        ``vae`` reconstructs; ``ldm``, ``regression`` and ``pix2pix`` translate.
    checkpoint
        A run's folder (its best checkpoint), a checkpoint file, or exported weights.
    output
        A new folder for the results.
    input_dir
        Folder or store of images (conditions). None takes the validation part of the data that the
        run was trained on, with its targets.
    target_dir
        Folder or store of the targets of `input_dir`, where they are known. A store of pairs as
        `input_dir` has them already.
    config
        Tells what bare weights belong to; a checkpoint knows by itself.
    options
        Everything else.
    progress
        Told (done, total) in images.

    Raises
    ------
    CheckpointError
        When the checkpoint is of another task.
    OutputExistsError
        When the output holds something, or lies within the input.
    """
    options = options or PredictOptions()
    device = device_of(options.device)
    trained = _trained(task, checkpoint, config, device)
    if trained.task != task:
        raise CheckpointError(
            f"{trained.path} is a checkpoint of task {trained.task!r}: expected one of {task!r}. "
            f"Use: voxloom predict {trained.task} --checkpoint {trained.path}"
        )
    if options.precision not in _PRECISIONS:
        raise ConfigError(f"precision {options.precision!r}: expected one of {', '.join(_PRECISIONS)}.")
    source = _source(task, trained, input_dir, target_dir)
    source = _thinned(source, options.num_samples)
    output = Path(output)
    named = [folder for folder in (input_dir, target_dir) if folder is not None]
    cure = "Name a folder outside it (--output-dir)."
    refuse_among(output, named or data_folders(_layout(trained)), cure)
    translator = TRANSLATORS[task](trained, seed=options.seed, solver=options.solver, steps=options.steps)
    if options.samples_per_image > 1 and not translator.is_random:
        raise ConfigError(
            f"samples_per_image {options.samples_per_image}: this model gives the same prediction each time, "
            "so there is no deviation to show. Train a flow with start_noise above 0 or start_from noise, "
            "or a ddpm."
        )
    predictor = Predictor(
        translator,
        Preparation.model_validate(trained.config.get("preparation", {})),
        _size(task, trained),
        device=device,
        precision=_PRECISIONS[options.precision],
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        num_samples=options.samples_per_image,
        original_size=options.original_size,
    )
    make_output(output, overwrite=options.overwrite)
    given = "original" if task == "vae" else "condition"
    facts = {"task": task, "checkpoint": str(trained.path), "step": trained.facts.get("step")}
    return predictor.run(source, output, given=given, facts=facts, progress=progress)


def _trained(task: Task, checkpoint: str | Path, config: Config | None, device: torch.device) -> Trained:
    try:
        return Trained.load(checkpoint, device=device)
    except CheckpointError:
        if config is None:
            raise
    trained = trained_from_weights(task, checkpoint, config)
    for model in trained.models.values():
        model.to(device)
    return trained


def _source(
    task: Task, trained: Trained, input_dir: str | Path | None, target_dir: str | Path | None
) -> Source:
    if input_dir is None:
        return _held_out(trained, "images" if task == "vae" else "pairs")
    layout = _layout(trained)
    store = store_at(input_dir)
    if store is not None and len(image_fields(store)) > 1:
        return _stored(task, layout, store, target_dir)
    if task == "vae":
        return images_at(input_dir, layout.read, field="original")
    if target_dir is None:
        return images_at(input_dir, layout.read, field="condition")
    return pairs_at(target_dir, input_dir, layout.read)


def _stored(task: Task, layout: Layout, store: Store, target_dir: str | Path | None) -> Source:
    """Return what is predicted of a store with several fields of images."""
    if task == "vae":
        return Map(layout.images(store.path), _rename)
    if target_dir is None:
        return layout.pairs(store.path)
    raise ConfigError(
        f"{store.path} has several fields of images, so it holds its own targets: leave out --target-dir, or "
        "name a store with one field of images."
    )


def _held_out(trained: Trained, kind: str) -> Source:
    """The validation part of the data that the run was trained on."""
    if not trained.split:
        raise ConfigError(
            f"{trained.path} knows no training data: name the images to predict with --input-dir."
        )
    if "share" in trained.split:
        raise ConfigError(
            f"{trained.path} was trained on volumes: name one to predict with --input and where it is "
            "written with --output, or images with --input-dir."
        )
    layout, wanted = _layout(trained), set(trained.split["validation"])
    base = layout.val_dir or layout.data_base_dir
    try:
        source: Source = layout.pairs(base) if kind == "pairs" else layout.images(base)
    except DataError as error:
        raise type(error)(
            f"{error}\nThe validation images of the training are looked for there; "
            "to predict others, name their folder (--input-dir)."
        ) from error
    if lost := sorted(wanted - set(source.keys)):
        raise MissingDataError(
            f"{len(lost)} of {len(wanted)} validation images of the training are gone from {base}, first "
            f"{lost[0]!r}. Bring them back, or name the images to predict with --input-dir."
        )
    source = Subset(source, [i for i, key in enumerate(source.keys) if key in wanted])
    return Map(source, _rename) if kind == "images" else source


def _layout(trained: Trained) -> Layout:
    return Layout(**{n: v for n, v in trained.config.items() if n in Layout.model_fields})


def _rename(sample: Sample) -> Sample:
    field = sample.schema["image"].model_copy(update={"name": "original"})
    return Sample(sample.key, Schema([field]), {"original": sample["image"]})


def _thinned(source: Source, number: int | None) -> Source:
    if number is None or number >= len(source):
        return source
    return Subset(source, [i * len(source) // number for i in range(number)])


def _size(task: Task, trained: Trained) -> tuple[int, int]:
    size = trained.config[TASKS[task]]["patch_size"]
    if len(size) != 2:
        raise ConfigError(
            f"{trained.path} sees patches of {' x '.join(map(str, size))} voxels: expected a volume, "
            "not images. Name one with --input, and where it is written with --output."
        )
    return int(size[0]), int(size[1])
