"""``voxloom bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import layout_option
from voxloom.cli.wording import WordedCommand

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
    return tuple(dict.fromkeys(int(part) for part in parts))


@click.command(name="bench", cls=WordedCommand)
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
@layout_option("PATH")
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
        fastest[what] = found
        click.echo(f"\n{what}")
        for line in _table(found):
            click.echo(line)
        for note in found.notes:
            click.echo(f"({note})")
        click.echo(found.verdict)
    if len(fastest) > 1:
        _compare(fastest)


def _compare(found: dict[str, Any]) -> None:
    """Say how fast the loader has been with each, beside the first where both made the same batches."""
    first, width = next(iter(found.values())), max(map(len, found))
    click.echo("\nFastest loader, shuffled, warm:")
    for what, bench in found.items():
        beside = _unlike(first, bench)
        if not beside and first.fastest.rate:
            beside = f"{_short(bench.fastest.rate / first.fastest.rate)} of the first"
        click.echo(f"  {what.ljust(width)}  {bench.fastest.rate:,.0f} samples/s  {beside}".rstrip())


def _unlike(first: Any, other: Any) -> str:
    """Return why the rates of two loaders are not to be compared, or ""."""
    from voxloom.amounts import size_text

    if other.batch_size != first.batch_size:
        return f"(batches of {other.batch_size}, and of {first.batch_size} in the first)"
    mine, theirs = other.fastest.sample_bytes, first.fastest.sample_bytes
    if abs(mine - theirs) > 0.01 * theirs:
        return f"(samples of {size_text(mine)}, and of {size_text(theirs)} in the first)"
    return ""


def _short(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


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
