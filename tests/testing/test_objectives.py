from dataclasses import replace

import pytest
import torch
from torch import nn

from voxloom.loading import Batch
from voxloom.models import UNetConfig
from voxloom.testing.objectives import check_objective
from voxloom.training import Phase, RegressionLoss, RegressionObjective

NETWORK = UNetConfig(channels=(8, 8), norm_num_groups=4)
BATCH = Batch(
    {"condition": torch.rand(2, 1, 16, 16), "target": torch.rand(2, 1, 16, 16)}, ["a", "b"], [0, 1]
)  # fmt: skip


class Twice(Phase):
    """A second phase with the network of the first."""

    name = "twice"

    def __init__(self, objective):
        super().__init__()
        self.translator = objective.models["translator"]
        self.first = objective.phases[0]

    def forward(self, batch, clock, memory):
        return self.first(batch, clock, memory)


class Leaky(Twice):
    """It has a parameter of its own and moves that of another."""

    def __init__(self, objective):
        super().__init__(objective)
        del self.translator
        self._hidden, self.first = [self.first], nn.Identity()
        self.own = nn.Parameter(torch.ones(()))

    def forward(self, batch, clock, memory):
        loss, report = self._hidden[0](batch, clock, memory)
        return loss * self.own, report


class Idle(Leaky):
    def forward(self, batch, clock, memory):
        return torch.zeros((), requires_grad=True) * 2, {}


class Attached(Twice):
    def forward(self, batch, clock, memory):
        loss, _ = self.first(batch, clock, memory)
        return loss, {"loss": loss}


def faulty(**methods):
    made = type("Faulty", (RegressionObjective,), methods)
    return made(NETWORK, RegressionLoss(), data_range=1.0, seed=0)


def with_phases(*kinds):
    objective = faulty()
    objective.phases = [kind(objective) if isinstance(kind, type) else kind for kind in kinds]
    return objective


def mean_of(self, batch, seed):
    return {"loss": batch["target"].mean().expand(len(batch)) * len(batch)}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda: with_phases(faulty().phases[0], faulty().phases[0]), "names of their own"),
        (lambda: with_phases(*(o := faulty()).phases, Twice(o)), "share parameters"),
        (lambda: with_phases(Leaky), "not its own"),
        (lambda: with_phases(Idle), "no part in its loss"),
        (lambda: with_phases(Attached), "with its graph"),
        (lambda: with_phases(), "no phase"),
        (lambda: faulty(facts=lambda self: {"scale": (1, 2)}), "not plain"),
        (lambda: faulty(main="other"), "no model"),
        (lambda: faulty(validate=lambda self, b, seed: {"psnr": torch.ones(len(b))}), "gives no loss"),
        (lambda: faulty(validate=lambda self, b, seed: {"loss": torch.ones(())}), "expected one a sample"),
        (lambda: faulty(validate=lambda self, b, s: {"loss": torch.full((len(b),), b.epoch)}), "by epoch"),
        (lambda: faulty(validate=mean_of), "share batches"),
        (lambda: faulty(preview=lambda self, b, seed: []), "0 rows"),
    ],
)
def test_faults_are_caught(objective, message):
    with pytest.raises(AssertionError, match=message):
        check_objective(objective(), BATCH)


def test_a_sound_one_passes_and_a_single_sample_is_not_enough():
    check_objective(faulty(), BATCH)
    with pytest.raises(AssertionError, match="several samples"):
        check_objective(faulty(), replace(BATCH, keys=["a"]))
