"""``voxloom pack``."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command"]

_SHOWN = 10  # datasets that were left out


@click.command(name="pack", cls=WordedCommand)
@click.argument("split")
@click.argument("target", metavar="DST")
@click.option(
    "--spacing", nargs=3, type=click.FloatRange(min=0, min_open=True), metavar="Z Y X",
    help="Of each volume copy the coarsest level that is at least as fine, in nm.  [default: the finest]",
)  # fmt: skip
@click.option(
    "--margin", type=click.FloatRange(min=0), metavar="NM",
    help="Copy only what lies within so many nm of the labels.  [default: whole volumes]",
)  # fmt: skip
@click.option("--unit", help="Taken where a volume names no unit of length, for instance nanometer.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=4, show_default=True, help="Shards copied at once."
)
@click.option("--overwrite", is_flag=True, help="Make volumes anew that are there already.")
@click.option(
    "--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
    help="A dataset that cannot be read ends the copying, or is left out and listed.",
)  # fmt: skip
def command(split: str, target: str, **given: Any) -> None:
    """Copy the volumes of a split for training: OME-Zarr that is quick to read patches from.

    SPLIT is a CSV with the columns split, raw and gt. DST gets raw/, labels/ and a split.csv of its own.
    Both are paths or URLs. Called again, it goes on where it was stopped. Under torchrun, srun or mpirun
    each process copies its share of the shards.

    \b
    Examples:
      voxloom pack split.csv /fast/disk/packed
      voxloom pack split.csv packed --spacing 8 8 8 --margin 1000
    """
    from voxloom.errors import Interrupted
    from voxloom.jobs.packing import PackOptions, pack
    from voxloom.jobs.progress import Bar
    from voxloom.ranks import Rank

    given["on_error"] = "raise" if given["on_error"] == "fail" else "skip"
    options = PackOptions(**{name: value for name, value in given.items() if value is not None})
    rank = Rank.from_environment()
    shown = sys.stderr.isatty() and not is_quiet() and rank.is_main
    try:
        report = pack(split, target, options=options, progress=Bar("packing") if shown else None, rank=rank)
    except Interrupted as stop:
        raise Interrupted(f"{stop} The same command goes on.") from stop
    _tell(report)


def _tell(report: Any) -> None:
    from voxloom.amounts import counted

    if report.skipped:
        click.echo(f"{counted(len(report.skipped), 'dataset')} skipped:")
        for origin, reason in report.skipped[:_SHOWN]:
            click.echo(f"  {origin}: {reason}")
        if len(report.skipped) > _SHOWN:
            click.echo(f"  and {len(report.skipped) - _SHOWN} more")
    if is_quiet():
        return
    click.echo(report)
    if report.is_finished:
        click.echo(f"the split to train on: {shlex.quote(report.split)}")
