"""``voxloom explore``."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from voxloom.cli.naming import layout_option
from voxloom.cli.wording import WordedCommand, is_quiet

__all__ = ["command", "run"]

_PORT = click.IntRange(0, 65535)


@click.command(name="explore", cls=WordedCommand)
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--group", multiple=True, metavar="NAME=STORE", help="A store and the name of its group; repeatable."
)
@click.option(
    "--images", type=click.Path(path_type=Path), metavar="SOURCE",
    help="Images of the points, by their keys.  [default: those that were encoded]",
)  # fmt: skip
@layout_option("--images")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path),
    help="A run: decodes between two points, and translates images where it is a latent model, a "
    "regression or pix2pix.",
)  # fmt: skip
@click.option("--field", help="Field of vectors in the stores.  [default: posterior means]")
@click.option("--patient", metavar="REGEX", help="Finds the patient in a key, to colour and filter by.")
@click.option("--fit", default="joint", show_default=True, help="joint, or the group to fit alone.")
@click.option("--method", default="pca", show_default=True, help="Shown first: pca, umap or tsne.")
@click.option("--title", default="", help="Above the page.")
@click.option("--seed", type=int, default=42, show_default=True, help="Of projections and translations.")
@click.option("--device", help="Of the checkpoint, for instance cpu.  [default: a GPU if there is one]")
@click.option("--port", type=_PORT, default=8050, show_default=True, help="If taken, the next free one.")
@click.option("--browser/--no-browser", default=False, help="Open the page in the browser.")
def command(stores: tuple[Path, ...], group: tuple[str, ...], port: int, browser: bool, **given: Any) -> None:
    """Explore latents in the browser: a scatter of all points, their images, and what lies between.

    The page is served to this machine alone, until Ctrl-C.

    \b
    Examples:
      voxloom explore latents --checkpoint runs/vae
      voxloom explore --group ct=latents/ct --group mr=latents/mr --patient "_([0-9]+)$"
    """
    from voxloom.jobs.exploring import ExploreOptions
    from voxloom.jobs.latent_stores import named_stores, open_latents
    from voxloom.jobs.reading import SourceOptions

    if not stores and not group:
        raise click.UsageError("expected at least one STORE, as voxloom encode writes them.")
    patient, layout = given.pop("patient"), given.pop("layout")
    labels = {} if patient is None else {"patient": f"key:{patient}"}
    options = ExploreOptions(labels=labels, source=SourceOptions(layout=layout), **given)
    run(open_latents(named_stores(stores, _named(group))), options, port=port, browser=browser)


def run(sources: Any, options: Any, *, port: int, browser: bool) -> None:
    """Serve the page of some latents, and say where."""
    from voxloom.jobs.exploring import open_session, serve

    def ready(url: str) -> None:
        if not is_quiet():
            click.echo(f"exploring {len(session.points):,} points at {url} until Ctrl-C")
        if browser:
            webbrowser.open(url)

    session = open_session(sources, options)
    serve(session, port, ready)


def _named(words: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path) or name in found:
            raise click.BadParameter(f"{word!r}: expected NAME=STORE, each name once.", param_hint="--group")
        found[name] = Path(path)
    return found
