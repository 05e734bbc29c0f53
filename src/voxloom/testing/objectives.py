"""The contract of objectives: what the trainer, a checkpoint and a prediction rely on."""

from __future__ import annotations

import json
from dataclasses import replace

import torch
from torch import Tensor, nn

from voxloom.loading import Batch
from voxloom.models import build_model
from voxloom.training import Clock, Objective, Phase
from voxloom.training.objective import Memory

__all__ = ["check_objective"]

SEED = 3
LATE = Clock(step=10_000, epoch=1_000, seed=SEED)
"""A time at which no warm-up holds a phase back."""


def check_objective(objective: Objective, batch: Batch) -> None:
    """Check an objective on a training batch: phases, validation, preview and what it records.

    Parameters
    ----------
    objective
        Freshly built; it gets gradients, no optimizer steps.
    batch
        At least two samples with the fields that it asks for.

    Raises
    ------
    AssertionError
        At the first promise that is not kept.

    Examples
    --------
    >>> from voxloom.models import UNetConfig
    >>> from voxloom.training import RegressionLoss, RegressionObjective
    >>> network = UNetConfig(channels=(8, 8), norm_num_groups=4)
    >>> objective = RegressionObjective(network, RegressionLoss(), data_range=1.0, seed=0)
    >>> image = torch.rand(2, 1, 16, 16)
    >>> check_objective(objective, Batch({"condition": image, "target": image}, ["a", "b"], [0, 1]))
    """
    assert len(batch) > 1, "a batch of several samples is needed"
    kept = {name: tensor.clone() for name, tensor in batch.fields.items()}
    given, batch = batch, _check_preparation(objective, batch)
    _check_record(objective)
    _check_phases(objective, batch)
    _check_validation(objective, batch)
    _check_preview(objective, batch)
    for name, tensor in kept.items():
        assert torch.equal(tensor, given[name]), f"field {name!r} of the batch was changed in place"


def _check_preparation(objective: Objective, batch: Batch) -> Batch:
    """Preparing draws from the seed, the epoch and the indices alone, each sample for itself."""
    for training in (False, True):
        made = [objective.prepare(batch, SEED, training=training) for _ in range(2)]
        alone = [objective.prepare(_only(batch, i), SEED, training=training) for i in range(len(batch))]
        for name, tensor in made[0].fields.items():
            assert torch.equal(tensor, made[1][name]), f"{name!r} prepared again differs"
            apart = torch.cat([each[name] for each in alone])
            torch.testing.assert_close(
                tensor, apart, rtol=1e-4, atol=1e-5, msg=f"{name!r} depends on how samples share batches"
            )
    return made[0]


def _check_record(objective: Objective) -> None:
    """A checkpoint holds plain facts, and configurations from which each model is built again."""
    assert json.loads(json.dumps(objective.facts())) == objective.facts(), "facts are not plain values"
    assert objective.configs.keys() == objective.models.keys(), "each model needs its configuration"
    assert objective.main in objective.models, f"main is {objective.main!r}, which is no model"
    for name, model in objective.models.items():
        twin = build_model(json.loads(json.dumps(objective.configs[name])), seed=SEED)
        twin.load_state_dict(model.state_dict())


def _check_phases(objective: Objective, batch: Batch) -> None:
    names = [phase.name for phase in objective.phases]
    assert names, "no phase"
    assert len(set(names)) == len(names), f"phases need names of their own: {names}"
    owned = [{id(p) for p in phase.parameters() if p.requires_grad} for phase in objective.phases]
    assert all(owned), "a phase without parameters has nothing to optimise"
    assert sum(map(len, owned)) == len(set().union(*owned)), "two phases share parameters"
    first, again = _step(objective, batch), _step(objective, batch)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)), (
        "a step repeated gives other losses"
    )


def _step(objective: Objective, batch: Batch) -> list[Tensor]:
    memory: Memory = {}
    losses = []
    for phase in objective.phases:
        if phase.is_active(LATE):
            phase.train()
            losses.append(_check_phase(objective, phase, batch, memory))
    assert not any(tensor.requires_grad for tensor in memory.values()), "memory has to be detached"
    return losses


def _check_phase(objective: Objective, phase: Phase, batch: Batch, memory: Memory) -> Tensor:
    everything = list(nn.ModuleList([*objective.models.values(), *objective.phases]).parameters())
    wanted = [p.requires_grad for p in everything]
    for parameter in everything:
        parameter.grad = None
    loss: Tensor
    loss, report = phase(batch, LATE, memory)
    assert loss.ndim == 0, f"the loss of {phase.name!r} is no scalar"
    assert loss.isfinite(), f"the loss of {phase.name!r} is not finite"
    for name, value in report.items():
        assert value.ndim == 0, f"{phase.name!r} reports {name!r}, which is no scalar"
        assert not value.requires_grad, f"{phase.name!r} reports {name!r} with its graph"
    torch.autograd.backward(loss)
    own = {id(p) for p in phase.parameters()}
    for parameter in everything:
        if id(parameter) not in own:
            assert parameter.grad is None, f"{phase.name!r} moves parameters that are not its own"
        elif parameter.requires_grad:
            assert parameter.grad is not None, f"a parameter of {phase.name!r} has no part in its loss"
            assert bool(parameter.grad.isfinite().all()), f"a gradient of {phase.name!r} is not finite"
    assert wanted == [p.requires_grad for p in everything], f"{phase.name!r} leaves parameters frozen"
    return loss.detach()


@torch.no_grad()
def _check_validation(objective: Objective, batch: Batch) -> None:
    for phase in objective.phases:
        phase.eval()
    values = objective.validate(batch, SEED)
    told = objective.concluded({name: float(value.double().mean()) for name, value in values.items()})
    assert "loss" in told, "validation gives no loss: it decides which checkpoint is best"
    for name, value in values.items():
        assert value.shape == (len(batch),), f"{name!r} of shape {tuple(value.shape)}, expected one a sample"
    assert bool(values["loss"].isfinite().all()), "the validation loss is not finite"
    later = objective.validate(replace(batch, epoch=batch.epoch + 1), SEED)
    assert all(torch.equal(values[name], later[name]) for name in values), "validation differs by epoch"
    alone = [objective.validate(_only(batch, i), SEED) for i in range(len(batch))]
    for name, value in values.items():
        mean = torch.cat([each[name] for each in alone]).mean()
        torch.testing.assert_close(
            value.mean(), mean, rtol=1e-3, atol=1e-5, msg=f"{name!r} depends on how samples share batches"
        )


@torch.no_grad()
def _check_preview(objective: Objective, batch: Batch) -> None:
    rows = objective.preview(batch, SEED)
    assert len(rows) == len(batch), f"{len(rows)} rows for {len(batch)} samples"
    titles = [[title for title, _ in row] for row in rows]
    assert all(row == titles[0] for row in titles), f"rows with different titles: {titles}"
    shapes = {image.shape for row in rows for _, image in row}
    plain = {shape[:2] for shape in shapes}
    assert len(plain) == 1, f"images of different shapes in one preview: {shapes}"
    assert all(shape[2:] in ((), (3,)) for shape in shapes), (
        "preview images have axes (y, x), or red-green-blue"
    )
    picture = objective.picture(rows[0])
    assert picture.ndim == 3, "a picture has axes (y, x, red-green-blue)"
    assert picture.dtype == "uint8"


def _only(batch: Batch, i: int) -> Batch:
    fields = {name: tensor[i : i + 1] for name, tensor in batch.fields.items()}
    return replace(batch, fields=fields, keys=[batch.keys[i]], indices=[batch.indices[i]])
