"""``voxloom bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from voxloom.cli.convert import LAYOUTS

__all__ = ["command"]


def _numbers(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str,
) -> tuple[int, ...]:
    """Read whole numbers that are parted by commas."""
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter(f"{value!r}: expected numbers of 0 and more, for instance 0,2,4.")
    return tuple(int(part) for part in parts)


@click.command(name="bench")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Samples a batch."
)
@click.option(
    "--workers", callback=_numbers, default="0", show_default=True, metavar="N,N,...", help="Of the loader."
)
@click.option(
    "--formats",
    metavar="NAME,NAME,...",
    help="Write some samples in these formats too, for a while, and time them.",
)
@click.option("--folder", type=click.Path(path_type=Path), metavar="SRC", help="Time the plain files too.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=3.0, show_default=True,
    help="Longest time of each row.",
)  # fmt: skip
@click.option("--cold", is_flag=True, help="Time also with the files out of memory.")
@click.option(
    "--layout", type=click.Choice(LAYOUTS), default="auto", show_default=True, help="How PATH lies on disk."
)
def command(
    path: Path,
    batch_size: int,
    workers: tuple[int, ...],
    formats: str | None,
    folder: Path | None,
    layout: str,
    **timing: Any,
) -> None:
    """Time how fast PATH can be read, and say what bounds it.

    Three stages, each with what comes before it: storage fetches the bytes as they lie, decoding
    makes arrays of them, and the loader makes batches. Rows are warm (the files are in memory)
    unless they say cold. MB count the bytes that a stage gives.

    \b
    Examples:
      voxloom bench photos_store --batch-size 64 --workers 0,2,4 --folder photos
      voxloom bench photos --formats memmap,arrow
    """
    from voxloom.jobs.benchmark import bench_formats
    from voxloom.loading.bench import BenchSettings

    settings = BenchSettings(batch_size=batch_size, workers=workers, **timing)
    names = [name.strip() for name in formats.split(",")] if formats else []
    fastest = {}
    for what, found in bench_formats(path, settings, folder=folder, formats=names, layout=layout):
        fastest[what] = found.fastest.rate
        click.echo(f"\n{what}")
        for line in _table(found):
            click.echo(line)
        for note in found.notes:
            click.echo(f"({note})")
        click.echo(found.verdict)
    if len(fastest) > 1:
        _compare(fastest)


def _compare(rates: dict[str, float]) -> None:
    """Say how fast the loader has been with each, beside the first."""
    first, width = next(iter(rates.values())), max(map(len, rates))
    click.echo("\nFastest loader, shuffled, warm:")
    for what, rate in rates.items():
        click.echo(f"  {what.ljust(width)}  {rate:,.0f} samples/s  {rate / first if first else 0:.2f}")


def _table(found: Any) -> list[str]:
    rows = [("stage", "workers", "order", "files", "samples/s", "MB/s")]
    for row in found.rows:
        workers = str(row.workers) if row.stage == "loader" else ""
        order, files = "shuffled" if row.shuffled else "in order", "cold" if row.cold else "warm"
        rows.append((row.stage, workers, order, files, f"{row.rate:,.0f}", f"{row.byte_rate / 1e6:,.0f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(w) if place in (1, 4, 5) else cell.ljust(w)
            for place, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
