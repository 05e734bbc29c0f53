"""``voxloom verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import naming_options, take_naming
from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command"]


@click.command(name="verify", cls=WordedCommand)
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="SRC",
    help="Compare each sample with this source too.",
)  # fmt: skip
@naming_options("SRC")
def command(store: Path, against: Path | None, **given: Any) -> None:
    """Check each file of STORE against its digest, and each sample against a source.

    Prints a line for each problem, and ends with code 1 where there is one. The source is named as it
    was for voxloom convert, and is taken as the store says that it was converted.

    \b
    Examples:
      voxloom verify photos_store
      voxloom verify photos_store --against photos
      voxloom verify cells_store --image image=raw --mask nuclei=labels
    """
    from voxloom.conversion import verify
    from voxloom.errors import MissingDataError
    from voxloom.jobs.progress import transfer
    from voxloom.jobs.reading import near_name, open_named

    options = _named(against, given)
    source = None if options is None else open_named(against, options)
    progress = None if is_quiet() else transfer("verifying")
    try:
        found = verify(store, against=source, progress=progress)
    except MissingDataError as error:
        if store.exists():
            raise
        raise MissingDataError(f"{error}{near_name(store)}") from error
    finally:
        if progress is not None:
            progress.close()
    if not found.ok:
        click.echo(found)
        sys.exit(1)
    if not is_quiet():
        click.echo(f"OK: {found}")


def _named(against: Path | None, given: dict[str, Any]) -> Any:
    """Return how the source is found; None where there is none to compare with."""
    from voxloom.jobs.reading import SourceOptions

    options = SourceOptions(**take_naming(given, "SRC"))
    folders = {**options.images, **options.masks}
    if folders and against is not None:
        raise click.UsageError(f"got {against}; expected none, since --image and --mask name the source.")
    if against is None and not folders and options != SourceOptions():
        raise click.UsageError("--layout, --images and --masks tell how SRC lies; expected --against SRC.")
    return options if folders or against is not None else None
