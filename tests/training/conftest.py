"""Runs of a few steps: data once for all tests, and a stop request at a chosen step."""

import json
from contextlib import contextmanager

import pytest
import torch

from voxloom.errors import Interrupted
from voxloom.jobs import train
from voxloom.jobs.latents import latents_of
from voxloom.jobs.objectives import build_objective, images_of, pairs_of
from voxloom.loading import Loader, Order
from voxloom.models.checkpoint import read_checkpoint
from voxloom.ranks import Rank
from voxloom.sources import Parts
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import small_config
from voxloom.training import Job, Run, Trainer, trainer

SECTION = {
    "vae": "autoencoder_train",
    "ldm": "diffusion_train",
    "regression": "regression_train",
    "pix2pix": "pix2pix_train",
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Ten pairs: with a split of 0.8 eight of them train, so that 20 steps are 5 epochs of 4."""
    return write_pairs(tmp_path_factory.mktemp("data"), 10)


@pytest.fixture(scope="session")
def vae(pairs, tmp_path_factory):
    """A trained first stage."""
    return Runner(pairs)("vae", tmp_path_factory.mktemp("stage1") / "vae")


class Runner:
    """Trains small runs; twenty steps where nothing else is said."""

    def __init__(self, pairs):
        self.pairs = pairs

    def config(self, task, run_dir, **overrides):
        section = SECTION[task]
        twenty = {
            "train_split": 0.8,
            f"{section}.batch_size": 4 if task == "vae" else 2,
            f"{section}.max_epochs": 5,
        }
        given = {key.replace("__", ".").replace("TRAIN", section): value for key, value in overrides.items()}
        return small_config(task, self.pairs, run_dir, {**twenty, **given})

    def __call__(self, task, run_dir, *, resume=None, **overrides):
        return train(task, self.config(task, run_dir, **overrides), resume=resume)

    def trainer(self, task, run_dir, *, rank=None, **overrides):
        """A trainer that has not begun, for a look inside."""
        config, rank, cpu = self.config(task, run_dir, **overrides), rank or Rank(), torch.device("cpu")
        parts = Parts(config.layout, "images" if task == "vae" else "pairs", config.seed)
        if task == "ldm":
            material = latents_of(config, parts, rank, cpu, lambda _: None)
        else:
            material = images_of(config, parts) if task == "vae" else pairs_of(config, task, parts)
        settings = config.settings(task)
        loaders = [
            Loader(
                source,
                transform,
                order=Order(
                    length=len(source), batch_size=settings.batch_size, seed=config.seed, shuffle=shuffle,
                    rank=rank.index, world=rank.world,
                ),
                seed=config.seed,
            )
            for source, transform, shuffle in (
                (material.train, material.train_transform, True),
                (material.validation, material.validation_transform, False),
            )
        ]  # fmt: skip
        run = Run(config.run_dir)
        if rank.is_main:
            run.create(task, config.model_dump(mode="json"))
        facts = {
            "task": task,
            "config": config.model_dump(mode="json"),
            "split": parts.split.model_dump(mode="json"),
        }
        job = Job(run, rank, cpu, config.seed, facts)
        return Trainer(build_objective(task, config, material), *loaders, settings, job, [])


@pytest.fixture
def go(pairs):
    return Runner(pairs)


@pytest.fixture
def stop_after(monkeypatch):
    """Return a function that makes the next run stop after so many steps, as after Ctrl-C."""

    def plan(steps):
        class Scripted:
            polls = 0

            @property
            def requested(self):  # asked once after each step
                self.polls += 1
                return self.polls == steps

        @contextmanager
        def scripted():
            yield Scripted()

        monkeypatch.setattr(trainer, "stop_on_signals", scripted)

    return plan


@pytest.fixture
def interrupted(go, stop_after, monkeypatch):
    """Return a function that trains some steps, stops, and goes on to the end."""

    def run(task, run_dir, *, steps, **overrides):
        stop_after(steps)
        with pytest.raises(Interrupted, match=f"stopped at step {steps}"):
            go(task, run_dir, **overrides)
        monkeypatch.undo()
        return go(task, run_dir, resume="auto", **overrides)

    return run


def rows_of(run):
    """The metrics without what the clock tells."""
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("time", "images_per_second")} for row in rows]


@pytest.fixture
def rows():
    return rows_of


@pytest.fixture
def final():
    """Return a function that reads a run's final state, without its clock and its paths."""

    def read(run, name="final"):
        state = read_checkpoint(run.checkpoints / f"{name}.pt")
        del state["seconds"], state["config"]
        return state

    return read
