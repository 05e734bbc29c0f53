"""``voxloom view``."""

from __future__ import annotations

from pathlib import Path

import click

from voxloom.cli.wording import WordedCommand

__all__ = ["command"]


@click.command(name="view", cls=WordedCommand)
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the local server.  [default: a free one]"
)
@click.option("--viewer", help="Address of another neuroglancer.")
@click.option(
    "--state", type=click.Path(path_type=Path), metavar="JSON",
    help="Write the viewer's state there, and print no link.",
)  # fmt: skip
@click.option("--unit", help="Taken where a volume names no unit of length, for instance nanometer.")
def command(
    paths: tuple[str, ...], port: int, viewer: str | None, state: Path | None, unit: str | None
) -> None:
    """Show volumes in neuroglancer: print a link, and serve local files for as long as it runs.

    The first volume comes first in the list of layers; label images below a volume come after it.
    Local files are served to this machine alone, to the viewer alone, and only the volumes named; a link or
    a state that leads to them is good for as long as the command runs.

    \b
    Example:
      voxloom view raw.zarr pred.zarr
    """
    from voxloom.atomic import write_json
    from voxloom.jobs.serving import VolumeServer
    from voxloom.jobs.viewing import NEUROGLANCER, neuroglancer_link, neuroglancer_state, with_labels

    volumes = with_labels(paths, unit=unit)
    local = [volume.path for volume in volumes if "://" not in volume.path]
    viewer = viewer or NEUROGLANCER
    with VolumeServer(local, port, viewer=viewer) as server:
        places = dict(zip(local, server.urls, strict=True))
        made = neuroglancer_state(volumes, [places.get(volume.path, volume.path) for volume in volumes])
        if state is not None:
            write_json(state, made)
            names = ", ".join(layer["name"] for layer in made["layers"])
            click.echo(f"{state} holds a state of neuroglancer with the layers {names}")
        else:
            click.echo(neuroglancer_link(made, viewer))
        if local:
            click.echo("serving the files until Ctrl-C", err=True)
            server.serve_forever()
