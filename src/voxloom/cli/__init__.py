"""The command line. Each command loads its own module when it is called, so that help is instant."""

from __future__ import annotations

import errno
import logging
import sys
from importlib import import_module
from typing import Any

import click

from voxloom import __version__
from voxloom.errors import Interrupted, VoxloomError
from voxloom.ranks import Rank

__all__ = ["cli", "main"]

COMMANDS = {
    "analyze": ("voxloom.cli.analyze:command", "Draw latents, and measure how their groups lie."),
    "bench": ("voxloom.cli.bench:command", "Time how fast images can be read, and what bounds it."),
    "convert": ("voxloom.cli.convert:command", "Bring images into a store of shards."),
    "demo": ("voxloom.cli.demo:command", "Run the whole way on shipped images, in minutes."),
    "encode": ("voxloom.cli.encode:command", "Encode images with a VAE into a store of latents."),
    "evaluate": ("voxloom.cli.evaluate:command", "Measure predictions against targets."),
    "explore": ("voxloom.cli.explore:command", "Explore latents on a page in the browser."),
    "export": ("voxloom.cli.export:command", "Write a checkpoint's weights as safetensors."),
    "init": ("voxloom.cli.init:command", "Write the shipped configurations into a folder."),
    "inspect": ("voxloom.cli.inspect:command", "Say what a store, a folder of images or a volume holds."),
    "pack": ("voxloom.cli.pack:command", "Copy the volumes of a split for training."),
    "predict": ("voxloom.cli.predict:command", "Reconstruct or translate images, or segment a volume."),
    "report": ("voxloom.cli.report:command", "Write one self-contained HTML report."),
    "runs": ("voxloom.cli.runs:command", "List the runs below a folder."),
    "train": ("voxloom.cli.train:command", "Train a VAE, a latent model, a translator or a segmenter."),
    "verify": ("voxloom.cli.verify:command", "Check a store against its digests and its source."),
    "view": ("voxloom.cli.view:command", "Show volumes in neuroglancer, in the browser."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command where there is none of that name."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from voxloom.registry import did_you_mean

            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="voxloom")
@click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
def cli(quiet: bool) -> None:
    """Microscope and scanner files, woven into trained models.

    Start with `voxloom demo`; then `voxloom init` for configurations of your own.
    """
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.WARNING, format="%(message)s", stream=sys.stderr
    )
    logging.getLogger("voxloom").setLevel(logging.ERROR if quiet else logging.INFO)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 1 for an error, 130 after Ctrl-C."""
    try:
        cli.main(arguments, standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        # click puts its own exception in the place of ours, which says how to go on.
        told = next((e for e in (stop, stop.__cause__) if isinstance(e, Interrupted)), _STOPPED)
        if Rank.from_environment().is_main:  # the others would say the same
            click.echo(f"\n{told}", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except VoxloomError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f" {error.filename}" if error.filename else ""
        click.echo(f"error: could not write{where}: {error.strerror}. {_DISK[error.errno]}", err=True)
        sys.exit(1)


_STOPPED = "stopped. Give the same command again: it goes on where it can, or begins anew."

_DISK = {
    errno.ENOSPC: "Free some space or name another folder, then go on.",
    errno.EDQUOT: "Free some of your quota or name another folder, then go on.",
    errno.EACCES: "Name a folder that is yours, or have its rights changed.",
    errno.EROFS: "Name a folder that can be written.",
}
"""What the system says when something cannot be written, and the cure."""
