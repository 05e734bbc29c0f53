"""Solvers: pure functions that walk from z_1, the start of generation, to z_0, the data latent.

Shapes: B batch, C channels, H, W of the latent; all tensors are BCHW, times are B. Tables and
coefficients are float64, latents float32 whatever precision the network runs in.

A solver is marked with the process it solves; to add one costs a function and a line in `SOLVERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from voxloom.diffusion.process import DiffusionProcess, FlowProcess, Process
from voxloom.errors import ConfigError
from voxloom.registry import Registry

__all__ = [
    "DEFAULT_SOLVERS",
    "SOLVERS",
    "Network",
    "Noise",
    "Solver",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "euler",
    "heun",
    "solver_for",
    "solves",
]

SOLVERS = Registry(
    "solver",
    {
        "ddim": "voxloom.diffusion.solvers:ddim",
        "ddpm": "voxloom.diffusion.solvers:ddpm",
        "dpmpp_2m": "voxloom.diffusion.solvers:dpmpp_2m",
        "euler": "voxloom.diffusion.solvers:euler",
        "heun": "voxloom.diffusion.solvers:heun",
    },
)
"""Name -> solver."""

DEFAULT_SOLVERS: dict[type, str] = {DiffusionProcess: "dpmpp_2m", FlowProcess: "euler"}
"""The solver that each process gets when none is named."""

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(z_BCHW, model_time_B) -> raw output BCHW; the condition is already inside."""

Noise = Callable[[int], torch.Tensor]
"""Step number -> fresh standard Gaussian noise of z's shape; the caller seeds it."""


class Solver(Protocol):
    """One stepping rule, and the process it belongs to."""

    __name__: str
    solves: type

    def __call__(
        self, network: Network, z1: torch.Tensor, process: Any, *, num_steps: int, noise: Noise
    ) -> torch.Tensor:
        """Return z_0, float32, of z_1's shape; `num_steps` counts steps, not network calls."""


_Function = TypeVar("_Function", bound=Callable[..., torch.Tensor])


def solves(process: type) -> Callable[[_Function], _Function]:
    """Mark a solver with the process it solves; the function itself stays what it is.

    Examples
    --------
    >>> @solves(FlowProcess)
    ... def midpoint(network, z1, process, *, num_steps, noise): ...
    >>> midpoint.solves.__name__
    'FlowProcess'
    """

    def mark(function: _Function) -> _Function:
        function.solves = process  # type: ignore[attr-defined]
        return function

    return mark


def solver_for(name: str | None, process: Process) -> Solver:
    """Return the named solver, or the process's default, once it is known to fit the process.

    Parameters
    ----------
    name
        A name of `SOLVERS`, or None for the default: ``dpmpp_2m`` for a diffusion, ``euler`` for a flow.
    process
        What the network was trained with.

    Raises
    ------
    UnknownNameError
        When no solver has that name.
    ConfigError
        When the solver is for another process; the message names those that fit.

    Examples
    --------
    >>> solver_for(None, FlowProcess()).__name__
    'euler'
    >>> solver_for("ddim", FlowProcess())
    Traceback (most recent call last):
    voxloom.errors.ConfigError: solver 'ddim' does not solve FlowProcess. Those that do: euler, heun.
    """
    solver: Solver = SOLVERS[_default(process) if name is None else name]
    if not isinstance(process, solver.solves):
        fitting = ", ".join(known for known in SOLVERS if isinstance(process, SOLVERS[known].solves))
        raise ConfigError(
            f"solver {name!r} does not solve {type(process).__name__}. Those that do: {fitting or 'none'}."
        )
    return solver


