"""The first things a person types. How long they take is measured in benchmarks/startup.py."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import voxloom
from voxloom.cli import COMMANDS, cli


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "voxloom", *arguments], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands_with_a_line_each(flag):
    code, output, errors = run(flag)
    assert (code, errors) == (0, "")
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in output
        assert line in " ".join(output.split())


def test_version_is_the_packages_own():
    assert run("--version") == (0, f"voxloom, version {voxloom.__version__}\n", "")


def test_a_mistyped_command_names_the_nearest():
    code, output, errors = run("trian")
    assert (code, output) == (2, "")
    assert "No such command 'trian'. Did you mean 'train'?" in errors


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="voxloom")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output.startswith(f"Usage: voxloom {name} ")


def test_names_of_the_root_load_when_they_are_used():
    assert sorted(voxloom.__all__) == dir(voxloom)
    assert voxloom.Sample.__module__ == "voxloom.sample"
    with pytest.raises(AttributeError, match="module 'voxloom' has no attribute 'Sampel'"):
        _ = voxloom.Sampel
