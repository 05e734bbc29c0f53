"""Train a task from its configuration: data, objective, run, loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from voxloom.atomic import write_json
from voxloom.config import Config, Task
from voxloom.errors import CheckpointError, Interrupted, MissingExtraError, VoxloomError
from voxloom.jobs.data import Data, Place, data_of
from voxloom.jobs.device import device_name, device_of
from voxloom.jobs.memory import keep_freed_memory
from voxloom.jobs.objectives import Material, build_objective
from voxloom.jobs.outputs import refuse_among
from voxloom.jobs.progress import Bar
from voxloom.loading import Loader, Order
from voxloom.models.checkpoint import read_checkpoint
from voxloom.ranks import Rank
from voxloom.training import TRACKERS, Job, Run, Tracker, Trainer
from voxloom.training.distributed import process_group, wait_for_all
from voxloom.training.tracking import LogTracker, ProgressTracker

__all__ = ["train"]

logger = logging.getLogger(__name__)


def train(
    task: Task,
    config: Config,
    *,
    resume: str | Path | Literal["auto"] | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
    begun: Callable[[Config], object] | None = None,
) -> Run:
    """Train a task and return its run.

    Parameters
    ----------
    task
        ``vae``, ``ldm``, ``regression``, ``pix2pix`` or ``segmentation``.
    config
        Everything that the run depends on.
    resume
        A run folder or a checkpoint file to go on from; ``auto`` goes on where the run has a
        checkpoint and starts where it has none; None follows `config.resume_ckpt`.
    overwrite
        Replace a run that is there already.
    show_progress
        Show bars in the terminal.
    begun
        Told the configuration when the data are open and the run's folder is there, by the main process.

    Raises
    ------
    OutputExistsError
        When the run's folder holds something and neither `resume` nor `overwrite` was said.
    Interrupted
        After Ctrl-C or SIGTERM, with the state saved and the message saying how to go on.
    """
    rank = Rank.from_environment()
    device = device_of(config.device, rank)
    run = Run(config.run_dir)
    refuse_among(run.folder, data_of(task, config).folders(config), "Name another folder with --run-dir.")
    if device.type == "cpu":
        keep_freed_memory()
    with process_group(rank, device):
        # Every rank decides before the main one creates anything.
        checkpoint = _checkpoint(run, config, resume)
        is_new = checkpoint is None or not _is_within(checkpoint, run)
        if is_new:
            # With `auto`, a run that has no checkpoint yet starts where it was going to.
            run.check_free(overwrite=overwrite or (resume == "auto" and run.exists))
        wait_for_all()
        session = _Session(task, config, run, rank, device, show_progress and rank.is_main, begun)
        return session.train(checkpoint, is_new=is_new)


@dataclass
class _Session:
    """One process's part of one run."""

    task: Task
    config: Config
    run: Run
    rank: Rank
    device: torch.device
    show_progress: bool
    announce: Callable[[Config], object] | None = None
    begun: bool = False
    """Whether the run is ours to change: it is new, or its checkpoint has been taken up."""

    def train(self, checkpoint: Path | None, *, is_new: bool) -> Run:
        state = self._state(checkpoint)
        data: Data = data_of(self.task, self.config)(
            self.task, self.config, state, Place(self.rank, self.device, self._bar)
        )
        self.config = data.config
        if self.rank.is_main:
            self._open(data, is_new=is_new)
        wait_for_all()
        again = f"voxloom train {self.task} --resume {self.run.folder}"
        try:
            return self._train(state, data)
        except Interrupted as stop:
            self._status("interrupted")
            raise Interrupted(f"{stop} Go on with: {again}") from None
        except KeyboardInterrupt:
            self._status("interrupted")
            if not self.run.has_checkpoint:
                raise Interrupted(
                    "stopped before the first checkpoint. Begin anew with the same command and --overwrite."
                ) from None
            raise Interrupted(f"stopped at once; the last checkpoint is kept. Go on with: {again}") from None
        except (VoxloomError, OSError, RuntimeError) as error:
            self._status("failed", error=str(error))
            raise

    def _state(self, checkpoint: Path | None) -> dict[str, Any] | None:
        if checkpoint is None:
            return None
        state = read_checkpoint(checkpoint)
        if state["task"] != self.task:
            raise CheckpointError(
                f"{checkpoint} is a checkpoint of task {state['task']!r}: expected one of {self.task!r}. "
                f"Go on with: voxloom train {state['task']} --resume {checkpoint}"
            )
        return state

    def _open(self, data: Data, *, is_new: bool) -> None:
        """Make the run's folder, or take it up again, and tell what is trained on."""
        told = data.describe()  # it may read samples: not with a folder half made
        if is_new:
            self.run.create(self.task, self.config.model_dump(mode="json"), overwrite=self.run.exists)
            self.begun = True
        if self.announce is not None:
            self.announce(self.config)
        logger.info("%s", told)
        data.save(self.run.folder)

    def _train(self, state: dict[str, Any] | None, data: Data) -> Run:
        settings = self.config.settings(self.task)
        material = data.material()
        objective = build_objective(self.task, self.config, material)
        trainer = Trainer(
            objective,
            self._loader(material, training=True),
            self._loader(material, training=False),
            settings,
            self._job(data),
            [],
        )
        if state is not None:
            trainer.load_state(state)
            if self.rank.is_main:
                self.run.tidy()
                write_json(self.run.folder / "config.json", self.config.model_dump(mode="json"))
        self.begun = True
        trainer.trackers.extend(self._trackers(trainer, state["step"] if state else 0))
        self._status("running", **self._facts(trainer, material))
        if trainer.step >= trainer.total_steps:
            logger.info(
                "all %d steps are done already. To train further, raise max_epochs.", trainer.total_steps
            )
        try:
            trainer.fit()
        finally:
            for tracker in trainer.trackers:
                tracker.close()
        self._status("finished")
        return self.run

    def _loader(self, material: Material, *, training: bool) -> Loader:
        source = material.train if training else material.validation
        transform = material.train_transform if training else material.validation_transform
        order = Order(
            length=len(source),
            batch_size=self.config.settings(self.task).batch_size,
            seed=self.config.seed,
            shuffle=training and not material.is_drawn,
            rank=self.rank.index,
            world=self.rank.world,
            crops_per_block=material.crops_per_block if training else 1,
        )
        return Loader(
            source,
            transform,
            order=order,
            seed=self.config.seed,
            num_workers=0 if material.is_mapped else self.config.num_workers,
            pin_memory=self.device.type == "cuda",
            cache_rate=0.0 if material.is_mapped or material.is_drawn else self.config.cache_rate,
            progress=self._bar("caching"),
        )

    def _job(self, data: Data) -> Job:
        facts = {
            "task": self.task,
            "config": self.config.model_dump(mode="json"),
            "split": data.split,
        }
        return Job(self.run, self.rank, self.device, self.config.seed, facts)

    def _trackers(self, trainer: Trainer, step: int) -> list[Tracker]:
        """Return who watches; what they hold beyond `step`, the checkpoint's own, is not so any more."""
        if not self.rank.is_main:
            return []
        trackers: list[Tracker] = []
        for name in self.config.trackers:
            try:
                trackers.append(TRACKERS[name](self.run.folder, step))
            except MissingExtraError as missing:
                logger.warning("%s", missing)
        shown = ProgressTracker if self.show_progress else LogTracker
        trackers.append(shown(trainer.total_steps, trainer.step))
        return trackers

    def _facts(self, trainer: Trainer, material: Material) -> dict[str, Any]:
        models = trainer.objective.models
        return {
            "device": device_name(self.device),
            "processes": self.rank.world,
            "num_parameters": {
                name: sum(p.numel() for p in model.parameters()) for name, model in models.items()
            },
            "samples": {"train": len(material.train), "validation": len(material.validation)},
            "total_steps": trainer.total_steps,
            "facts": {**material.facts, **_plain(trainer.objective.facts())},
            "error": None,
        }

    def _status(self, status: str, **facts: Any) -> None:
        if self.rank.is_main and self.begun:
            self.run.update(status=status, **facts)

    def _bar(self, what: str) -> Callable[[int, int], object] | None:
        if not self.show_progress:
            return None
        return Bar(what)


def _checkpoint(run: Run, config: Config, resume: str | Path | None) -> Path | None:
    if resume is None and config.resume_ckpt:
        resume = config.checkpoint_dir or run.folder
    if resume is None:
        return None
    if resume == "auto":
        return run.latest() if run.has_checkpoint else None
    path = Path(resume)
    return Run(path).latest() if path.is_dir() else path


def _is_within(checkpoint: Path, run: Run) -> bool:
    """Whether a checkpoint is the run's own; that of another run begins a new one."""
    return checkpoint.resolve().is_relative_to(run.folder.resolve())


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in facts.items() if not (isinstance(value, float) and math.isnan(value))
    }
