"""voxloom report: one page of runs, metrics and pictures."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("report")
@click.argument("runs", nargs=-1, type=_FOLDER, metavar="RUN...")
@click.option(
    "--predictions", multiple=True, metavar="[NAME=]DIR",
    help="Output folder of voxloom predict; may be given once for each model.",
)  # fmt: skip
@click.option(
    "--evaluation", multiple=True, metavar="[NAME=]DIR",
    help="Output folder of voxloom evaluate; may be given once for each model.",
)  # fmt: skip
@click.option(
    "--latents", multiple=True, type=_FOLDER,
    help="Store of latents to draw.  [default: what a run has cached]",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), default=Path("report.html"),
    show_default=True, help="The page to write.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def command(
    runs: tuple[Path, ...],
    predictions: tuple[str, ...],
    evaluation: tuple[str, ...],
    latents: tuple[Path, ...],
    output: Path,
    overwrite: bool,
) -> None:
    """Write one self-contained HTML page about runs, predictions and their evaluation.

    Name the runs in the order of the work: the VAE's before the latent model's. Several runs of one kind
    are compared. An evaluation beside the predictions (PREDICTIONS/evaluation) is found without being
    named. Of several models, predictions are named for the run that made them, or as NAME=DIR says.
    """
    from voxloom.analysis import write_report

    write_report(
        output,
        runs=runs,
        predictions=[_named(each) for each in predictions],
        evaluation=[_named(each) for each in evaluation],
        latents=latents,
        overwrite=overwrite,
    )
    click.echo(f"Report: {output}")


def _named(text: str) -> str | tuple[str, str]:
    """Return NAME and DIR apart; a folder whose own name holds a = is one all the same."""
    name, sign, folder = text.partition("=")
    return (name, folder) if sign and name and not Path(text).exists() else text
