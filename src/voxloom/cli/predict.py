"""``voxloom predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from voxloom.cli.predict_volume import is_volume_path, of_volumes, segmentation, translate_volume

__all__ = ["command"]

_POSITIVE = click.IntRange(min=1)
OF_VOLUMES = ("overlap", "shard", "channel", "unit", "dask")
TASKS = {
    "vae": "Reconstruct images through a VAE's posterior mean.",
    "ldm": "Translate conditions with a latent model.",
    "regression": "Translate conditions with a regression U-Net.",
    "pix2pix": "Translate conditions with pix2pix.",
}


@click.group(name="predict", help="Reconstruct or translate images, or segment a volume.")
def command() -> None:
    """Group of the tasks."""


def _task_command(task: str) -> click.Command:
    @click.command(name=task, help=TASKS[task])
    @click.option(
        "--checkpoint", required=True, type=click.Path(), help="A run, a checkpoint, or exported weights."
    )
    @click.option(
        "--input-dir",
        "--input",
        "input_dir",
        type=click.Path(),
        help="What to predict: a folder or a store of images, or a volume (OME-Zarr, N5); without it, the "
        "run's own validation images.",
    )
    @click.option(
        "--target-dir",
        type=click.Path(),
        hidden=task == "vae",
        help="Their targets, where known: a folder or a store.",
    )
    @click.option(
        "-o",
        "--output-dir",
        "--output",
        "output_dir",
        type=click.Path(),
        help="New folder for the results, of a volume the new OME-Zarr.  [default: predictions_<run>]",
    )
    @click.option(
        "-c",
        "--config-file",
        type=click.Path(),
        multiple=True,
        help="Configuration that bare weights of an older system were trained with; else not needed.",
    )
    @click.option("--num-samples", type=_POSITIVE, help="Number of images, evenly spread.  [default: all]")
    @click.option(
        "--samples-per-image",
        type=_POSITIVE,
        default=1,
        show_default=True,
        hidden=task != "ldm",
        help="Predictions of each image; more than one gives mean and deviation.",
    )
    @click.option("--solver", hidden=task != "ldm", help="ddpm, ddim, dpmpp_2m; euler, heun for a flow.")
    @click.option("--steps", type=_POSITIVE, hidden=task != "ldm", help="Steps of the solver.")
    @click.option("--seed", type=int, default=42, show_default=True, help="From which all noise derives.")
    @click.option(
        "--batch-size",
        type=_POSITIVE,
        default=8,
        show_default=True,
        help="Images at once; does not change results.",
    )
    @click.option(
        "--num-workers",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Processes that read ahead.",
    )
    @click.option("--original-size", is_flag=True, help="Give results in the size of the input files.")
    @click.option(
        "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True
    )
    @click.option("--device", help="For instance cpu or cuda:1.  [default: a GPU if there is one]")
    @of_volumes
    @click.option("--overwrite", is_flag=True, help="Replace predictions that are there already.")
    def run(
        checkpoint: str,
        input_dir: str | None,
        target_dir: str | None,
        output_dir: str | None,
        config_file: tuple[str, ...],
        **given: Any,
    ) -> None:
        folders = {"input_dir": input_dir, "target_dir": target_dir}
        predict_command(task, checkpoint, output_dir, folders, config_file, given)

    return run


for _task in TASKS:
    command.add_command(_task_command(_task))
command.add_command(segmentation)


def predict_command(
    task: str,
    checkpoint: str,
    output_dir: str | None,
    folders: dict[str, str | None],
    config_files: tuple[str, ...],
    given: dict[str, Any],
) -> None:
    """Predict and say where the results are."""
    from voxloom.config import load_config
    from voxloom.jobs import PredictOptions, predict
    from voxloom.jobs.progress import Bar

    named = output_dir or f"predictions_{_name(Path(checkpoint))}"
    volume = folders["input_dir"]
    if volume is not None and is_volume_path(volume):
        translate_volume(task, checkpoint, volume, named if output_dir else f"{named}.zarr", given)
        return
    for name in OF_VOLUMES:
        if given.pop(name):
            raise click.UsageError(f"--{name} is for a volume: expected one as --input.")
    output = Path(named)
    facts = predict(
        task,  # type: ignore[arg-type]
        checkpoint,
        output,
        **folders,
        config=load_config(task, config_files) if config_files else None,  # type: ignore[arg-type]
        options=PredictOptions(**given),
        progress=Bar("predicting") if sys.stderr.isatty() else None,
    )
    click.echo(
        f"{facts['images']} images in {output} (single images, and panels to look at in {output / 'panels'})"
    )
    target = output / ("original" if task == "vae" else "target")
    if target.is_dir():
        click.echo(f"next: voxloom evaluate --pred {output / 'prediction'} --target {target}")


def _name(checkpoint: Path) -> str:
    return checkpoint.parent.parent.name if checkpoint.parent.name == "checkpoints" else checkpoint.stem
