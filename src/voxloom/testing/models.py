"""Contracts of the model room: what every configuration, model and solver must keep.

Shapes: B batch, C channels, H, W of the image or latent.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn

from voxloom.diffusion import DiffusionProcess, Network, Process, Solver
from voxloom.errors import ConfigError
from voxloom.models.model import ModelConfig

__all__ = ["check_model", "check_solver", "exact_network", "stirred"]


def check_model(config: ModelConfig, inputs: Iterable[torch.Tensor | None]) -> None:
    """Check that a configuration survives a file and builds a model that can be trained.

    Parameters
    ----------
    config
        A small one of the kind under test.
    inputs
        What the model's forward takes; the first is a batch.

    Raises
    ------
    AssertionError
        At the first promise that is not kept.

    Examples
    --------
    >>> from voxloom.models import UNetConfig
    >>> check_model(UNetConfig(channels=(8, 16), norm_num_groups=4), [torch.zeros(2, 1, 8, 8)])
    """
    inputs = list(inputs)
    assert type(config).model_validate(config.model_dump(mode="json")) == config
    assert pickle.loads(pickle.dumps(config)) == config
    hash(config)
    model = stirred(config.build())
    assert model.config == config
    _check_gradients(model, inputs)
    twin = config.build()
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for ours, theirs in zip(_tensors(model.eval()(*inputs)), _tensors(twin.eval()(*inputs)), strict=True):
            assert torch.equal(ours, theirs), "the state dict does not hold the whole model"


def stirred(model: nn.Module, scale: float = 0.05) -> nn.Module:
    """Return the model with a little noise on each parameter, so that no zero initialisation hides a path.

    Examples
    --------
    >>> bool(stirred(nn.Linear(2, 2, bias=False)).weight.isfinite().all())
    True
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def check_solver(solver: Solver, process: Process) -> None:
    """Check that a solver recovers the data exactly from a network that knows it.

    Parameters
    ----------
    solver
        The function under test.
    process
        One that it solves.

    Raises
    ------
    AssertionError
        At the first promise that is not kept.

    Examples
    --------
    >>> from voxloom.diffusion import FlowProcess, euler
    >>> check_solver(euler, FlowProcess())
    """
    assert isinstance(process, solver.solves)
    generator = torch.Generator().manual_seed(0)
    z0, noise = (torch.randn(2, 3, 4, 6, generator=generator) for _ in range(2))
    z1 = process.start(noise, noise)
    kept = z1.clone()
    network = exact_network(process, z0, z1)

    def solve(start: torch.Tensor, network: Network, num_steps: int) -> torch.Tensor:
        draws = torch.Generator().manual_seed(1)
        return solver(
            network,
            start,
            process,
            num_steps=num_steps,
            noise=lambda step: torch.randn(z1.shape, generator=draws)[: len(start)],  # noqa: ARG005
        )

    for num_steps in (1, 2, 7, 20):
        out = solve(z1, network, num_steps)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, z0, atol=2e-4, rtol=0)
        assert torch.equal(out, solve(z1, network, num_steps)), "two runs differ"
    assert torch.equal(z1, kept), "the start was changed in place"
    alone = solve(z1[:1], exact_network(process, z0[:1], z1[:1]), 7)
    torch.testing.assert_close(alone, z0[:1], atol=2e-4, rtol=0)
    low = solve(z1.bfloat16(), lambda z, t: network(z, t).bfloat16(), 2)
    assert low.dtype == torch.float32, "a network in bf16 spoils the latent"
    with pytest.raises(ConfigError, match="num_steps 0"):
        solve(z1, network, 0)


def exact_network(process: Process, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor) -> Network:
    """Return the network that always points at `z0_BCHW`, wherever it stands.

    Examples
    --------
    >>> from voxloom.diffusion import FlowProcess
    >>> network = exact_network(FlowProcess(), torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    >>> float(network(torch.rand(1, 1, 2, 2), torch.tensor([500.0])).mean())
    1.0
    """
    if not isinstance(process, DiffusionProcess):
        return lambda _, t: process.target(z0_BCHW, z1_BCHW, t)

    def network(z_BCHW: torch.Tensor, time_B: torch.Tensor) -> torch.Tensor:
        t_B = time_B.round().long()
        signal, noise = process.levels.at(t_B, z_BCHW)
        return process.target(z0_BCHW, (z_BCHW - signal * z0_BCHW) / noise, t_B)

    return network


def _check_gradients(model: nn.Module, inputs: list[torch.Tensor | None]) -> None:
    outputs = _tensors(model(*inputs))
    first = inputs[0]
    assert first is not None
    assert all(len(output) == len(first) for output in outputs)
    loss = torch.stack([output.float().square().mean() for output in outputs]).sum()
    torch.autograd.backward(loss)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None, f"{name} has no part in the output"
        assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"


def _tensors(output: Any) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    return list(itertools.chain.from_iterable(_tensors(part) for part in output))
