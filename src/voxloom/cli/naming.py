"""Options that name a source, the same for each command that reads one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["LAYOUTS", "layout_option", "named_paths", "naming_options", "take_naming"]

LAYOUTS = ("auto", "classes", "flat", "pairs", "table", "tar", "older", "store", "volume")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def layout_option(what: str) -> Callable[[_Command], _Command]:
    """Return the option that says how a path lies on disk."""
    return click.option(
        "--layout", type=click.Choice(LAYOUTS), default="auto", show_default=True,
        help=f"How {what} lies on disk.",
    )  # fmt: skip


def naming_options(what: str) -> Callable[[_Command], _Command]:
    """Return the options that say what a source is: its layout, its columns, or its folders."""
    options = [
        layout_option(what),
        click.option(
            "--image",
            multiple=True,
            metavar="NAME=FOLDER",
            help=f"In place of {what}: a folder of images; repeatable.",
        ),
        click.option(
            "--mask", multiple=True, metavar="NAME=FOLDER", help="A folder of masks to go with them."
        ),
        click.option(
            "--images",
            multiple=True,
            metavar="COLUMN",
            help="Of a table: a column with paths of images; repeatable.  [default: found]",
        ),
        click.option(
            "--masks", multiple=True, metavar="COLUMN", help="Of a table: a column with paths of masks."
        ),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def take_naming(given: dict[str, Any], what: str) -> dict[str, Any]:
    """Take the naming options out of `given`, and return them as those of `SourceOptions`."""
    folders = {name: named_paths(given.pop(name), f"--{name}") for name in ("image", "mask")}
    columns = {name: given.pop(name) for name in ("images", "masks")}
    if both := folders["image"].keys() & folders["mask"].keys():
        raise click.UsageError(f"{min(both)!r} is named as an image and as a mask; expected two names.")
    if both := set(columns["images"]) & set(columns["masks"]):
        raise click.UsageError(f"column {min(both)!r} is named as images and as masks; expected one of them.")
    layout = given.pop("layout")
    if any(folders.values()):
        if layout != "auto":
            raise click.UsageError(
                f"--layout tells how {what} lies on disk; with --image there is no {what}."
            )
        if any(columns.values()):
            raise click.UsageError(
                f"--images and --masks name columns of {what}, a table; with --image there is no {what}."
            )
    return {
        "layout": layout,
        "images": folders["image"],
        "masks": folders["mask"],
        "image_columns": columns["images"],
        "mask_columns": columns["masks"],
    }


def named_paths(words: Iterable[str], option: str, expected: str = "NAME=FOLDER") -> dict[str, Path]:
    """Return paths by their names; refuse a name that is given twice."""
    folders: dict[str, Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise click.BadParameter(f"{word!r}: expected {expected}.", param_hint=option)
        if name in folders:
            raise click.BadParameter(f"{name!r} is named twice.", param_hint=option)
        folders[name] = Path(folder)
    return folders
