"""``voxloom convert``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import naming_options, take_naming
from voxloom.cli.wording import RememberedCommand, again, is_quiet

__all__ = ["command"]

_SHOWN = 10  # samples that were skipped


def _pixels(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, str] | None,
) -> tuple[int, int] | None:
    """Read a size; one number alone has taken the next word of the line with it."""
    if value is None:
        return None
    for side in value:
        if not (side.isascii() and side.isdigit() and int(side)):
            raise click.BadParameter(
                f"{side!r} is no number of pixels. Expected two, the height and then the width, "
                "for instance --size 224 224."
            )
    return int(value[0]), int(value[1])


@click.command(name="convert", cls=RememberedCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[SRC] DST")
@click.option(
    "--format", default="arrow", show_default=True, help="arrow, hdf5, memmap, parquet or tar, or a plugin's."
)
@click.option("--samples-per-shard", type=click.IntRange(min=1), help="Samples in each shard.")
@click.option("--shard-bytes", metavar="SIZE", help="Size to aim at for a shard.  [default: 256MiB]")
@click.option("--size", nargs=2, callback=_pixels, metavar="H W", help="Resize to this height and width.")
@click.option("--mode", help="Pixels to convert images to: L, RGB, I;16, F, ... as Pillow names them.")
@click.option(
    "--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos", "box"]),
    help="How images are resized; masks take the nearest pixel.  [default: bilinear]",
)  # fmt: skip
@click.option(
    "--encoding", type=click.Choice(["auto", "file", "raw", "fixed", "npy", "blosc", "png", "jpeg"]),
    help="How images lie in the store; auto copies files as they are where nothing changes them.",
)  # fmt: skip
@click.option("--quality", type=click.IntRange(1, 100), help="Of --encoding jpeg.  [default: 95]")
@click.option("--compression", help="One of the format's own.  [default: none]")
@click.option(
    "--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes at work."
)
@click.option("--resume", is_flag=True, help="Finish a store that was begun with this same command.")
@click.option("--overwrite", is_flag=True, help="Replace a store that is there already.")
@click.option(
    "--on-error", type=click.Choice(["fail", "skip"]),
    help="A sample that cannot be read ends the conversion, or is left out and listed.  [default: fail]",
)  # fmt: skip
@click.option(
    "--check", type=click.Choice(["ends", "decode"]),
    help="Of a file that is copied: look at both ends of it, or decode it all.  [default: ends]",
)  # fmt: skip
@naming_options("SRC")
@click.option("--dask", metavar="SCHEDULER|local", help="Work on a Dask cluster.")
def command(paths: tuple[Path, ...], **given: Any) -> None:
    """Bring images into a store of shards: any of five formats, bit by bit, resumable.

    SRC is a folder of class folders, a flat folder of images, a CSV or Parquet table, a folder of
    tars, or another store. Files are copied as they are, unless --size, --mode or --encoding says
    otherwise. Under torchrun, srun or mpirun each process takes its share of the shards.

    \b
    Examples:
      voxloom convert photos photos_store
      voxloom convert photos small_store --format memmap --size 224 224 --mode RGB --workers 4
      voxloom convert cells_store --image image=raw --mask nuclei=labels --format hdf5
    """
    from voxloom.ranks import Rank

    named = take_naming(given, "SRC")
    source, path = _ends(paths, named=bool(named["images"] or named["masks"]))
    report = _converted(source, path, named, given)
    _tell(report, path, Rank.from_environment())


def _converted(source: Path | None, path: Path, named: dict[str, Any], given: dict[str, Any]) -> Any:
    from voxloom.errors import Interrupted
    from voxloom.jobs.conversion import ConvertOptions, convert_data
    from voxloom.jobs.progress import transfer
    from voxloom.ranks import Rank

    how = {name: given.pop(name) for name in ("workers", "resume", "overwrite", "dask")}
    options = ConvertOptions(**named, **how)
    if options.dask:  # its start and end are no news
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    settings = {name: value for name, value in given.items() if value is not None}
    shown = Rank.from_environment().is_main and not is_quiet()
    progress = transfer("converting") if shown else None
    try:
        return convert_data(source, path, settings, options=options, progress=progress)
    except Interrupted as stop:
        raise Interrupted(f"{stop} Go on with: {again('--overwrite', '--resume')} --resume") from stop
    finally:
        if progress is not None:
            progress.close()


def _ends(paths: tuple[Path, ...], *, named: bool) -> tuple[Path | None, Path]:
    expected = 1 if named else 2
    if len(paths) != expected:
        told = " ".join(str(path) for path in paths) or "nothing"
        wanted = (
            "DST alone, since --image and --mask name the source"
            if named
            else "SRC and DST: what to convert, and the new folder of the store"
        )
        raise click.UsageError(f"got {told}; expected {wanted}.")
    return (None, paths[0]) if named else (paths[0], paths[1])


def _tell(report: Any, path: Path, rank: Any) -> None:
    """Say what was done.

    The rank that has made the store whole sums it up, whichever it is. The others name what they have
    skipped, and the main one says that its part is done.
    """
    from voxloom.amounts import counted

    whole = _is_mine_to_tell(report, rank)
    if is_quiet() or not (whole or rank.is_main):
        _tell_skipped(report, rank)
        return
    click.echo(report)
    if whole:
        shards = counted(len(report.store().manifest.shards), "shard")
        click.echo(f"{shards}; next: voxloom inspect {shlex.quote(str(path))}")


def _is_mine_to_tell(report: Any, rank: Any) -> bool:
    """Whether this rank has ended the store; one that was whole before is the main one's to tell."""
    return bool(report.finished and (rank.is_main or report.converted or report.found))


def _tell_skipped(report: Any, rank: Any) -> None:
    from voxloom.amounts import counted

    if not report.skipped or (report.finished and not _is_mine_to_tell(report, rank)):
        return
    who = f"rank {rank.index}: " if rank.world > 1 else ""
    click.echo(f"{who}{counted(len(report.skipped), 'sample')} skipped:")
    for key, reason in report.skipped[:_SHOWN]:
        click.echo(f"  {key}: {reason}")
    if len(report.skipped) > _SHOWN:
        click.echo(f"  and {len(report.skipped) - _SHOWN} more")
