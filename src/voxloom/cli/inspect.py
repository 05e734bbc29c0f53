"""``voxloom inspect``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from voxloom.cli.naming import naming_options, take_naming
from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command"]

_OF_VOLUMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray", "attributes.json")
_NAMING = ("layout", "image", "mask", "images", "masks")
_GOES_WITH = {
    "transforms": ("preview", "task", "draws", "samples"),
    "a volume": ("preview", "raw", "as_json", "unit", "spacing"),
    "a split of volumes": ("as_json", "unit", "spacing"),
    "images": ("preview", "against", "samples", "everything", "as_json", *_NAMING),
}
"""What is looked at, and the options that are for it."""
_ON_SHEET, _ON_PAGE = 32, 96  # samples that a preview shows at most


def _place(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | str | None:  # noqa: ARG001
    """Return a path, or a URL as it is."""
    return value if value is None or "://" in value else Path(value)


@click.command(name="inspect", cls=WordedCommand)
@click.argument("path", type=click.Path(), callback=_place, required=False)
@click.option(
    "--preview", type=click.Path(path_type=Path), metavar="PNG|HTML",
    help="Write a contact sheet (.png), or a page with everything (.html).",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="PATH",
    help="Another part, such as a test set: look for near-duplicates and differences.",
)  # fmt: skip
@click.option(
    "--transforms", type=click.Path(path_type=Path, dir_okay=False), metavar="CONFIG",
    help="Draw samples under the preparation and the augmentation of a configuration.",
)  # fmt: skip
@click.option(
    "--task", metavar="NAME", help="Of the configuration of --transforms.  [default: found in the file]"
)
@click.option("--draws", type=click.IntRange(min=1, max=64), default=7, show_default=True,
              help="Draws of each sample, with --transforms.")  # fmt: skip
@click.option("--raw", metavar="VOLUME", help="Draw labels over this volume, in the preview of a volume.")
@click.option(
    "--samples", type=click.IntRange(min=1),
    help="Samples to look at, evenly spread.  [default: 128; 1 with --transforms]",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Look at every sample.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@naming_options("PATH")
@click.option("--unit", help="Taken where a volume names no unit of length, for instance nanometer.")
@click.option(
    "--spacing", nargs=3, type=click.FloatRange(min=0, min_open=True), metavar="Z Y X",
    help="Spacing of a volume in nm, in the place of what its metadata say.",
)  # fmt: skip
def command(path: Path | None, preview: Path | None, raw: str | None, **given: Any) -> None:
    """Say what PATH holds, and what will hurt later: a store, a folder of images, of class folders, of
    pairs, or of the parts of a split; a table, a run, a volume, a split of volumes.

    Counts, fields, sizes, types, classes, encodings and compression; warnings on mixed sizes and types,
    empty or saturated images, unknown ids, pairs that match no better than shuffled ones, near-duplicates
    across a split, and others. Of a volume (OME-Zarr, N5) its levels, spacing, channels and labels, and
    the middle slices as a preview. Nothing is written there. Labels are counted over all samples,
    everything else over some of them, or over all with --all.

    \b
    Examples:
      voxloom inspect photos_store --preview photos.png
      voxloom inspect photos --all --preview photos.html
      voxloom inspect --image image=data/images --mask mask=data/masks --preview pairs.html
      voxloom inspect data/train --against data/test
      voxloom inspect --transforms config.json --preview augmented.png
      voxloom inspect pred.zarr --preview middle.png
      voxloom inspect crop.zarr/mito --raw raw.zarr --preview middle.png
    """
    from voxloom.sources.split_rows import is_volume_split

    stated = {name: given[name] for name in ("unit", "spacing") if given[name]}
    _check_preview(preview)
    if given["transforms"] is not None:
        _refuse_others("transforms")
        _draw_transforms(path, preview, given)
        return
    if isinstance(path, Path) and is_volume_split(path):
        if preview is not None:
            raise click.BadParameter("a split of volumes has no contact sheet.", param_hint="--preview")
        _refuse_others("a split of volumes")
        _verify(path, stated, as_json=given["as_json"])
        return
    if path is not None and (not isinstance(path, Path) or any((path / n).is_file() for n in _OF_VOLUMES)):
        _refuse_others("a volume")
        _inspect_volume(str(path), preview, raw, as_json=given["as_json"], **stated)
        return
    if raw is not None:
        raise click.BadParameter(f"{path} is no volume, so there are no labels to draw.", param_hint="--raw")
    if path is None and not (given["image"] or given["mask"]):
        raise click.UsageError("Missing argument 'PATH'.")
    if path is not None and (given["image"] or given["mask"]):
        raise click.UsageError(f"--image and --mask stand in the place of PATH: leave {path} out.")
    if given["everything"] and given["samples"]:
        raise click.UsageError("--all looks at every sample: leave --samples out.")
    _refuse_others("images")
    _inspect(path, preview, given)


def _refuse_others(kind: str) -> None:
    """Refuse options that were given, and are not for what is looked at."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        is_given = source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        if is_given and name not in ("path", "transforms", *_GOES_WITH[kind]):
            places = " or ".join(
                k if k != "transforms" else "--transforms" for k, v in _GOES_WITH.items() if name in v
            )
            what = "--transforms" if kind == "transforms" else kind
            raise click.UsageError(
                f"{parameter.opts[0]} goes with {places}, and not with {what}: leave it out."
            )


