"""The two ways from data to the start of generation: diffusion and rectified flow.

Shapes: B batch, C channels, H, W of the latent. z_0 is the data latent, z_1 is where generation
starts, z_t lies between; `t` is an integer timestep in [0, T) for a diffusion and a time in [0, 1]
for a flow. All arithmetic is float32, whatever precision comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field, field_validator

from voxloom.component import Component
from voxloom.diffusion.schedules import SCHEDULES, Schedule
from voxloom.errors import SchemaError
from voxloom.registry import Registry
from voxloom.sample import Array

__all__ = ["PROCESSES", "DiffusionProcess", "FlowProcess", "Process", "process_from"]

PROCESSES = Registry(
    "process",
    {
        "diffusion": "voxloom.diffusion.process:DiffusionProcess",
        "flow": "voxloom.diffusion.process:FlowProcess",
    },
)
"""Name -> class; the name is the `kind` field of its settings."""


@runtime_checkable
class Process(Protocol):
    """What training and the solvers ask of a process."""

    @property
    def is_random(self) -> bool:
        """Whether two runs of a solver can end differently."""

    def times(self, uniform_B: Array | torch.Tensor) -> torch.Tensor:
        """Turn draws in [0, 1) into the times to train at, shape (B,)."""

    def start(self, noise_BCHW: torch.Tensor, condition_BCHW: torch.Tensor | None = None) -> torch.Tensor:
        """Return z_1, from standard Gaussian noise and, for some, the condition's latent."""

    def noisy(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return z_t."""

    def target(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return what the network should put out at z_t."""

    def model_time(self, t_B: torch.Tensor) -> torch.Tensor:
        """Return what the network's time embedding gets: float32 in [0, 1000] or thereabouts."""

    def to_z0(self, output_BCHW: torch.Tensor, zt_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return the data latent that a network output at z_t stands for."""


class DiffusionProcess(Component):
    """Gaussian diffusion with a table of timesteps (DDPM, Ho et al. 2020).

    z_t = signal_t z_0 + noise_t z_1 with z_1 standard Gaussian noise.

    Examples
    --------
    >>> process = DiffusionProcess(prediction="v")
    >>> z0, z1 = torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    >>> t = process.times(torch.tensor([0.0, 0.999]))
    >>> t.tolist()
    [0, 999]
    >>> zt = process.noisy(z0, z1, t)
    >>> torch.allclose(process.to_z0(process.target(z0, z1, t), zt, t), z0, atol=1e-5)
    True
    """

    kind: Literal["diffusion"] = "diffusion"
    """Tells the processes apart in a configuration."""
    num_train_timesteps: int = Field(default=1000, ge=2)
    """T: number of noise levels the network is trained at."""
    beta_start: float = Field(default=0.0015, gt=0, lt=1)
    """Variance added by the first step."""
    beta_end: float = Field(default=0.0195, gt=0, lt=1)
    """Variance added by the last step."""
    schedule: str = "scaled_linear_beta"
    """How the variance grows from one to the other: a name of `SCHEDULES`."""
    prediction: Literal["epsilon", "v"] = "epsilon"
    """What the network puts out: the noise, or v = signal_t z_1 - noise_t z_0 (Salimans & Ho 2022)."""

    @field_validator("schedule")
    @classmethod
    def _known(cls, name: str) -> str:
        SCHEDULES[name]
        return name

    @property
    def levels(self) -> Schedule:
        """The table of noise levels, built once for each set of settings."""
        return _levels(self.schedule, self.num_train_timesteps, self.beta_start, self.beta_end)

    @property
    def is_random(self) -> bool:
        """Whether two runs of a solver can end differently: they start from noise."""
        return True

    def times(self, uniform_B: Array | torch.Tensor) -> torch.Tensor:
        """Return int64 timesteps in [0, T): equal shares of [0, 1) go to equal timesteps."""
        scaled_B = torch.as_tensor(uniform_B, dtype=torch.float64) * self.num_train_timesteps
        return scaled_B.long().clamp_(0, self.num_train_timesteps - 1)

    def start(self, noise_BCHW: torch.Tensor, condition_BCHW: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002 - one signature for both
        """Return the noise: a diffusion starts from nothing else."""
        return noise_BCHW.float()

    def noisy(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return z_t (Ho et al. 2020, eq. 4)."""
        signal_B, noise_B = self.levels.at(t_B, z0_BCHW)
        return signal_B * z0_BCHW.float() + noise_B * z1_BCHW.float()

    def target(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return the noise, or v."""
        if self.prediction == "epsilon":
            return z1_BCHW.float()
        signal_B, noise_B = self.levels.at(t_B, z0_BCHW)
        return signal_B * z1_BCHW.float() - noise_B * z0_BCHW.float()

    def model_time(self, t_B: torch.Tensor) -> torch.Tensor:
        """Return the timestep itself."""
        return t_B.float()

    def to_z0(self, output_BCHW: torch.Tensor, zt_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return z_0 without clipping: latents of unit variance go well past 1."""
        signal_B, noise_B = self.levels.at(t_B, zt_BCHW)
        output_BCHW, zt_BCHW = output_BCHW.float(), zt_BCHW.float()
        if self.prediction == "epsilon":
            return (zt_BCHW - noise_B * output_BCHW) / signal_B
        return signal_B * zt_BCHW - noise_B * output_BCHW


class FlowProcess(Component):
    """Rectified flow: straight lines from data at t = 0 to the start at t = 1 (Liu et al. 2023, eq. 1).

    z_t = (1 - t) z_0 + t z_1, and the network puts out the velocity z_1 - z_0.

    Examples
    --------
    >>> process = FlowProcess(start_from="condition", start_noise=0.1)
    >>> z0, condition, noise = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    >>> z1 = process.start(noise, condition)
    >>> float(process.noisy(z0, z1, torch.tensor([0.25, 0.5]))[0].mean())
    0.25
    """

    kind: Literal["flow"] = "flow"
    """Tells the processes apart in a configuration."""
    start_from: Literal["condition", "noise"] = "condition"
    """Where generation starts: at the condition's latent, or at Gaussian noise."""
    start_noise: float = Field(default=0.0, ge=0)
    """Deviation of the noise added to a condition, so that several samples can differ; no part in "noise"."""
    time_density: Literal["uniform", "logit_normal"] = "uniform"
    """How training times are spread; logit_normal favours the middle (Esser et al. 2024, eq. 19)."""

    @property
    def is_random(self) -> bool:
        """Whether two runs of a solver can end differently: a bare condition has one way."""
        return self.start_from == "noise" or self.start_noise > 0

    def times(self, uniform_B: Array | torch.Tensor) -> torch.Tensor:
        """Return float32 times in [0, 1], by the inverse of the density's distribution function."""
        t_B = torch.as_tensor(uniform_B, dtype=torch.float64)
        if self.time_density == "logit_normal":
            t_B = torch.sigmoid(torch.special.ndtri(t_B))
        return t_B.float()

    def start(self, noise_BCHW: torch.Tensor, condition_BCHW: torch.Tensor | None = None) -> torch.Tensor:
        """Return the noise, or the condition with `start_noise` times the noise added.

        Raises
        ------
        SchemaError
            When the flow starts at the condition and there is none, or not one of the noise's shape.
        """
        if self.start_from == "noise":
            return noise_BCHW.float()
        if condition_BCHW is None or condition_BCHW.shape != noise_BCHW.shape:
            found = "none" if condition_BCHW is None else f"one of shape {tuple(condition_BCHW.shape)}"
            raise SchemaError(
                f"a flow that starts at the condition got {found}: expected the latent's shape "
                f'{tuple(noise_BCHW.shape)}. Give the condition, or set start_from="noise".'
            )
        return condition_BCHW.float() + self.start_noise * noise_BCHW.float()

    def noisy(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Return the point at time t of the line from z_0 to z_1."""
        t_B = _broadcast(t_B, z0_BCHW)
        return (1 - t_B) * z0_BCHW.float() + t_B * z1_BCHW.float()

    def target(self, z0_BCHW: torch.Tensor, z1_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - one signature for both
        """Return the velocity, the same all along the line."""
        return z1_BCHW.float() - z0_BCHW.float()

    def model_time(self, t_B: torch.Tensor) -> torch.Tensor:
        """Return 1000 t: the frequencies of the time embedding are made for timesteps of that size."""
        return 1000 * t_B.float()

    def to_z0(self, output_BCHW: torch.Tensor, zt_BCHW: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        """Follow the velocity straight back to t = 0."""
        return zt_BCHW.float() - _broadcast(t_B, zt_BCHW) * output_BCHW.float()


def process_from(settings: Mapping[str, Any]) -> Process:
    """Build a process from plain settings, as a checkpoint or a configuration file holds them.

    Parameters
    ----------
    settings
        `kind`, a name of `PROCESSES`, and the fields of that process.

    Raises
    ------
    UnknownNameError
        When `kind` is no process.
    pydantic.ValidationError
        When a setting is unknown or out of range.

    Examples
    --------
    >>> process_from({"kind": "flow", "start_from": "noise"}).start_from
    'noise'
    """
    process: Process = PROCESSES[settings.get("kind", "diffusion")].model_validate(dict(settings))
    return process


@lru_cache(maxsize=32)
def _levels(schedule: str, num_train_timesteps: int, beta_start: float, beta_end: float) -> Schedule:
    return Schedule.from_betas(SCHEDULES[schedule](num_train_timesteps, beta_start, beta_end))


def _broadcast(t_B: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return t_B.to(like.device, torch.float32).view(-1, *[1] * (like.ndim - 1))
