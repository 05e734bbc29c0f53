"""``voxloom explore``."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import layout_option
from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_POSITIVE = click.IntRange(min=1)
_PARAMETERS = ("n_neighbors", "min_dist", "perplexity")
_ENCODING = ("max_images", "patch_size", "batch_size", "color")


@click.command(name="explore", cls=WordedCommand)
@click.argument("stores", nargs=-1, type=_PATH)
@click.option("--group", multiple=True, metavar="NAME=STORE", help="A store by the name of its group.")
@click.option("--field", help="Field of vectors in the stores.  [default: the posterior means, *_mu]")
@click.option(
    "--images", type=_PATH, metavar="SOURCE",
    help="Pictures of the points, by their keys.  [default: what was encoded]",
)  # fmt: skip
@layout_option("--images")
@click.option(
    "--checkpoint", type=_PATH,
    help="A run: decodes between two points; one of a latent model, a regression or pix2pix translates.",
)  # fmt: skip
@click.option(
    "--encode", multiple=True, metavar="NAME=FOLDER",
    help="A group of images that are encoded first, with --checkpoint.",
)  # fmt: skip
@click.option("--max-images", type=_POSITIVE, help="Only the first points of each group.  [default: all]")
@click.option(
    "--patch-size", nargs=2, type=_POSITIVE, metavar="H W",
    help="Size that images of --encode are brought to.  [default: that of the training]",
)  # fmt: skip
@click.option(
    "--batch-size", type=_POSITIVE, default=8, show_default=True, help="How many images of --encode at once."
)
@click.option(
    "--color", type=click.Choice(["error", "luma"]),
    help="Colour in --encode: an error, or its brightness (luma).  [default: as in the training]",
)  # fmt: skip
@click.option(
    "-c", "--config-file", type=click.Path(), multiple=True,
    help="Configuration that bare weights of an older system were trained with; else not needed.",
)  # fmt: skip
@click.option("--device", help="Of the checkpoint: cpu or cuda:1.  [default: a GPU if there is one]")
@click.option(
    "--color-by", default="group", show_default=True, metavar="group|class|ATTRIBUTE|key:REGEX",
    help="What colour tells at first.",
)  # fmt: skip
@click.option(
    "--patient", metavar="key:REGEX", help="Finds the patient in a point's key, to colour and filter by."
)
@click.option(
    "--method", type=click.Choice(["pca", "umap", "tsne"]), default="pca", show_default=True,
    help="Shown first.",
)  # fmt: skip
@click.option(
    "--fit", default="joint", show_default=True, metavar="joint|GROUP",
    help="Fit all groups together, or one of them: the others are then transformed.",
)  # fmt: skip
@click.option("--n-neighbors", type=int, help="Of UMAP, at first.  [default: 15]")
@click.option("--min-dist", type=float, help="Of UMAP, at first.  [default: 0.1]")
@click.option("--perplexity", type=float, help="Of t-SNE, at first.  [default: 30]")
@click.option("--seed", type=int, default=42, show_default=True, help="Of projections and translations.")
@click.option("--title", default="", help="Above the page.  [default: the groups]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8050, show_default=True,
    help="Taken: the next free one.",
)  # fmt: skip
@click.option("--browser/--no-browser", default=False, help="Open the page.  [default: print its address]")
def command(stores: tuple[Path, ...], port: int, browser: bool, **given: Any) -> None:
    """Explore latents in the browser: a scatter of all points, their images, and what lies between.

    The page is served to this machine alone, until Ctrl-C.

    \b
    Examples:
      voxloom explore latents --checkpoint runs/vae
      voxloom explore --group ct=latents/ct --group mr=latents/mr --patient "key:_([0-9]+)$"
      voxloom explore --encode ct=scans/ct --encode mr=scans/mr --checkpoint runs/vae
    """
    session = _session(stores, given)
    from voxloom.jobs.exploring import serve

    def ready(url: str) -> None:
        click.echo(f"exploring {len(session.points):,} points at {url} until Ctrl-C")
        if browser:
            webbrowser.open(url)

    if not serve(session, port, ready):
        # A network is at work in a thread. Python would wait for nothing and abort in the midst of it.
        sys.stdout.flush()
        os._exit(0)


def _session(stores: Sequence[Path], given: dict[str, Any]) -> Any:
    groups, folders = (_named(given.pop(name), f"--{name}") for name in ("group", "encode"))
    if folders and given["checkpoint"] is None:
        raise click.UsageError("--encode needs --checkpoint, a run or weights of a VAE.")
    _require([*stores, *groups.values()], folders, given)
    from voxloom.config import load_config
    from voxloom.jobs.exploring import ExploreOptions, open_session
    from voxloom.jobs.latent_stores import named_stores, open_latents
    from voxloom.jobs.reading import SourceOptions

    files = given.pop("config_file")
    config = load_config("vae", files) if files else None
    how = {name: given.pop(name) for name in _ENCODING}
    parameters = {name: value for name in _PARAMETERS if (value := given.pop(name)) is not None}
    options = ExploreOptions(
        config=config,
        max_points=how["max_images"],
        parameters=parameters,
        source=SourceOptions(layout=given.pop("layout")),
        **given,
    )
    if not (stores or groups or folders):
        raise click.UsageError("expected a STORE as voxloom encode writes them, or folders as --encode.")
    sources = open_latents(named_stores(stores, groups)) if stores or groups else {}
    return open_session(sources | _encoded(folders, options, how), options)


def _require(stores: Iterable[Path], folders: dict[str, Path], given: dict[str, Any]) -> None:
    """Tell a wrong path before what computes is loaded, which takes seconds."""
    from voxloom.jobs.reading import require_checkpoint, require_source, require_store

    for store in stores:
        require_store(store)
    for source in (*folders.values(), given["images"]):
        if source is not None:
            require_source(source)
    if given["checkpoint"] is not None:
        require_checkpoint(given["checkpoint"])


def _encoded(folders: dict[str, Path], options: Any, how: dict[str, Any]) -> dict[str, Any]:
    from voxloom.jobs.latent_stores import FolderOptions, encode_folders
    from voxloom.jobs.progress import transfer

    if not folders:
        return {}
    progress = transfer("encoding") if sys.stderr.isatty() and not is_quiet() else None
    chosen = FolderOptions(
        size=how["patch_size"],
        max_images=how["max_images"],
        batch_size=how["batch_size"],
        device=options.device,
        color=how["color"],
    )
    try:
        return encode_folders(
            folders, options.checkpoint, config=options.config, options=chosen, progress=progress
        )
    finally:
        if progress is not None:
            progress.close()


def _named(words: Iterable[str], option: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path) or name in found:
            raise click.BadParameter(f"{word!r}: expected NAME=PATH, each name once.", param_hint=option)
        found[name] = Path(path)
    return found
