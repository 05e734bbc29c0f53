"""The loop. It knows no model: it asks the objective for phases, and a GAN is two of them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from voxloom.errors import CheckpointError, DivergedError, Interrupted
from voxloom.loading import Batch, Loader
from voxloom.ranks import Rank
from voxloom.training.distributed import any_rank, mean_over_ranks, sum_over_ranks, wait_for_all, wrap
from voxloom.training.means import Means
from voxloom.training.objective import Clock, Memory, Objective, Phase
from voxloom.training.optim import Average
from voxloom.training.resume import load_tensors, position_of, tensors_of
from voxloom.training.run import Run, versions
from voxloom.training.settings import TrainSettings
from voxloom.training.shares import Part, parts_of
from voxloom.training.signals import StopRequest, stop_on_signals
from voxloom.training.tracking import Tracker

__all__ = ["Job", "Trainer"]

logger = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Job:
    """Where a run trains and what a checkpoint tells of it.

    Attributes
    ----------
    run
        The folder.
    rank, device
        Which process this is and where it computes.
    seed
        From which all noise derives.
    facts
        Plain values for the checkpoint: ``task``, ``config``, ``split``.
    """

    run: Run
    rank: Rank
    device: torch.device
    seed: int
    facts: dict[str, Any]


class Trainer:
    """Train an objective on batches, validate, keep checkpoints, and stop and go on cleanly.

    Parameters
    ----------
    objective
        What is minimised.
    train, validation
        Where batches come from.
    settings
        How.
    job
        Where.
    trackers
        Who watches; only the main rank has any.
    """

    def __init__(
        self,
        objective: Objective,
        train: Loader,
        validation: Loader,
        settings: TrainSettings,
        job: Job,
        trackers: list[Tracker],
    ) -> None:
        self.objective, self.settings, self.job, self.trackers = objective, settings, job, trackers
        self.train, self.validation = train, validation
        self.step, self.best, self._seconds = 0, math.inf, 0.0
        self._means = Means()
        self._place()
        self._phases = {p.name: wrap(p, job.rank, job.device) for p in objective.phases}
        rate = settings.lr * (job.rank.world if settings.scale_lr else 1)
        fused = job.device.type in ("cpu", "cuda")  # one pass over each tensor instead of several
        self.optimizers = {
            p.name: torch.optim.Adam(_trainable(p), rate, fused=fused) for p in objective.phases
        }
        self._rate = rate
        main = objective.models[objective.main]
        self.average = Average(main, settings.ema_decay) if settings.ema_decay else None
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=settings.precision == "fp16")

    # -- the loop ---------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the last epoch.

        Raises
        ------
        Interrupted
            After Ctrl-C or SIGTERM, with the state saved.
        DivergedError
            When a loss is not finite; nothing of it has been saved.
        """
        self._began = time.monotonic() - self._seconds
        self._mark = (time.monotonic(), self.step)
        with stop_on_signals() as stop:
            while self.step < self.total_steps:
                for group in _groups(self.train, self.settings.accumulate):
                    self._train_step(group)
                    if self.step % self.settings.log_every == 0:
                        self._report(group[-1].epoch)
                    if self._position % len(self.train) and self._must_stop(stop):
                        self._interrupt()
                self._finish_epoch()
                if self.step < self.total_steps and self._must_stop(stop, now=True):
                    self._interrupt()
        if self.job.rank.is_main:
            run = self.job.run
            # A finished checkpoint that goes on in another run leaves nothing to do but this.
            last = run.latest() if run.has_checkpoint else run.save("last", self.state())
            run.link("final", last)
        wait_for_all()

    def _train_step(self, group: list[Batch]) -> None:
        settings, batches = self.settings, [self._prepared(batch, training=True) for batch in group]
        clock = Clock(self.step, batches[0].epoch, self.job.seed)
        factor = settings.schedule.factor(self.step, total_steps=self.total_steps, epoch=clock.epoch)
        memories: list[Memory] = [{} for _ in batches]
        parts = parts_of(batches, self.objective, self.job.rank.world)
        for phase in self.objective.phases:
            if phase.is_active(clock):
                self._phase_step(phase, list(zip(batches, memories, parts, strict=True)), clock, factor)
        self.step += 1
        if self.average is not None:
            self.average.update()

    def _phase_step(
        self, phase: Phase, given: list[tuple[Batch, Memory, Part]], clock: Clock, factor: float
    ) -> None:
        optimizer, module = self.optimizers[phase.name], self._phases[phase.name]
        for group in optimizer.param_groups:
            group["lr"] = self._rate * factor
        optimizer.zero_grad(set_to_none=True)
        for batch, memory, part in given:
            with ExitStack() as context:
                if batch is not given[-1][0] and isinstance(module, DistributedDataParallel):
                    context.enter_context(module.no_sync())
                with self._autocast():
                    loss, report = module(batch, clock, memory)
                self.scaler.scale(loss * part.share).backward()
            name = "loss" if phase is self.objective.phases[0] else f"loss_{phase.name}"
            self._means.add({name: loss.detach(), **report}, part.weight)
        self.scaler.unscale_(optimizer)
        limit = self.settings.clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], limit)
        self._means.add({f"gradient_norm_{phase.name}": norm})
        self.scaler.step(optimizer)
        self.scaler.update()

    # -- reports and validation ---------------------------------------------------------------------

    def _require_scale(self) -> None:
        """Check that fp16 trains at all: a scale under 1 means that every step overflowed and was skipped."""
        if self.scaler.is_enabled() and self.scaler.get_scale() < 1:
            raise DivergedError(
                f"gradients overflow fp16 in every step up to step {self.step} (scale "
                f"{self.scaler.get_scale():.3g}, expected at least 1): nothing is learned. "
                "Use precision bf16 or fp32, or lower lr."
            )

    def _shared_means(self) -> Means:
        self._require_scale()
        means = self._means.shared(lambda sums: mean_over_ranks(sums, self.job.device))
        self._require_finite(means.values(), "train")
        return means

    def _report(self, epoch: int) -> None:
        means = self._shared_means().values()
        if not means:
            return
        self._means = Means()
        world = self.job.rank.world
        now, (since, position) = time.monotonic(), self._mark
        images = (self.step - position) * self.settings.batch_size * self.settings.accumulate * world
        self._mark = (now, self.step)
        rate = self.optimizers[self.objective.phases[0].name].param_groups[0]["lr"]
        self._log(epoch, "train", {**means, "lr": rate, "images_per_second": images / max(1e-9, now - since)})

    def _finish_epoch(self) -> None:
        epoch = self._position // len(self.train) - 1
        self._report(epoch)
        if (epoch + 1) % self.settings.val_interval and self.step < self.total_steps:
            return
        values = self._validate(epoch)
        self._require_finite(values, "validation")
        self._log(epoch, "validation", values)
        improved = values["loss"] < self.best
        self.best = min(self.best, values["loss"])
        self._save(epoch, improved)
        self._mark = (time.monotonic(), self.step)

    @torch.no_grad()
    def _validate(self, epoch: int) -> dict[str, float]:
        sums: dict[str, float] = {}
        averaged: AbstractContextManager[None] = self.average.applied() if self.average else nullcontext()
        self._set_mode(training=False)
        with averaged, self._autocast():
            for i, given in enumerate(self.validation):
                batch = self._prepared(given, training=False)
                values = self.objective.validate(batch, self.job.seed)
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + float(value.double().sum())
                sums["samples"] = sums.get("samples", 0.0) + len(batch)
                if i == 0 and self._is_preview_due(epoch):
                    self._preview(batch, epoch)
        self._set_mode(training=True)
        total = sum_over_ranks(sums, self.job.device)
        means = {name: value / total["samples"] for name, value in total.items() if name != "samples"}
        return self.objective.concluded(means)

    def _is_preview_due(self, epoch: int) -> bool:
        count = (epoch + 1) // self.settings.val_interval
        return self.job.rank.is_main and (
            count % self.settings.preview_every == 0 or self.step >= self.total_steps
        )

    def _preview(self, batch: Batch, epoch: int) -> None:
        rows = self.objective.preview(batch.take(self.settings.preview_samples), self.job.seed)
        picture = _stacked([self.objective.picture(row) for row in rows])
        for tracker in self.trackers:
            tracker.image("preview", {"step": self.step, "epoch": epoch}, picture)

    def _log(self, epoch: int, split: str, values: dict[str, float]) -> None:
        self._seconds = time.monotonic() - self._began
        row = {"step": self.step, "epoch": epoch, "split": split, "time": round(self._seconds, 3), **values}
        for tracker in self.trackers:
            tracker.log(row)

    def _require_finite(self, values: dict[str, float], split: str) -> None:
        # With fp16 an overflowing gradient is ordinary: the scaler skips that step and halves its factor.
        judged = {n: v for n, v in values.items() if not (self.scaler.is_enabled() and "gradient_norm" in n)}
        # An image that is its own reconstruction has a PSNR of infinity, which is no fault.
        bad = [name for name, value in judged.items() if not math.isfinite(value) and name != "psnr"]
        if bad:
            raise DivergedError(
                f"{split} {', '.join(bad)} not finite at step {self.step}: "
                f"training has diverged and nothing of it was saved; the last good checkpoint is "
                f"{self.job.run.checkpoints / 'last.pt'}, if one was saved. Lower lr, set clip_norm, "
                "or use precision fp32 or bf16."
            )

    # -- state ------------------------------------------------------------------------------------

    @property
    def _position(self) -> int:
        """Batches handed out since the run began."""
        return self.train.state_dict()["step"]

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.settings.max_epochs * math.ceil(len(self.train) / self.settings.accumulate)

    def state(self) -> dict[str, Any]:
        """Return all that a resume or a prediction needs, as plain values and tensors."""
        models = {name: tensors_of(model) for name, model in self.objective.models.items()}
        return {
            **self.job.facts,
            "models": models,
            "model_configs": self.objective.configs,
            "main": self.objective.main,
            "ema": self.average.state_dict() if self.average else None,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "epoch": self._position // len(self.train),
            "best": self.best,
            "seconds": self._seconds,
            "means": self._means.state_dict(),
            "loader": self.train.state_dict(),
            "batches_per_epoch": len(self.train),
            "accumulate": self.settings.accumulate,
            "rng": torch.get_rng_state(),
            "facts": self.objective.facts(),
            "versions": versions(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint, so that the next step is the one that would have followed.

        Raises
        ------
        CheckpointError
            When it was made by another task or another architecture.
        """
        task = self.job.facts.get("task")
        if state.get("task") != task:
            raise CheckpointError(
                f"checkpoint of task {state.get('task')!r}: expected one of {task!r} to resume."
            )
        for name, model in self.objective.models.items():
            load_tensors(name, model, state["models"].get(name))
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.average is not None:
            self.average.load_state_dict(
                state["ema"] or tensors_of(self.objective.models[self.objective.main])
            )
        if state["scaler"]:  # empty without fp16
            self.scaler.load_state_dict(state["scaler"])
        self._means = Means.from_state(state["means"])
        torch.set_rng_state(state["rng"])
        self.best, self._seconds = state["best"], state["seconds"]
        self.step, batches = position_of(state, len(self.train), self.settings.accumulate)
        self.train.load_state_dict({"step": batches})

    def _save(self, epoch: int, improved: bool) -> None:
        if self.job.rank.is_main:
            run = self.job.run
            path = run.save("last", self.state())
            if improved:
                run.link("best", path)
            if self.settings.keep:
                run.link(f"epoch_{epoch:04d}", path)
                run.retain(self.settings.keep)
            run.update(seconds=round(self._seconds, 1), step=self.step, epoch=epoch, best=self.best)
        wait_for_all()

    def _must_stop(self, stop: StopRequest, *, now: bool = False) -> bool:
        if self.job.rank.world == 1:
            return stop.requested
        # Asking the other ranks costs a message, so it is not done in every step.
        return (now or self.step % self.settings.log_every == 0) and any_rank(stop.requested, self.job.device)

    def _interrupt(self) -> None:
        # What the next report would tell is saved with the rest, so that it tells the same after a resume.
        self._means = self._shared_means()
        self._seconds = time.monotonic() - self._began
        if self.job.rank.is_main:
            self.job.run.save("last", self.state())
        wait_for_all()
        raise Interrupted(f"stopped at step {self.step} of {self.total_steps}; the state is saved.")

    # -- where things live --------------------------------------------------------------------------

    def _place(self) -> None:
        for model in self.objective.models.values():
            is_of_volumes = any(p.ndim == 5 for p in model.parameters())
            layout = torch.channels_last_3d if is_of_volumes else torch.channels_last
            layout = layout if self.settings.channels_last else torch.preserve_format
            model.to(device=self.job.device, memory_format=layout)  # type: ignore[call-overload]
            if self.settings.compile:
                model.compile()

    def _prepared(self, batch: Batch, *, training: bool) -> Batch:
        layout = torch.channels_last if self.settings.channels_last else None
        moved = batch.to(self.job.device, non_blocking=True, memory_format=layout)
        return self.objective.prepare(moved, self.job.seed, training=training)

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = _DTYPES[self.settings.precision]
        return torch.autocast(self.job.device.type, dtype, enabled=dtype != torch.float32)

    def _set_mode(self, *, training: bool) -> None:
        for phase in self.objective.phases:
            phase.train(training)


def _groups(loader: Loader, size: int) -> Iterator[list[Batch]]:
    batches = iter(loader)
    while group := list(islice(batches, size)):
        yield group


def _stacked(pictures: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Put pictures under each other; under narrow ones the caption decides how wide a picture is."""
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), "edge") for p in pictures])


def _trainable(phase: nn.Module) -> list[nn.Parameter]:
    return [p for p in phase.parameters() if p.requires_grad]
