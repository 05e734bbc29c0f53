"""The library's messages in the words of the command line: options, and not Python."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from voxloom.errors import Interrupted, VoxloomError

__all__ = ["RememberedCommand", "WordedCommand", "again", "is_quiet", "reworded"]

_OPTIONS = (
    "check|compression|dask|encoding|format|interpolation|layout|mode|on_error|quality|samples_per_shard|"
    "shard_bytes|size|unit|workers"
)


def _shards(found: re.Match[str]) -> str:
    return f"--shard was {found[1].replace(',', '')}, now {found[2].replace(',', '')}"


_TABLE: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (
        r"Name the folder of each field, for instance fields=\{[^}]*\}",
        "Name the folder of each field in the place of it: --image NAME=FOLDER --mask NAME=FOLDER",
    ),
    (r"images=\[[^\]]*\]", "--images COLUMN"),
    (r"masks=\[[^\]]*\]", "--masks COLUMN"),
    (r", or set unmatched='drop' to leave these out", ", or take these out"),
    (r"\bspacing=\(z, y, x\)", "--spacing Z Y X"),
    # A prediction's plan has the names of Python.
    (r"\bunit was \[([\d, ]+)\], now \[([\d, ]+)\]", _shards),
    (r"\b(resume|overwrite) \(--\1\)", r"--\1"),
    (r"\b(resume) and (overwrite)\b", r"--\1 and --\2"),
    (r"\b(use|with) (resume|overwrite)\b", r"\1 --\2"),
    (rf"(?<![-\w])({_OPTIONS})=(?:'([^']*)'|([\w;.]+))", lambda m: f"{_option(m[1])} {m[2] or m[3]}"),
    (rf"(?m)^({_OPTIONS})(?=[.:\d])(?:\.\d+)?:", lambda m: f"{_option(m[1])}:"),
)
_FIELDS = re.compile(r"fields=\{([^}]*)\}")
_PAIR = re.compile(r'"([^"]*)": "([^"]*)"')


def reworded(text: str, base: Path | None = None) -> str:
    """Return a message as a person at a terminal can follow it.

    Parameters
    ----------
    text
        A message of the library.
    base
        The path that the command reads: the folders of fields lie below it.

    Examples
    --------
    >>> reworded("Leave such samples out with on_error='skip'.")
    'Leave such samples out with --on-error skip.'
    >>> reworded('open them as pairs: fields={"image": "a b", "mask": "m"}.', Path("data"))
    "open them as pairs: --image image='data/a b' --mask mask=data/m."
    """
    for pattern, words in _TABLE:
        text = re.sub(pattern, words, text)
    return _FIELDS.sub(lambda match: _named(match[1], base), text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _named(fields: str, base: Path | None) -> str:
    """Write the folders of fields as options; a name says whether it is a mask."""
    words = []
    for name, folder in _PAIR.findall(fields):
        mask = name.lower().startswith(("mask", "label", "annot", "seg", "instance"))
        path = shlex.quote(str((base or Path()) / folder))
        words.append(f"--{'mask' if mask else 'image'} {name}={path}")
    return " ".join(words)


def is_quiet() -> bool:
    """Return whether only what went wrong is to be said (``voxloom -q``)."""
    return bool(click.get_current_context().find_root().params.get("quiet"))


class WordedCommand(click.Command):
    """A command whose errors and warnings name options, and not arguments of Python."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        base = _base(ctx)
        with _worded_log(base):
            try:
                return super().invoke(ctx)
            except Interrupted:
                raise
            except VoxloomError as error:
                text = _with_color(reworded(str(error), base), self)
                if text == str(error):
                    raise
                raise type(error)(text) from error


class RememberedCommand(WordedCommand):
    """A command that knows how it was called, to say how it is called again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line."""
        ctx.meta["voxloom.words"] = list(args)
        return super().parse_args(ctx, args)


def again(*without: str) -> str:
    """Return the command line that this command was called with, without some of its flags."""
    context = click.get_current_context()
    kept = [word for word in context.meta["voxloom.words"] if word not in without]
    return shlex.join(["voxloom", str(context.info_name), *kept])


def _with_color(text: str, command: click.Command) -> str:
    """Name the option for colour images where the command has one."""
    has_one = any(option.name == "color" for option in command.params)
    return text.replace("set the policy color='luma'", "give --color luma") if has_one else text


def _base(ctx: click.Context) -> Path | None:
    """Return the path that is read: SRC, PATH or --against."""
    given = ctx.params.get("paths") or (ctx.params.get("path") or ctx.params.get("against"),)
    return given[0] if isinstance(given[0], Path) else None


@contextmanager
def _worded_log(base: Path | None) -> Iterator[None]:
    """Reword what the library logs for as long as the block runs."""

    def reword(record: logging.LogRecord) -> bool:
        if record.name.startswith("voxloom"):
            record.msg, record.args = reworded(record.getMessage(), base), ()
        return True

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(reword)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(reword)
