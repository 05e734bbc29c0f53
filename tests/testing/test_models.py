import pytest
import torch
from torch import nn

from voxloom.diffusion import DiffusionProcess, FlowProcess, ddim, euler, solves
from voxloom.models.model import ModelConfig
from voxloom.testing.models import check_model, check_solver


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)
        self.hidden = [torch.rand(1)]  # outside the state dict

    def forward(self, x):
        out = self.used(x)
        if self.config.fault != "idle":
            out = self.idle(out)
        if self.config.fault == "infinite":
            out = (out - out).sqrt()
        if self.config.fault == "hidden":
            out = out + self.hidden[0]
        return out


class NetConfig(ModelConfig):
    fault: str = "none"

    def build(self):
        return Net(self)


@pytest.mark.parametrize(
    ("fault", "message"), [("idle", "has no part"), ("infinite", "not finite"), ("hidden", "whole model")]
)
def test_faulty_models_are_caught(fault, message):
    check_model(NetConfig(), [torch.ones(2, 2)])
    with pytest.raises(AssertionError, match=message):
        check_model(NetConfig(fault=fault), [torch.ones(2, 2)])


def test_faulty_solvers_are_caught():
    @solves(FlowProcess)
    def stops_early(network, z1, process, *, num_steps, noise):
        return z1 - 0.9 * (z1 - euler(network, z1, process, num_steps=num_steps, noise=noise))

    @solves(FlowProcess)
    def in_place(network, z1, process, *, num_steps, noise):
        return z1.copy_(euler(network, z1, process, num_steps=num_steps, noise=noise))

    for faulty in (stops_early, in_place):
        with pytest.raises(AssertionError):
            check_solver(faulty, FlowProcess())


def test_a_solver_is_checked_with_its_own_process_only():
    check_solver(ddim, DiffusionProcess())
    with pytest.raises(AssertionError):
        check_solver(ddim, FlowProcess())
