"""The command line in this process: what it prints, and the code that it leaves with."""

import json
from types import SimpleNamespace

import pytest
import torch

from voxloom.cli import main
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import write_recipe


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Eight pairs that no test may change."""
    return write_pairs(tmp_path_factory.mktemp("data"), 8)


@pytest.fixture
def call(capsys, caplog):
    """Return a function that runs a command line."""

    def run(*arguments):
        capsys.readouterr()
        caplog.clear()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code or 0
        printed = capsys.readouterr()
        told = [record.getMessage() for record in caplog.records]
        return SimpleNamespace(code=code, out=printed.out, err=printed.err, log="\n".join(told))

    return run


@pytest.fixture
def recipe(tmp_path, pairs):
    """A file with the small configuration, on data that no test may change."""
    return write_recipe(tmp_path / "small.json", pairs)


@pytest.fixture
def train(call, recipe, tmp_path):
    """Return a function that trains a small run: ``train("vae", "run", "--lr", 1)``."""

    def run(task, name, *arguments):
        return call("train", task, "-c", recipe, "--run-dir", tmp_path / name, *arguments)

    return run


@pytest.fixture(scope="session")
def trained(pairs, tmp_path_factory):
    """Finished runs of all tasks, which no test may change."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = write_recipe(folder / "small.json", pairs, autoencoder_path=str(folder / "vae"))
    for task in ("vae", "ldm", "regression", "pix2pix"):
        main(["train", task, "-c", str(recipe), "--run-dir", str(folder / task)])
    return folder


@pytest.fixture
def rows():
    """Return a function that reads a run's metrics without what the clock tells."""

    def read(run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in ("time", "images_per_second")} for row in lines]

    return read
