"""``voxloom convert``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

__all__ = ["LAYOUTS", "command"]

LAYOUTS = ("auto", "classes", "flat", "pairs", "table", "tar", "older", "store")


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


class _Remembered(click.Command):
    """A command that knows how it was called, to say how it is called again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line."""
        ctx.meta["voxloom.words"] = list(args)
        return super().parse_args(ctx, args)


@click.command(name="convert", cls=_Remembered)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[SRC] DST")
@click.option(
    "--format", default="arrow", show_default=True, help="arrow, hdf5, memmap, parquet or tar, or a plugin's."
)
@click.option("--samples-per-shard", type=click.IntRange(min=1), help="Samples in each shard.")
@click.option("--shard-bytes", metavar="SIZE", help="Size to aim at for a shard.  [default: 256MB]")
@click.option("--size", nargs=2, callback=_pixels, metavar="H W", help="Resize to this height and width.")
@click.option("--mode", help="Pixels to convert images to: L, RGB, I;16, F, ... as Pillow names them.")
@click.option(
    "--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos", "box"]),
    help="How images are resized; masks take the nearest pixel.  [default: bilinear]",
)  # fmt: skip
@click.option(
    "--encoding", type=click.Choice(["auto", "file", "fixed", "npy", "blosc", "png", "jpeg"]),
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
    "--layout", type=click.Choice(LAYOUTS), default="auto", show_default=True, help="How SRC lies on disk."
)
@click.option(
    "--image",
    multiple=True,
    metavar="NAME=FOLDER",
    help="In place of SRC: a folder of images; repeatable.",
)
@click.option("--mask", multiple=True, metavar="NAME=FOLDER", help="A folder of masks to go with them.")
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

    rank = Rank.from_environment()
    folders = {name: _folders(given.pop(name), f"--{name}") for name in ("image", "mask")}
    if both := folders["image"].keys() & folders["mask"].keys():
        raise click.UsageError(f"{min(both)!r} is named as an image and as a mask; expected two names.")
    if any(folders.values()) and given["layout"] != "auto":
        raise click.UsageError("--layout tells how SRC lies on disk; with --image there is no SRC.")
    source, path = _ends(paths, named=any(folders.values()))
    report = _converted(source, path, folders, given)
    if rank.is_main:
        _tell(report, path)


def _converted(
    source: Path | None,
    path: Path,
    folders: dict[str, dict[str, Path]],
    given: dict[str, Any],
) -> Any:
    from voxloom.errors import Interrupted
    from voxloom.jobs.conversion import ConvertOptions, convert_data
    from voxloom.jobs.progress import transfer
    from voxloom.ranks import Rank

    how = {name: given.pop(name) for name in ("layout", "workers", "resume", "overwrite", "dask")}
    options = ConvertOptions(images=folders["image"], masks=folders["mask"], **how)
    if options.dask:  # its start and end are no news
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    settings = {name: value for name, value in given.items() if value is not None}
    progress = transfer("converting") if Rank.from_environment().is_main else None
    try:
        return convert_data(source, path, settings, options=options, progress=progress)
    except Interrupted as stop:
        again = [
            word
            for word in click.get_current_context().meta["voxloom.words"]
            if word not in ("--overwrite", "--resume")
        ]
        words = shlex.join(["voxloom", "convert", *again, "--resume"])
        raise Interrupted(f"{stop} Go on with: {words}") from stop
    finally:
        if progress is not None:
            progress.close()


def _again() -> str:
    """Return the command line that goes on where this one has stopped."""
    given = click.get_current_context().meta["voxloom.words"]
    kept = [word for word in given if word not in ("--overwrite", "--resume")]
    return shlex.join(["voxloom", "convert", *kept, "--resume"])


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


def _folders(words: Iterable[str], option: str) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise click.BadParameter(f"{word!r}: expected NAME=FOLDER.", param_hint=option)
        if name in folders:
            raise click.BadParameter(f"{name!r} is named twice.", param_hint=option)
        folders[name] = Path(folder)
    return folders


def _tell(report: Any, path: Path) -> None:
    click.echo(report)
    if report.finished:
        number = len(report.store().manifest.shards)
        click.echo(f"{number} shard{'s' * (number != 1)}; next: voxloom inspect {shlex.quote(str(path))}")
