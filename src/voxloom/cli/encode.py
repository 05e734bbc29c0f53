"""``voxloom encode``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import naming_options, take_naming
from voxloom.cli.wording import RememberedCommand, again, is_quiet

__all__ = ["command"]

_SHOWN = 10  # samples that were skipped


@click.command(name="encode", cls=RememberedCommand)
@click.option(
    "--checkpoint", required=True, type=click.Path(),
    help="A run of a VAE or a latent model, a checkpoint, or exported weights.",
)  # fmt: skip
@click.option("--input", "path", type=click.Path(path_type=Path), metavar="SOURCE", help="What to encode.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="STORE",
    help="Folder of the latents; the same command again goes on where it was stopped.",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Images at once."
)
@click.option(
    "--num-workers", type=click.IntRange(min=0), default=0, show_default=True,
    help="Processes that read ahead.",
)  # fmt: skip
@click.option("--device", help="For instance cpu or cuda:1.  [default: a GPU if there is one]")
@click.option(
    "--format",
    default="memmap",
    show_default=True,
    help="arrow, hdf5, memmap, parquet or tar, or a plugin's.",
)
@click.option(
    "--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
    help="An image that cannot be read ends the command, or is left out and listed.",
)  # fmt: skip
@click.option(
    "--color", type=click.Choice(["error", "luma"]),
    help="Colour images: an error, or their brightness (luma).  [default: as in the training]",
)  # fmt: skip
@click.option(
    "--features", type=click.Path(path_type=Path), metavar="WEIGHTS",
    help="Weights of a perceptual network: its features of each image are kept too, as a vector.",
)  # fmt: skip
@click.option(
    "--features-backbone", type=click.Choice(["squeezenet1_1", "vgg16"]), default="squeezenet1_1",
    show_default=True, help="Which network these are of.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a store that is there already.")
@naming_options("SOURCE")
def command(checkpoint: str, path: Path | None, output: Path, **given: Any) -> None:
    """Encode images with a VAE into a store of latents, means and deviations.

    SOURCE is what voxloom convert takes: a folder of images or of class folders, pairs, a table, tars,
    a store, or a volume. Each image is read, resized and normalised as in the training. Classes,
    attributes and texts are carried over. Under torchrun each process takes its share.

    \b
    Examples:
      voxloom encode --checkpoint runs/vae --input photos -o latents
      voxloom encode --checkpoint runs/ldm --image target=mri --image condition=ct -o latents
    """
    named = take_naming(given, "SOURCE")
    folders = bool(named["images"] or named["masks"])
    if folders == (path is not None):
        raise click.UsageError("expected either --input SOURCE, or folders as --image NAME=FOLDER.")
    store = _encoded(checkpoint, path, output, {**named, **given})
    if store is not None:
        _tell(store, output, checkpoint)
    elif not is_quiet():
        click.echo(f"This part of {output} is done. Other ranks have to write theirs.")


def _encoded(checkpoint: str, path: Path | None, output: Path, how: dict[str, Any]) -> Any:
    from voxloom.errors import Interrupted
    from voxloom.jobs.reading import require_checkpoint, require_source

    require_checkpoint(checkpoint)  # before what computes is loaded, which takes seconds
    for source in [path] if path else [*how["images"].values(), *how["masks"].values()]:
        require_source(source)
    from voxloom.jobs import EncodeOptions, encode
    from voxloom.jobs.progress import transfer
    from voxloom.ranks import Rank

    shown = Rank.from_environment().is_main and not is_quiet()
    progress = transfer("encoding") if shown else None
    try:
        return encode(checkpoint, path, output, options=EncodeOptions(**how), progress=progress)
    except Interrupted as stop:
        raise Interrupted(f"{stop} Go on with: {again('--overwrite')}") from stop
    finally:
        if progress is not None:
            progress.close()


def _tell(store: Any, output: Path, checkpoint: str) -> None:
    """Say what lies there now, and what was left out."""
    from voxloom.amounts import counted

    skipped = [each for shard in store.manifest.shards for each in shard.skipped]
    if skipped:
        click.echo(f"{counted(len(skipped), 'sample')} skipped:")
    for key, reason in skipped[:_SHOWN]:
        click.echo(f"  {key}: {reason}")
    if len(skipped) > _SHOWN:
        click.echo(f"  and {len(skipped) - _SHOWN} more")
    if is_quiet():
        return
    means = {name: field.shape for name, field in store.schema.items() if name.endswith("_mu")}
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in means.items())
    click.echo(f"{counted(len(store), 'sample')} in {output}: {shapes}")
    click.echo(f"next: voxloom explore {shlex.join([str(output), '--checkpoint', checkpoint])}")
