"""``voxloom inspect``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import layout_option
from voxloom.cli.wording import WordedCommand

__all__ = ["command"]

_OF_VOLUMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray", "attributes.json")


def _place(ctx: click.Context, param: click.Parameter, value: str) -> Path | str:  # noqa: ARG001
    """Return a path, or a URL as it is."""
    return value if "://" in value else Path(value)


@click.command(name="inspect", cls=WordedCommand)
@click.argument("path", type=click.Path(), callback=_place)
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Write a contact sheet.")
@click.option("--raw", metavar="VOLUME", help="Draw labels over this volume, in the preview of a volume.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=32, show_default=True,
    help="Samples to look at, evenly spread; the contact sheet shows at most 64.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@layout_option("PATH")
@click.option("--unit", help="Taken where a volume names no unit of length, for instance nanometer.")
@click.option(
    "--spacing", nargs=3, type=click.FloatRange(min=0, min_open=True), metavar="Z Y X",
    help="Spacing of a volume in nm, in the place of what its metadata say.",
)  # fmt: skip
def command(path: Path, preview: Path | None, raw: str | None, **given: Any) -> None:
    """Say what PATH holds: a store, a folder of images or of class folders, a table, a split of volumes.

    Counts, fields, sizes, types, classes, encodings and compression; of a volume (OME-Zarr, N5) its
    levels, spacing, channels and labels, and the middle slices as a preview. Nothing is written there.
    Labels are counted over all samples, everything else over some of them.

    \b
    Examples:
      voxloom inspect photos_store --preview photos.png
      voxloom inspect photos --json
      voxloom inspect pred.zarr --preview middle.png
      voxloom inspect crop.zarr/mito --raw raw.zarr --preview middle.png
    """
    from voxloom.errors import UnfinishedStoreError
    from voxloom.jobs.inspection import inspect
    from voxloom.jobs.listing import listing
    from voxloom.jobs.reading import SourceOptions, open_named
    from voxloom.sources.split_rows import is_volume_split

    samples, as_json, layout = given["samples"], given["as_json"], given["layout"]
    stated = {name: given[name] for name in ("unit", "spacing") if given[name]}
    if is_volume_split(path):
        if preview is not None:
            raise click.BadParameter("a split of volumes has no contact sheet.", param_hint="--preview")
        _verify(path, stated, as_json=as_json)
        return
    if preview is not None and preview.suffix.lower() != ".png":  # said before minutes of work
        raise click.BadParameter(f"{preview}: expected a name that ends in .png.", param_hint="--preview")
    if not isinstance(path, Path) or any((path / name).is_file() for name in _OF_VOLUMES):
        _inspect_volume(str(path), preview, raw, as_json=as_json, **stated)
        return
    if raw is not None:
        raise click.BadParameter(f"{path} is no volume, so there are no labels to draw.", param_hint="--raw")
    try:
        source = open_named(path, SourceOptions(layout=layout))
    except UnfinishedStoreError:
        _tell_unfinished(path)
    found = inspect(source, number=samples)
    click.echo(_json(found) if as_json else listing(found))
    if preview is not None:
        _draw(source, preview, samples, quiet=as_json)


def _verify(path: Path, stated: dict[str, Any], *, as_json: bool) -> None:
    """Look at each dataset of a split of volumes; fail where one cannot be used."""
    from voxloom.sources.volume_split import VolumeSplit

    report = VolumeSplit.from_csv(path).verify(**stated)
    click.echo(json.dumps(report.facts(), indent=2, ensure_ascii=False) if as_json else str(report))
    if report.problems:
        sys.exit(1)


def _json(found: Any) -> str:
    return json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False)


def _draw(source: Any, preview: Path, samples: int, *, quiet: bool) -> None:
    from voxloom.jobs.preview import contact_sheet
    from voxloom.sources import write_png

    sheet = contact_sheet(source, number=min(samples, 64))
    write_png(preview, sheet.transpose(2, 0, 1))
    if not quiet:
        click.echo(f"Contact sheet: {preview}")


def _inspect_volume(
    path: str, preview: Path | None, raw: str | None, *, as_json: bool, **stated: Any
) -> None:
    from voxloom.jobs.volume_inspection import inspect_volume, volume_listing
    from voxloom.jobs.volume_preview import middle_slices
    from voxloom.sources import write_png

    found = inspect_volume(path, **stated)
    click.echo(_json(found) if as_json else volume_listing(found))
    if preview is not None:
        write_png(preview, middle_slices(path, raw=raw, **stated).transpose(2, 0, 1))
        if not as_json:
            click.echo(f"Middle slices: {preview}")


def _tell_unfinished(path: Path) -> None:
    from voxloom.errors import UnfinishedStoreError
    from voxloom.jobs.conversion import progress_of

    progress = progress_of(path)
    raise UnfinishedStoreError(
        f"{path} is a store whose conversion has not ended: {progress} {progress.verb} finished. If no "
        "process writes it any more, give the same command again with --resume: "
        f"voxloom convert SRC {shlex.quote(str(path))} ... --resume"
    )
