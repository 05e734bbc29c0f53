"""``voxloom analyze``: latents drawn and measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from voxloom.cli.naming import named_paths
from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_POSITIVE = click.IntRange(min=1)
_Command = TypeVar("_Command", bound=Callable[..., Any])

_GROUPS = [
    click.argument("latents", nargs=-1, type=_PATH, metavar="[LATENTS]..."),
    click.option(
        "--group", "groups", multiple=True, metavar="NAME=STORE",
        help="A group by a name of its own; repeatable. Without: the store's folder.",
    ),
    click.option("--field", help="Which field of the stores is drawn.  [default: posterior means, *_mu]"),
    click.option(
        "--images", multiple=True, metavar="NAME=FOLDER",
        help="A group of images that are encoded first, with --checkpoint; repeatable.",
    ),
    click.option("--checkpoint", help="What encodes --images: a run, a checkpoint, or weights."),
    click.option(
        "-c", "--config-file", type=click.Path(), multiple=True,
        help="Configuration that bare weights of an older system were trained with; else not needed.",
    ),
    click.option(
        "--patch-size", nargs=2, type=_POSITIVE, metavar="H W",
        help="Size that --images are brought to.  [default: that of the training]",
    ),
    click.option(
        "--batch-size", type=_POSITIVE, default=8, show_default=True, help="How many --images at once."
    ),
    click.option(
        "--color", type=click.Choice(["error", "luma"]),
        help="Colour among --images: an error, or their brightness (luma).  [default: as in the training]",
    ),
    click.option("--device", help="For --images: cpu or cuda:1.  [default: a GPU if there is one]"),
    click.option("--max-images", type=_POSITIVE, help="Only the first points of each group.  [default: all]"),
]  # fmt: skip

_METHOD = [
    click.option(
        "--method", type=click.Choice(["pca", "umap", "tsne"]), default="umap", show_default=True,
        help="How points are placed: along the axes of most variance (pca), or so that near ones stay near "
        "(umap, tsne).",
    ),
    click.option(
        "--dims", type=click.IntRange(2, 3), default=2, show_default=True,
        help="Draw a plane (2) or a space (3).",
    ),
    click.option(
        "--fit", default="joint", show_default=True, metavar="joint|GROUP",
        help="Fit all groups together, or one of them: the others are then transformed.",
    ),
    click.option("--n-neighbors", type=int, help="Of UMAP.  [default: 15]"),
    click.option("--min-dist", type=float, help="Of UMAP, 0 to 1.  [default: 0.1]"),
    click.option("--perplexity", type=float, help="Of t-SNE.  [default: 30]"),
    click.option("--components", type=_POSITIVE, help="Of the PCA before UMAP and t-SNE.  [default: 50]"),
    click.option("--seed", type=int, default=42, show_default=True, help="Equal seeds, equal results."),
]  # fmt: skip

_FIGURE = [
    click.option(
        "--color-by", default="group", show_default=True, metavar="group|class|ATTRIBUTE|key:REGEX",
        help="What colour tells.",
    ),
    click.option(
        "--patient", metavar="key:REGEX",
        help="Finds the patient in a point's key: patients are then compared across groups.",
    ),
    click.option("--train", type=_PATH, metavar="STORE", help="Latents that a generator learned from."),
    click.option("--title", default="", help="Of the figure.  [default: the method and the groups]"),
    click.option("--subtitle", default="", help="A line below the title."),
    click.option(
        "--dpi", type=click.IntRange(20, 1200), default=200, show_default=True, help="Of the PNG."
    ),
    click.option("--formats", default="png,svg,html", show_default=True, help="Files of the figure."),
    click.option(
        "--texts", is_flag=True,
        help="Also write color_legend.txt and, of two groups with --patient, distance_metrics.txt and "
        "exams_sorted_by_distance.txt.",
    ),
]  # fmt: skip

_OF_IMAGES = ("checkpoint", "config_file", "patch_size", "batch_size", "device", "color")
_KINDS = ("png", "svg", "html")


def _with(*options: Iterable[Callable[[_Command], _Command]]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed([each for some in options for each in some]):
            command = option(command)
        return command

    return add


@click.group(name="analyze")
def command() -> None:
    """Draw latents, and measure how their groups lie to one another."""


@command.command(name="static", cls=WordedCommand)
@_with(_GROUPS)
@click.option("-o", "--output", required=True, type=_PATH, metavar="DIR", help="Folder of the results.")
@_with(_METHOD, _FIGURE)
@click.option("--overwrite", is_flag=True, help="Replace an earlier analysis in the same folder.")
def static(output: Path, train: Path | None, formats: str, **given: Any) -> None:
    """Place latents in a plane or in space, draw them, and measure their groups.

    LATENTS are stores of `voxloom encode`, one a group; a store of pairs is two groups. Writes the figure
    as PNG, SVG and HTML, coordinates.csv, legend.csv, and statistics as CSV and JSON.

    \b
    Examples:
      voxloom analyze static latents -o umap --color-by class
      voxloom analyze static --group real=mri_latents --group made=generated_latents -o out \\
        --fit real --train train_latents --patient 'key:^(p[0-9]+)'
    """
    kinds = _kinds(formats)
    sources = _sources(given, train)
    from voxloom.amounts import counted
    from voxloom.jobs.latent_analysis import AnalyzeOptions, analyze_latents
    from voxloom.jobs.latent_stores import open_latents

    options = AnalyzeOptions(max_points=given.pop("max_images"), formats=kinds, **given)  # type: ignore[arg-type]
    learned = open_latents({"train": train})["train"] if train else None
    with _Steps() as progress:
        found = analyze_latents(sources, output, train=learned, options=options, progress=progress)
    if is_quiet():
        return
    click.echo(found.statistics.table())
    click.echo(f"\n{counted(len(found.points), 'point')}, {found.projected.method.title}: {output}")
    for name in found.files:
        click.echo(f"  {name}")


@command.command(name="distances", cls=WordedCommand)
@_with(_GROUPS)
@click.option(
    "--keys", nargs=2, multiple=True, metavar="KEY_A KEY_B",
    help="Only the distance of two points: a key of the first group and one of the second; repeatable.",
)  # fmt: skip
@click.option(
    "--max-points", type=click.IntRange(min=4), default=4000, show_default=True,
    help="Compare at most so many points, each with each other; of more, a random sample.",
)  # fmt: skip
@click.option("--seed", type=int, default=42, show_default=True, help="Of the random sample and the test.")
@click.option(
    "-o", "--output", type=_PATH, metavar="DIR", help="Also write nearest.csv and distances.json here."
)
@click.option("--overwrite", is_flag=True, help="Replace them where they are there.")
def distances(
    keys: tuple[tuple[str, str], ...],
    max_points: int,
    seed: int,
    output: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Compare two groups of latents: MMD, Frechet distance, nearest neighbours.

    Two stores, or one store of pairs. With --keys and one group, both keys are of that group.

    \b
    Examples:
      voxloom analyze distances real_latents generated_latents
      voxloom analyze distances latents --keys p01_slice3 p02_slice3
    """
    sources, field = _sources(given), given["field"]
    from voxloom.analysis.latents import Points
    from voxloom.jobs.latent_distances import DistanceOptions, compare_latents, key_distance
    from voxloom.jobs.latent_stores import first_points

    points = Points.of_stores(first_points(sources, given["max_images"]), field=field)
    if keys:
        names = list(points.parts)
        for a, b in keys:
            click.echo(f"{a}  {b}  {key_distance(points, (names[0], a), (names[:2][-1], b)):.6g}")
        return
    options = DistanceOptions(max_points=max_points, seed=seed)
    with _Steps() as progress:
        found = compare_latents(points, options=options, progress=progress)
    if output is not None:
        found.save(output, overwrite=overwrite)
    click.echo(found.table())
    if found.frechet.notice and not is_quiet():
        click.echo(f"Frechet distance {found.frechet.notice}")
    if output is not None and not is_quiet():
        click.echo(f"{output / 'nearest.csv'} and {output / 'distances.json'}")