@solves(DiffusionProcess)
def ddpm(
    network: Network, z1: torch.Tensor, process: DiffusionProcess, *, num_steps: int, noise: Noise
) -> torch.Tensor:
    """Ancestral sampling with the smaller variance (Ho et al. 2020, algorithm 2 and eq. 6, 7).

    With fewer steps than training timesteps the posterior is that of the timesteps taken
    (Nichol & Dhariwal 2021, section 4), and the samples vary a little less than the data.

    Parameters
    ----------
    network
        (z, model_time) -> raw output.
    z1
        Standard Gaussian noise, BCHW.
    process
        The diffusion the network was trained with.
    num_steps
        From 1 to T; T takes every timestep.
    noise
        Called with 0 to num_steps - 2.

    Returns
    -------
    torch.Tensor
        z_0, float32.

    Raises
    ------
    ConfigError
        When `num_steps` is out of range.

    Examples
    --------
    >>> process, z0, z1 = DiffusionProcess(), torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
    >>> def oracle(z, t):
    ...     signal, noise = process.levels.at(t, z)
    ...     return (z - signal * z0) / noise
    >>> bool(torch.allclose(ddpm(oracle, z1, process, num_steps=10, noise=lambda step: z1), z0, atol=1e-4))
    True
    """
    steps = _timesteps(num_steps, process.num_train_timesteps)
    share, z = process.levels.alphas_cumprod[steps].tolist(), z1.float()
    for i, (t, here, there) in enumerate(zip(steps, share, share[1:], strict=False)):
        z0 = _denoise(network, z, t, process)
        kept = here / there  # alpha of this step, which may span several timesteps
        of_z0, of_z = math.sqrt(there) * (1 - kept), math.sqrt(kept) * (1 - there)
        deviation = math.sqrt((1 - kept) * (1 - there) / (1 - here))
        z = (of_z0 * z0 + of_z * z) / (1 - here) + deviation * noise(i)
    return _denoise(network, z, steps[-1], process)


@solves(DiffusionProcess)
def ddim(
    network: Network,
    z1: torch.Tensor,
    process: DiffusionProcess,
    *,
    num_steps: int,
    noise: Noise,  # noqa: ARG001 - one signature for all
) -> torch.Tensor:
    """Step deterministically (Song et al. 2021, eq. 12 with sigma = 0), timesteps spaced quadratically.

    Parameters are those of `ddpm`; `noise` is never called.

    Examples
    --------
    >>> process, z0, z1 = DiffusionProcess(), torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
    >>> oracle = lambda z, t: z1
    >>> z1_of = process.noisy(z0, z1, torch.tensor([999]))
    >>> bool(torch.allclose(ddim(oracle, z1_of, process, num_steps=10, noise=lambda step: z1), z0, atol=1e-4))
    True
    """
    steps = _timesteps(num_steps, process.num_train_timesteps)
    signal, deviation = process.levels.signal[steps].tolist(), process.levels.noise[steps].tolist()
    z = z1.float()
    for i, t in enumerate(steps[:-1]):
        z0 = _denoise(network, z, t, process)
        epsilon = (z - signal[i] * z0) / deviation[i]
        z = signal[i + 1] * z0 + deviation[i + 1] * epsilon
    return _denoise(network, z, steps[-1], process)


@solves(DiffusionProcess)
def dpmpp_2m(
    network: Network,
    z1: torch.Tensor,
    process: DiffusionProcess,
    *,
    num_steps: int,
    noise: Noise,  # noqa: ARG001 - one signature for all
) -> torch.Tensor:
    """DPM-Solver++(2M), the fast one: about 20 steps do (Lu et al. 2022b, algorithm 2).

    Second order in log(signal / noise) from one network call a step; the last step, to the clean
    latent, is first order. Timesteps are spaced quadratically: on mixtures of Gaussians with the
    reference schedule, 20 steps so end 1.7 times nearer to the exact solution than spaced evenly in
    log(signal / noise), and 10 times nearer than spaced evenly in time.

    Parameters are those of `ddpm`; `noise` is never called.

    Examples
    --------
    >>> process, z0, z1 = DiffusionProcess(), torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
    >>> start = process.noisy(z0, z1, torch.tensor([999]))
    >>> out = dpmpp_2m(lambda z, t: z1, start, process, num_steps=10, noise=lambda step: z1)
    >>> bool(torch.allclose(out, z0, atol=1e-4))
    True
    """
    steps = _timesteps(num_steps, process.num_train_timesteps)
    signal, deviation = process.levels.signal[steps].tolist(), process.levels.noise[steps].tolist()
    widths = np.diff(process.levels.log_snr[steps]).tolist()
    z, before = z1.float(), z1
    for i, t in enumerate(steps[:-1]):
        z0 = _denoise(network, z, t, process)
        # the clean latent, extrapolated to the middle of the step once two are known
        middle = z0 + (z0 - before) * widths[i] / (2 * widths[i - 1]) if i else z0
        z = deviation[i + 1] / deviation[i] * z - signal[i + 1] * math.expm1(-widths[i]) * middle
        before = z0
    return _denoise(network, z, steps[-1], process)


