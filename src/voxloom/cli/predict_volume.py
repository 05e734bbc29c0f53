"""``voxloom predict segmentation``."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["is_volume_path", "of_volumes", "segmentation", "translate_volume"]

_NAMED = re.compile(r"\w[\w-]*=.+")
logger = logging.getLogger(__name__)

_POSITIVE = click.IntRange(min=1)
_INPUT = ("channel", "unit", "spacing", "any_type", "device", "precision", "dask")


if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # older ones take no type


class _Products(_Choice):
    """One of the products, or several with commas between them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names."""
        return tuple(super(_Products, self).convert(v.strip(), param, ctx) for v in str(value).split(","))


def _stated_spacing(ctx: click.Context, param: click.Parameter, given: Any) -> Any:  # noqa: ARG001
    """Tell that the output lies where the stated spacing puts it."""
    if given is not None:
        told = " x ".join(f"{value:g}" for value in given)
        logger.warning(
            "--spacing: the input is taken as %s nm (z, y, x), whatever its metadata say, and so is the "
            "output. A viewer that reads the input's own metadata may show them at different places.", told
        )  # fmt: skip
    return given


def _listed(ctx: click.Context, param: click.Parameter, given: Any) -> tuple[str, ...]:  # noqa: ARG001
    """Return the names of all mentions, each once."""
    return tuple(dict.fromkeys(name for names in given for name in names))


@click.command(name="segmentation", cls=WordedCommand)
@click.option(
    "--checkpoint", required=True, type=click.Path(), help="A run, a checkpoint, or exported weights."
)
@click.option(
    "--input", "volumes", required=True, multiple=True, metavar="[NAME=]PATH",
    help="Volume to predict: OME-Zarr or N5, a path or a URL. Once for each input, by name, if the network "
    "learned from several volumes at each place.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True,
    help="New OME-Zarr for the results, a path or a URL; for labels alone also IMAGE/labels/NAME.",
)  # fmt: skip
@click.option(
    "--write", multiple=True, default=("probabilities", "labels"), show_default=True,
    type=_Products(["probabilities", "values", "labels", "masks"]), callback=_listed,
    help="Several with commas, or the option again. Probabilities as uint8; the network's values as float32, "
    "alone; the strongest class; a mask a class, which needs probabilities too.",
)  # fmt: skip
@click.option(
    "--threshold", type=click.FloatRange(0, 1),
    help="Least probability of a label or a mask.  [default: 0.5; of labels that exclude each other, none]",
)  # fmt: skip
@click.option(
    "--overlap", type=click.FloatRange(0, 1, max_open=True), default=0.25, show_default=True,
    help="Part of a tile that it shares with the next.",
)  # fmt: skip
@click.option("--blend", type=click.Choice(["hann", "gaussian", "flat"]), default="hann", show_default=True)
@click.option(
    "--batch-size", type=_POSITIVE, default=1, show_default=True, help="Tiles at once; changes no result."
)
@click.option(
    "--shard", nargs=3, type=_POSITIVE, default=(256, 256, 256), show_default=True, metavar="Z Y X",
    help="Voxels that are predicted and written as one; larger ones take less time and more memory.",
)  # fmt: skip
@click.option(
    "--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True,
    help="Version of OME-NGFF to write: 0.5 is zarr v3, 0.4 is zarr v2.",
)  # fmt: skip
@click.option("--channel", multiple=True, help="Channel of the input to take, by name or number.")
@click.option("--unit", help="Unit of an input whose metadata tell none, for instance nanometer.")
@click.option(
    "--spacing", nargs=3, type=float, metavar="Z Y X", callback=_stated_spacing,
    help="Spacing in nm of a plain array; of other inputs it counts in the place of their own metadata.",
)  # fmt: skip
@click.option("--any-type", is_flag=True, help="Take an input of another type of values than in training.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--device", help="For instance cpu or cuda:1.  [default: a GPU if there is one]")
@click.option("--dask", metavar="SCHEDULER|local", help="Work on a Dask cluster.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there already.")
def segmentation(checkpoint: str, volumes: tuple[str, ...], output: str, **given: Any) -> None:
    """Predict the classes of each voxel of a volume, tile by tile, into OME-Zarr.

    A command that was cut off goes on when it is given again. What is done is noted in a folder
    OUTPUT.prediction, which may be deleted when all is. Under torchrun, srun or mpirun each process takes
    its share.

    \b
    Example:
      voxloom predict segmentation --checkpoint runs/mito --input raw.zarr --output pred.zarr
    """
    from voxloom.jobs.progress import Bar
    from voxloom.jobs.tiled_prediction import InputOptions, predict_segmentation
    from voxloom.ranks import Rank

    if given["dask"]:  # its start and end are no news
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    read = {name: given.pop(name) for name in _INPUT}
    read["channels"] = read.pop("channel") or None
    given |= {"unit": given.pop("shard"), "version": given.pop("ngff")}
    is_main = Rank.from_environment().is_main
    shown = is_main and sys.stderr.isatty() and not is_quiet()
    read_from = _by_name(volumes)
    report = predict_segmentation(
        checkpoint, read_from, output, settings=given, options=InputOptions(**read),
        progress=Bar("predicting") if shown else None,
    )  # fmt: skip
    if not is_quiet() and (is_main or report.is_finished):
        _tell(report, *([read_from] if isinstance(read_from, str) else read_from.values()))


def _by_name(given: Sequence[str]) -> str | dict[str, str]:
    """Return the one path, or NAME=PATH as a mapping; a file whose name is like that is a path."""
    if len(given) == 1 and (os.path.exists(given[0]) or not _NAMED.fullmatch(given[0])):
        return given[0]
    named: dict[str, str] = {}
    for each in given:
        name, is_named, path = each.partition("=")
        if not is_named or not _NAMED.fullmatch(each) or name in named:
            raise click.UsageError(
                f"--input {each}: several inputs need a name each, once. Expected --input NAME=PATH."
            )
        named[name] = path
    return named


def of_volumes(function: Any) -> Any:
    """Add the options of a reconstruction or translation that count where the input is a volume."""
    only = "Of a volume: "
    for option in (
        click.option(
            "--overlap", type=click.FloatRange(0, 1, max_open=True),
            help=only + "part of a tile that it shares with the next.  [default: 0.25]",
        ),
        click.option(
            "--shard", nargs=3, type=_POSITIVE, metavar="Z Y X",
            help=only + "voxels that are predicted and written as one.  [default: 256 256 256]",
        ),
        click.option(
            "--channel", multiple=True, help=only + "the channel to take, by name or number."
        ),
        click.option("--unit", help=only + "its unit, where its metadata tell none."),
        click.option("--dask", metavar="SCHEDULER|local", help=only + "work on a Dask cluster."),
    ):  # fmt: skip
        function = option(function)
    return function


def is_volume_path(path: str | None) -> bool:
    """Return whether a path is that of a volume, a local one or one elsewhere."""
    from voxloom.sources.opening import is_volume

    return path is not None and ("://" in path or is_volume(path))


def translate_volume(task: str, checkpoint: str, volume: str, output: str, given: dict[str, Any]) -> None:
    """Reconstruct or translate a volume, tile by tile, and say how to look at the result."""
    from voxloom.jobs.progress import Bar
    from voxloom.jobs.tiled_prediction import InputOptions
    from voxloom.jobs.volume_translation import predict_translation
    from voxloom.ranks import Rank

    if given["dask"]:  # its start and end are no news
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    refused = {"num_samples": None, "samples_per_image": 1, "original_size": False}
    for name, default in refused.items():
        if given[name] != default:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is for folders of images, {volume} is a volume."
            )
    settings = {"overlap": given["overlap"], "unit": given["shard"], "batch_size": given["batch_size"]}
    settings = {name: value for name, value in settings.items() if value is not None}
    read = {name: given[name] for name in ("unit", "device", "precision", "dask")}
    is_main = Rank.from_environment().is_main
    report = predict_translation(
        task,  # type: ignore[arg-type]
        checkpoint,
        volume,
        output,
        settings={**settings, "overwrite": given["overwrite"]},
        how={name: given[name] for name in ("seed", "solver", "steps")},
        options=InputOptions(channels=given["channel"] or None, **read),
        progress=Bar("predicting") if is_main and sys.stderr.isatty() and not is_quiet() else None,
    )
    if not is_quiet() and (is_main or report.is_finished):
        _tell(report, volume)


def _tell(report: Any, *volumes: str) -> None:
    from voxloom.amounts import counted
    from voxloom.jobs.viewing import napari_line

    if not report.is_finished:
        click.echo(
            f"{report.done} of {counted(report.units, 'shard')} of {report.output} predicted here; others "
            "are missing."
        )
        return
    click.echo(f"{counted(report.units, 'shard')} in {report.output}, {report.done} of them predicted now")
    shown = (*volumes, report.output)
    click.echo(f"look: voxloom inspect {shlex.quote(report.output)} --preview preview.png")
    click.echo(f"      voxloom view {shlex.join(shown)}    (neuroglancer, in the browser)")
    click.echo(f"      {napari_line(shown)}")
