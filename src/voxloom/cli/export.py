"""``voxloom export``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command(name="export")
@click.argument("checkpoint", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there already.")
def command(checkpoint: str, output: str, overwrite: bool) -> None:
    """Write the weights of CHECKPOINT, a run or a file, to OUTPUT (.safetensors) with their configuration.

    The file holds what predicts: averaged weights where the run kept them, and no optimizer.
    """
    from voxloom.jobs.export import export

    path = export(checkpoint, output, overwrite=overwrite)
    click.echo(f"{path} ({Path(path).stat().st_size / 2**20:.1f} MiB)")
