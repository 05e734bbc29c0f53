"""``voxloom train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

__all__ = ["command", "overrides_of"]

TASK_HELP = {
    "vae": "Train a KL-VAE on single images.",
    "ldm": "Train a conditional latent model on pairs.",
    "regression": "Train a U-Net that maps one image of a pair to the other.",
    "pix2pix": "Train a U-Net against a patch discriminator on pairs.",
    "segmentation": "Train a U-Net to tell the classes of voxels, on patches of volumes.",
}

# option -> dotted key of the configuration; {train} and {volumes} are the task's sections
KEYS = {
    "batch_size": "{train}.batch_size",
    "lr": "{train}.lr",
    "max_epochs": "{train}.max_epochs",
    "kl_weight": "autoencoder_train.kl_weight",
    "num_workers": "num_workers",
    "cache_rate": "cache_rate",
    "seed": "seed",
    "subset_size": "subset_size",
    "train_split": "train_split",
    "val_dir": "val_dir",
    "data_dir": "data_base_dir",
    "data_source": "data_source",
    "split": "{volumes}.split",
    "run_dir": "run_dir",
    "gpus": "gpus",
}
SECTIONS = {
    "vae": "autoencoder_train",
    "ldm": "diffusion_train",
    "regression": "regression_train",
    "pix2pix": "pix2pix_train",
    "segmentation": "segmentation_train",
}


_TO_VOLUME = "voxloom predict {task} --checkpoint {run} --input raw.zarr --output pred.zarr"
_TO_FOLDER = "voxloom predict {task} --checkpoint {run} --output-dir {run}/predictions"
NEXT = {
    **dict.fromkeys(SECTIONS, _TO_FOLDER),
    "segmentation": _TO_VOLUME,
}
"""What one does next with a run, where it was not on volumes."""

_OPTIONS = {
    "config_file": click.option(
        "-c",
        "--config-file",
        multiple=True,
        type=click.Path(),
        help="Configuration: JSON, YAML or TOML. Later files beat earlier ones.",
    ),
    "environment_file": click.option(
        "-e", "--environment-file", type=click.Path(), help="Paths, read before the configuration."
    ),
    "data_dir": click.option(
        "--data-dir", help="Folder with one folder of images for each side; or a store, or an OME-Zarr."
    ),
    "data_source": click.option("--data-source", help="A VAE's images: one side's folder name, or both."),
    "val_dir": click.option("--val-dir", help="Folder or store like --data-dir whose images validate."),
    "split": click.option("--split", help="CSV of volumes and labels that train and that validate."),
    "run_dir": click.option("--run-dir", help="Folder of the run."),
    "batch_size": click.option("--batch-size", type=int, help="Samples in a batch of one process."),
    "lr": click.option("--lr", type=float, help="Learning rate."),
    "max_epochs": click.option("--max-epochs", type=int, help="Passes over the training samples."),
    "kl_weight": click.option("--kl-weight", type=float, help="Weight of the VAE's KL divergence."),
    "num_workers": click.option("--num-workers", type=int, help="Threads or processes that read ahead."),
    "cache_rate": click.option(
        "--cache-rate", type=float, help="Share of the images kept in memory, 0 to 1."
    ),
    "seed": click.option("--seed", type=int, help="From which everything random derives."),
    "subset_size": click.option("--subset-size", type=int, help="Use no more than this many images."),
    "train_split": click.option(
        "--train-split", type=float, help="Share of the images that trains, between 0 and 1."
    ),
    "gpus": click.option("-g", "--gpus", type=int, help="Processes to train with, one a GPU."),
    "resume": click.option(
        "--resume",
        is_flag=False,
        flag_value="auto",
        default=None,
        metavar="[RUN|CHECKPOINT]",
        help="Go on from a run or a checkpoint; alone: from the last one of this run, if it has any.",
    ),
    "overwrite": click.option("--overwrite", is_flag=True, help="Replace the run if it is there already."),
    "assignments": click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set any key, for instance --set autoencoder_def.channels=[32,64].",
    ),
}

_OF_IMAGES = {"data_dir", "data_source", "val_dir", "kl_weight", "cache_rate", "subset_size", "train_split"}


def _options(task: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of a task."""
    others = _OF_IMAGES if task == "segmentation" else ()

    def add(function: Callable[..., None]) -> Callable[..., None]:
        for name, option in reversed(_OPTIONS.items()):
            function = function if name in others else option(function)
        return function

    return add


