import re

import click
import pytest

from voxloom.analysis.looking.finding import ADVICE
from voxloom.cli import cli
from voxloom.config import Config


def options():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield from (option for each in command.params for option in each.opts)


@pytest.mark.parametrize("name", ADVICE)
def test_cures_name_what_there_is(name):
    """Options of the commands, and keys of the configuration."""
    text = " ".join(ADVICE[name][1:])
    assert set(re.findall(r"--[a-z][a-z-]*", text)) <= set(options())
    for section, key in re.findall(r"\b([a-z_]+)\.([a-z_]+)\b", text):
        fields = Config.model_fields
        assert section in fields, text
        assert key in fields[section].annotation.model_fields, text
