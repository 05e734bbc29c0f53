"""``voxloom view``."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voxloom.cli.wording import WordedCommand

if TYPE_CHECKING:
    from voxloom.jobs.serving import VolumeServer

__all__ = ["command"]


@click.command(name="view", cls=WordedCommand)
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--labels", multiple=True, metavar="VOLUME", help="Show this volume as a segmentation; repeatable."
)
@click.option(
    "--port", type=click.IntRange(0, 65534), default=0,
    help="Of the viewer; the files are served on the next one.  [default: free ones]",
)  # fmt: skip
@click.option("--browser", is_flag=True, help="Open the link in the browser.")
@click.option("--viewer", metavar="URL", help="Another neuroglancer.  [default: that of voxloom[view]]")
@click.option(
    "--state", type=click.Path(path_type=Path), metavar="JSON",
    help="Write the viewer's state there, and print no link.",
)  # fmt: skip
@click.option("--unit", help="Taken where a volume names no unit of length, for instance nanometer.")
def command(
    paths: tuple[str, ...],
    labels: tuple[str, ...],
    port: int,
    browser: bool,
    viewer: str | None,
    state: Path | None,
    unit: str | None,
) -> None:
    """Show volumes in neuroglancer: print a link, and serve viewer and files for as long as it runs.

    The first volume comes first in the list of layers; label images below a volume come after it.
    Viewer and files are served by this machine to this machine alone, and only the volumes named; a
    link or a state that leads to them is good for as long as the command runs.

    \b
    Examples:
      voxloom view raw.zarr pred.zarr
      voxloom view raw.zarr --labels cells.zarr --browser
    """
    from voxloom.atomic import write_json
    from voxloom.jobs.stopping import interrupted_by_sigterm
    from voxloom.jobs.viewing import neuroglancer_link, neuroglancer_state, with_labels

    volumes = with_labels([*paths, *labels], unit=unit)
    local = [volume.path for volume in volumes if "://" not in volume.path]
    with ExitStack() as stack:
        address = viewer or _client(stack, port)
        server = stack.enter_context(_server(local, port and port + 1, address))
        places = dict(zip(local, server.urls, strict=True))
        urls = [places.get(volume.path, volume.path) for volume in volumes]
        made = neuroglancer_state(volumes, urls, labels=labels)
        link = neuroglancer_link(made, address)
        if state is not None:
            write_json(state, made)
            names = ", ".join(layer["name"] for layer in made["layers"])
            click.echo(f"{state} holds a state of neuroglancer with the layers {names}")
        else:
            click.echo(link)
            if browser:
                webbrowser.open(link)
        if local or not viewer:
            click.echo("serving until Ctrl-C", err=True)
            with suppress(KeyboardInterrupt), interrupted_by_sigterm():
                server.serve_forever()


def _client(stack: ExitStack, port: int) -> str:
    """Serve the viewer of the package, or name the one on the web where it is not installed."""
    from voxloom.errors import MissingExtraError
    from voxloom.jobs.neuroglancer_client import serving_client
    from voxloom.jobs.viewing import NEUROGLANCER

    try:
        return stack.enter_context(serving_client(port))
    except MissingExtraError as error:
        click.echo(f"{error} This link leads to {NEUROGLANCER}; the volumes stay here.", err=True)
        return NEUROGLANCER


def _server(folders: Sequence[str], port: int, viewer: str) -> VolumeServer:
    from voxloom.errors import ConfigError
    from voxloom.jobs.serving import VolumeServer

    try:
        return VolumeServer(folders, port, viewer=viewer)
    except OSError as error:
        raise ConfigError(
            f"port {port}, for the files: {error.strerror}. Name another --port, or none for free ones."
        ) from error