@solves(FlowProcess)
def euler(
    network: Network,
    z1: torch.Tensor,
    process: FlowProcess,
    *,
    num_steps: int,
    noise: Noise,  # noqa: ARG001 - one signature for all
) -> torch.Tensor:
    """Follow the velocity from t = 1 to t = 0 in equal steps of first order (Liu et al. 2023, eq. 1).

    Parameters
    ----------
    network
        (z, model_time) -> velocity.
    z1
        The flow's start, BCHW.
    process
        The flow the network was trained with.
    num_steps
        At least 1; where the lines are nearly straight, one or two do.
    noise
        Never called.

    Returns
    -------
    torch.Tensor
        z_0, float32.

    Raises
    ------
    ConfigError
        When `num_steps` is out of range.

    Examples
    --------
    >>> z0, z1 = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> out = euler(lambda z, t: z1 - z0, z1, FlowProcess(), num_steps=4, noise=lambda step: z1)
    >>> bool(torch.allclose(out, z0, atol=1e-6))
    True
    """
    z = z1.float()
    for t, following in _pairs(num_steps):
        z = z + (following - t) * _velocity(network, z, t, process)
    return z


@solves(FlowProcess)
def heun(
    network: Network,
    z1: torch.Tensor,
    process: FlowProcess,
    *,
    num_steps: int,
    noise: Noise,  # noqa: ARG001 - one signature for all
) -> torch.Tensor:
    """Follow the mean of the velocities at both ends of each step: second order, two calls a step.

    Heun's rule, as in Karras et al. 2022, algorithm 1. Parameters are those of `euler`.

    Examples
    --------
    >>> z0, z1 = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> out = heun(lambda z, t: z1 - z0, z1, FlowProcess(), num_steps=2, noise=lambda step: z1)
    >>> bool(torch.allclose(out, z0, atol=1e-6))
    True
    """
    z = z1.float()
    for t, following in _pairs(num_steps):
        here = _velocity(network, z, t, process)
        there = _velocity(network, z + (following - t) * here, following, process)
        z = z + (following - t) * (here + there) / 2
    return z


def _default(process: Process) -> str:
    for kind, name in DEFAULT_SOLVERS.items():
        if isinstance(process, kind):
            return name
    raise ConfigError(
        f"no default solver for {type(process).__name__}: expected one of "
        f"{', '.join(kind.__name__ for kind in DEFAULT_SOLVERS)}. Name a solver."
    )


def _denoise(network: Network, z: torch.Tensor, t: int, process: DiffusionProcess) -> torch.Tensor:
    t_B = torch.full((len(z),), t, dtype=torch.int64, device=z.device)
    return process.to_z0(network(z, process.model_time(t_B)), z, t_B)


def _velocity(network: Network, z: torch.Tensor, t: float, process: FlowProcess) -> torch.Tensor:
    t_B = torch.full((len(z),), t, dtype=torch.float32, device=z.device)
    return network(z, process.model_time(t_B)).float()


def _timesteps(num_steps: int, num_timesteps: int) -> list[int]:
    """Return timesteps T - 1 to 0 that lie closer towards the data (Song et al. 2021, appendix D.2)."""
    _check_steps(num_steps, num_timesteps)
    if num_steps == 1:
        return [num_timesteps - 1]
    square = [math.floor((num_timesteps - 1) * (k / (num_steps - 1)) ** 2 + 0.5) for k in range(num_steps)]
    return [max(t, k) for k, t in enumerate(square)][::-1]  # max: no timestep twice


def _pairs(num_steps: int) -> list[tuple[float, float]]:
    _check_steps(num_steps)
    return [(1 - k / num_steps, 1 - (k + 1) / num_steps) for k in range(num_steps)]


def _check_steps(num_steps: int, limit: int | None = None) -> None:
    if num_steps < 1 or (limit is not None and num_steps > limit):
        expected = (
            "at least 1" if limit is None else f"1 to {limit}, the timesteps the network was trained at"
        )
        raise ConfigError(f"num_steps {num_steps}: expected {expected}. Set --steps accordingly.")
