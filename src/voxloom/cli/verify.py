"""``voxloom verify``."""

from __future__ import annotations

import sys
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

    Prints a line for each problem, and ends with code 1 where there is one.

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
    click.echo(f"OK: {found}" if found.ok else found)
    if not found.ok:
        sys.exit(1)
