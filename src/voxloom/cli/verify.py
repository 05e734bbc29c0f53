"""``voxloom verify``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command(name="verify")
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="SRC",
    help="Compare each sample with this source too.",
)  # fmt: skip
def command(store: Path, against: Path | None) -> None:
    """Check each file of STORE against its digest, and each sample against a source.

    Ends with code 1 where anything is not as it was written, a line for each problem.

    \b
    Examples:
      voxloom verify photos_store
      voxloom verify photos_store --against photos
    """
    from voxloom.conversion import verify
    from voxloom.jobs.progress import transfer

    progress = transfer("verifying")
    try:
        found = verify(store, against=against, progress=progress)
    finally:
        progress.close()
    for problem in found.problems:
        click.echo(problem)
    if not found.ok:
        click.echo(f"{store}: {len(found.problems)} problems", err=True)
        raise click.exceptions.Exit(1)
    compared = f" and equal to those of {against}" if against else ""
    click.echo(f"OK: {_counts(store)} as they were written{compared}")


def _counts(path: Path) -> str:
    from voxloom.formats import Manifest
    from voxloom.jobs.amounts import size_text

    manifest = Manifest.read(path)
    size = sum(shard.bytes for shard in manifest.shards)
    return f"{manifest.samples} samples in {len(manifest.shards)} shards, {size_text(size)},"