def _sources(given: dict[str, Any], train: Path | None = None) -> dict[str, Any]:
    """Take what names the groups out of `given`, and open all of them."""
    stores = named_paths(given.pop("groups"), "--group", "NAME=STORE")
    folders = named_paths(given.pop("images"), "--images")
    latents = given.pop("latents")
    how = {name: given.pop(name) for name in _OF_IMAGES}
    if not (latents or stores or folders):
        raise click.UsageError("expected stores of latents, as voxloom encode writes them.")
    if folders and not how["checkpoint"]:
        raise click.UsageError("--images are encoded first: name a VAE with --checkpoint.")
    idle = [name for name in _OF_IMAGES if _is_given(name)]
    if idle and not folders:
        raise click.UsageError(f"--{idle[0].replace('_', '-')} goes with --images NAME=FOLDER: name one.")
    _require([*latents, *stores.values(), *([train] if train else [])], folders, how["checkpoint"])
    from voxloom.jobs.latent_stores import named_stores, open_latents

    found = open_latents(named_stores(latents, stores))
    if both := found.keys() & folders.keys():
        raise click.UsageError(f"{min(both)!r} names two groups; expected different names.")
    return found | (_encoded(folders, how, given["max_images"]) if folders else {})


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def _require(stores: Iterable[Path], folders: dict[str, Path], checkpoint: str | None) -> None:
    """Tell a wrong path before what computes is loaded, which takes seconds."""
    from voxloom.jobs.reading import require_checkpoint, require_source, require_store

    if checkpoint is not None:
        require_checkpoint(checkpoint)
    for store in stores:
        require_store(store)
    for folder in folders.values():
        require_source(folder)


def _encoded(folders: dict[str, Path], how: dict[str, Any], most: int | None) -> dict[str, Any]:
    from voxloom.config import load_config
    from voxloom.jobs.latent_stores import FolderOptions, encode_folders
    from voxloom.jobs.progress import transfer

    files = how["config_file"]
    progress = None if is_quiet() else transfer("encoding")
    try:
        return dict(
            encode_folders(
                folders,
                how["checkpoint"],
                config=load_config("vae", files) if files else None,
                options=FolderOptions(
                    size=how["patch_size"] or None,
                    max_images=most,
                    batch_size=how["batch_size"],
                    device=how["device"],
                    color=how["color"],
                ),
                progress=progress,
            )
        )
    finally:
        if progress is not None:
            progress.close()


def _kinds(formats: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip().lower() for word in formats.split(",") if word.strip()))
    if not found:
        raise click.BadParameter(f"expected some of {', '.join(_KINDS)}.", param_hint="--formats")
    if wrong := [kind for kind in found if kind not in _KINDS]:
        raise click.BadParameter(
            f"{', '.join(wrong)}: expected some of {', '.join(_KINDS)}, with commas between.",
            param_hint="--formats",
        )
    return found


class _Steps:
    """A line on the terminal that says what is being done; none where nobody watches."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty() and not is_quiet()
        self._width = 0

    def __enter__(self) -> Callable[[float, str], None]:
        return self._tell

    def _tell(self, share: float, text: str) -> None:
        if self._is_shown:
            line = f"{share:4.0%}  {text}"
            click.echo(f"\r{line.ljust(self._width)}", nl=False, err=True)
            self._width = len(line)

    def __exit__(self, *error: object) -> None:
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", nl=False, err=True)