@click.group(name="train", help="Train a VAE, a latent model, a translator or a segmenter.")
def command() -> None:
    """Group of the tasks."""


def _task_command(task: str) -> click.Command:
    @click.command(name=task, help=TASK_HELP[task])
    @_options(task)
    def run(**given: Any) -> None:
        train_command(task, **given)

    return run


for _task in TASK_HELP:
    command.add_command(_task_command(_task))


def train_command(
    task: str,
    *,
    config_file: tuple[str, ...],
    environment_file: str | None,
    resume: str | None,
    overwrite: bool,
    assignments: tuple[str, ...],
    **given: Any,
) -> None:
    """Load the configuration, start the other processes if there are to be any, and train."""
    from voxloom.config import load_config
    from voxloom.errors import VolumeMetadataError
    from voxloom.ranks import Rank

    files = [*([environment_file] if environment_file else []), *config_file]
    if run := _run_of(resume):
        # A run knows its configuration; what is said beside it counts more.
        files = [str(run / "config.json"), *files]
        given = {**given, "run_dir": given["run_dir"] or str(run)}
    config = load_config(task, files, overrides=overrides_of(task, given, assignments))  # type: ignore[arg-type]
    rank = Rank.from_environment()
    # Under torchrun, even with one process, the user has said how many there are.
    if config.gpus > 1 and rank.world == 1 and "RANK" not in os.environ:
        _launch(config.gpus)
    from voxloom.jobs import train
    from voxloom.jobs.volume_rows import names_volumes

    try:
        done = train(
            task,  # type: ignore[arg-type]
            config,
            resume=resume,
            overwrite=overwrite,
            show_progress=sys.stderr.isatty(),
            begun=lambda config: click.echo(
                _shown(config, task)
            ),  # after what can be wrong with data and run
        )
    except VolumeMetadataError as error:
        raise VolumeMetadataError(_with_keys(str(error), task)) from error
    if rank.is_main:
        click.echo(f"finished: {done.folder}")
        following = _TO_VOLUME if names_volumes(config) else NEXT[task]
        click.echo(f"next: {following.format(task=task, run=done.folder)}")


def _with_keys(text: str, task: str) -> str:
    """Return a message about a volume that names keys of the configuration, and not arguments of Python."""
    section = "segmentation_data" if task == "segmentation" else "volume_data"
    cure = f"--set {section}.unit=nanometer"
    return text.replace(", or spacing=(z, y, x) in nm", "").replace("unit='nanometer'", cure)


def _shown(config: Any, task: str) -> str:
    shown: str = yaml.safe_dump(config.shown(task), sort_keys=False, default_flow_style=None, width=100)
    return shown


def _run_of(resume: str | None) -> Path | None:
    """The folder of the run that is named, by itself or by one of its checkpoints."""
    if resume in (None, "auto"):
        return None
    path = Path(str(resume))
    candidates = [path, path.parent.parent] if path.parent.name == "checkpoints" else [path]
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def overrides_of(task: str, given: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the dotted keys and values that a command line sets; an option not given is None."""
    volumes = "segmentation_data" if task == "segmentation" else "volume_data"
    overrides = {
        KEYS[name].format(train=SECTIONS[task], volumes=volumes): value
        for name, value in given.items()
        if value is not None
    }
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.BadParameter(
                f"{assignment!r}: expected KEY=VALUE, for instance seed=1", param_hint="--set"
            )
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = str(error).partition("\n")[0]
            raise click.BadParameter(
                f"{assignment!r}: the value cannot be read ({reason})", param_hint="--set"
            ) from None
    return overrides


def _launch(processes: int) -> None:
    """Become torchrun with this same command line; it finds a free port by itself."""
    command_line = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", f"--nproc_per_node={processes}"),
        *("-m", "voxloom", *sys.argv[1:]),
    ]
    os.execv(sys.executable, command_line)
