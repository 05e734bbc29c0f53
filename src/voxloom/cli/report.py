"""voxloom report: one page of runs, metrics and pictures."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("report")
@click.argument("runs", nargs=-1, type=_FOLDER, metavar="RUN...")
@click.option("--predictions", type=_FOLDER, help="Output folder of voxloom predict.")
@click.option("--evaluation", type=_FOLDER, help="Output folder of voxloom evaluate.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), default=Path("report.html"),
    show_default=True, help="The page to write.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def command(
    runs: tuple[Path, ...], predictions: Path | None, evaluation: Path | None, output: Path, overwrite: bool
) -> None:
    """Write one self-contained HTML page about runs, predictions and their evaluation.

    Name the runs in the order of the work: the VAE's before the latent model's. An evaluation beside
    the predictions (PREDICTIONS/evaluation) is found without being named.
    """
    from voxloom.analysis import write_report

    if evaluation is None and predictions and (predictions / "evaluation" / "summary.json").is_file():
        evaluation = predictions / "evaluation"
    write_report(output, runs=runs, predictions=predictions, evaluation=evaluation, overwrite=overwrite)
    click.echo(f"Report: {output}")