def _check_preview(preview: Path | None) -> None:
    if preview is not None and preview.suffix.lower() not in (".png", ".html"):  # before minutes of work
        raise click.BadParameter(
            f"{preview}: expected a name that ends in .png or .html.", param_hint="--preview"
        )


def _inspect(path: Path | None, preview: Path | None, given: dict[str, Any]) -> None:
    from voxloom.jobs.inspection_parts import check_split, look_at

    quiet = given["as_json"] or is_quiet()
    number = None if given["everything"] else given["samples"] or 128
    looked = look_at(_parts(path, given), number=number, progress=_bar(quiet=quiet))
    across = check_split(looked)
    click.echo(_as_json(looked, across) if given["as_json"] else _as_text(looked, across))
    if preview is not None:
        named = [folder.resolve().name for folder in _folders(path, given)]
        _draw(", ".join(named), preview, looked, across=across, number=number or _ON_PAGE)
        if not given["as_json"]:
            click.echo(f"{'Page' if preview.suffix.lower() == '.html' else 'Contact sheet'}: {preview}")


def _parts(path: Path | None, given: dict[str, Any]) -> Any:
    from voxloom.errors import UnfinishedStoreError
    from voxloom.jobs.inspection_parts import is_run, parts_of
    from voxloom.jobs.reading import SourceOptions

    if path is not None and is_run(path):
        from voxloom.jobs.inspection_run import parts_of_run

        return parts_of_run(path)
    options = SourceOptions(**take_naming(dict(given), "PATH"))
    try:
        return parts_of(path if not options.images and not options.masks else None, options,
                        against=given["against"])  # fmt: skip
    except UnfinishedStoreError:
        if path is None:
            raise
        _tell_unfinished(path)


def _bar(*, quiet: bool) -> Any:
    if quiet or not sys.stderr.isatty():
        return None
    from voxloom.jobs.progress import Bar

    return Bar("looking")


def _as_text(looked: dict[str, Any], across: Any) -> str:
    from voxloom.jobs.inspection_alike import compared_text
    from voxloom.jobs.listing import listing, warnings_listed

    told = [f"{name}\n{'=' * len(name)}\n{listing(each.found)}" if name else listing(each.found)
            for name, each in looked.items()]  # fmt: skip
    if len(looked) > 1:
        compared = compared_text(looked)
        said = ": " + (compared if across else f"nothing was found; {compared}") + "." if compared else ""
        told.append("\n".join([f"Between the parts{said}", *warnings_listed(across)]))
    return "\n\n".join(told)


