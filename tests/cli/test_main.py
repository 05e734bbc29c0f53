import errno
import os

import click
import pytest

import voxloom
from voxloom.cli import COMMANDS, cli
from voxloom.errors import ConfigError, Interrupted


@pytest.fixture
def command(monkeypatch, call):
    """Return a function that calls a command which raises an error."""

    def fail(error):
        def raise_it(*args, **kwargs):
            raise error

        monkeypatch.setattr(cli, "get_command", lambda ctx, name: click.Command(name, callback=raise_it))
        return call("init")

    return fail


def test_each_command_has_a_help(call):
    top = call("--help")
    assert top.code == 0
    for name, (_, text) in COMMANDS.items():
        assert text.split(",")[0] in top.out
        shown = call(name, "--help")
        assert shown.code == 0, name
        assert "Usage" in shown.out
    for task in ("vae", "ldm", "regression", "pix2pix"):
        for name in ("train", "predict"):
            assert call(name, task, "--help").code == 0
    assert voxloom.__version__ in call("--version").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'"),
        (["train", "vea"], "No such command 'vea'"),
        (["train", "vae", "--batchsize", "2"], "Did you mean --batch-size|--batch-size"),
        (["train", "vae", "--batch-size", "many"], "'many' is not a valid integer"),
        (["train", "vae", "--set", "seed"], "expected KEY=VALUE"),
        (["train", "vae", "--set", "seed=[1"], "the value cannot be read"),
        (["predict", "vae"], "Missing option '--checkpoint'"),
        (["predict", "ldm", "--checkpoint", "x", "--steps", "0"], "0 is not in the range"),
        (["predict", "ldm", "--checkpoint", "x", "--num-samples", "-1"], "-1 is not in the range"),
    ],
)
def test_a_slip_of_the_pen_is_told_and_ends_with_2(call, arguments, message):
    failed = call(*arguments)
    assert failed.code == 2
    assert any(part in failed.err for part in message.split("|")), failed.err


def test_errors_are_one_message_and_code_1(command):
    failed = command(ConfigError("seed: 'x' is not allowed."))
    assert (failed.code, failed.err) == (1, "error: seed: 'x' is not allowed.\n")


def test_an_interruption_says_how_to_go_on_and_ends_with_130(command):
    """click puts an exception of its own in the place of every KeyboardInterrupt."""
    stopped = command(Interrupted("stopped at step 3. Go on with: this"))
    assert stopped.code == 130
    assert "stopped at step 3. Go on with: this" in stopped.err
    assert command(KeyboardInterrupt()).code == 130


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_told_with_the_cure(command, number):
    failed = command(OSError(number, os.strerror(number), "runs/a/metrics.jsonl"))
    assert failed.code == 1
    assert f"could not write runs/a/metrics.jsonl: {os.strerror(number)}." in failed.err


def test_what_nobody_foresaw_keeps_its_traceback(command):
    with pytest.raises(RuntimeError, match="a fault of ours"):
        command(RuntimeError("a fault of ours"))
    with pytest.raises(OSError, match="another"):
        command(OSError(errno.EIO, "another"))