def _as_json(looked: dict[str, Any], across: Any) -> str:
    if list(looked) == [""]:
        return _json(looked[""].found)
    parts = {name: each.found.model_dump(mode="json") for name, each in looked.items()}
    told = {"parts": parts, "warnings": [each.model_dump(mode="json") for each in across]}
    return json.dumps(told, indent=2, ensure_ascii=False)


def _folders(path: Path | None, given: dict[str, Any]) -> list[Path]:
    """Return what is looked at, by name."""
    named = [Path(each.partition("=")[2]) for each in (*given["image"], *given["mask"])]
    return [*named, *(each for each in (path, given["against"]) if each is not None)]


def _draw(title: str, preview: Path, looked: dict[str, Any], *, across: Any, number: int) -> None:
    from voxloom.jobs.inspection_page import draw_sheet, write_inspection

    if preview.suffix.lower() == ".html":
        write_inspection(preview, title, looked, across=across, number=min(number, _ON_PAGE))
    else:
        draw_sheet(preview, looked, number=min(number, _ON_SHEET))


def _draw_transforms(path: Path | None, preview: Path | None, given: dict[str, Any]) -> None:
    from voxloom.jobs.transform_sheet import draws_of, write_draws

    if preview is None:
        raise click.UsageError("--transforms draws a picture: name it with --preview OUT.png or OUT.html.")
    found = draws_of(
        given["transforms"], path, task=given["task"], samples=given["samples"] or 1, draws=given["draws"]
    )
    write_draws(preview, found)
    click.echo(f"Draws with seed {found.seed}: {preview}")
    if not found.is_random:
        click.echo("augment is off in this configuration: a training would draw nothing.")


def _verify(path: Path, stated: dict[str, Any], *, as_json: bool) -> None:
    """Look at each dataset of a split of volumes; fail where one cannot be used."""
    from voxloom.sources.volume_split import VolumeSplit

    report = VolumeSplit.from_csv(path).verify(**stated)
    click.echo(json.dumps(report.facts(), indent=2, ensure_ascii=False) if as_json else str(report))
    if report.problems:
        sys.exit(1)


def _json(found: Any) -> str:
    return json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False)


def _inspect_volume(
    path: str, preview: Path | None, raw: str | None, *, as_json: bool, **stated: Any
) -> None:
    from voxloom.jobs.volume_inspection import inspect_volume, volume_listing

    found = inspect_volume(path, raw=raw, **stated)
    click.echo(_json(found) if as_json else volume_listing(found))
    if preview is not None:
        _draw_volume(path, preview, found, raw=raw, **stated)
        if not as_json:
            click.echo(f"Middle slices: {preview}")


def _draw_volume(path: str, preview: Path, found: Any, **stated: Any) -> None:
    from voxloom.jobs.volume_page import write_volume_page
    from voxloom.jobs.volume_preview import middle_slices, slices_of
    from voxloom.sources import write_png

    if preview.suffix.lower() == ".html":
        write_volume_page(preview, found, slices_of(path, **stated))
    else:
        write_png(preview, middle_slices(path, **stated).transpose(2, 0, 1))


def _tell_unfinished(path: Path) -> None:
    from voxloom.errors import UnfinishedStoreError
    from voxloom.jobs.conversion import progress_of

    progress, place = progress_of(path), shlex.quote(str(path))
    if progress.checkpoint is None:
        again = f" with --resume: voxloom convert SRC {place} ... --resume"
    else:  # goes on by itself
        again = f": voxloom encode --checkpoint {shlex.quote(progress.checkpoint)} ... -o {place}"
    raise UnfinishedStoreError(
        f"{path} is a store whose conversion has not ended: {progress} {progress.verb} finished. If no "
        f"process writes it any more, give the same command again{again}"
    )
