"""Noise schedules: tables in float64, cut to float32 only where they meet a tensor.

Shapes: T training timesteps, B batch. In all of voxloom.diffusion z_t = signal_t z_0 + noise_t e,
with signal_t = sqrt(alphas_cumprod_t) and noise_t = sqrt(1 - alphas_cumprod_t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

from voxloom.errors import ConfigError
from voxloom.registry import Registry
from voxloom.sample import Array

__all__ = ["SCHEDULES", "Schedule", "cosine", "linear", "scaled_linear"]

Betas = Callable[[int, float, float], Array]

SCHEDULES = Registry(
    "schedule",
    {
        "cosine": "voxloom.diffusion.schedules:cosine",
        "linear_beta": "voxloom.diffusion.schedules:linear",
        "scaled_linear_beta": "voxloom.diffusion.schedules:scaled_linear",
    },
)
"""Name -> function of (num_train_timesteps, beta_start, beta_end) that returns the betas."""


def linear(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """Return betas that grow linearly (Ho et al. 2020, section 4).

    Examples
    --------
    >>> linear(3, 0.1, 0.3).round(3).tolist()
    [0.1, 0.2, 0.3]
    """
    return np.linspace(beta_start, beta_end, num_train_timesteps)


def scaled_linear(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """Return betas whose square root grows linearly (Rombach et al. 2022, their released code).

    Examples
    --------
    >>> scaled_linear(3, 0.01, 0.09).round(3).tolist()
    [0.01, 0.04, 0.09]
    """
    return np.asarray(np.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps) ** 2)


def cosine(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:  # noqa: ARG001
    """Return betas of the cosine schedule (Nichol & Dhariwal 2021, eq. 17), at most 0.999.

    `beta_start` and `beta_end` have no part in it.

    Examples
    --------
    >>> cosine(4, 0.0, 0.0).round(3).tolist()
    [0.153, 0.417, 0.708, 0.999]
    """
    t = np.linspace(0, 1, num_train_timesteps + 1)
    signal_squared = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.asarray(np.minimum(1 - signal_squared[1:] / signal_squared[:-1], 0.999))


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much signal and how much noise there is at each training timestep.

    Attributes
    ----------
    alphas_cumprod
        float64 array (T,), falling, each in (0, 1): the squared share of the signal.

    Examples
    --------
    >>> schedule = Schedule.from_betas(linear(3, 0.1, 0.3))
    >>> schedule.alphas_cumprod.round(3).tolist()
    [0.9, 0.72, 0.504]
    """

    alphas_cumprod: Array

    @classmethod
    def from_betas(cls, betas: Array) -> Schedule:
        """Build the schedule from the variance that each step adds.

        Parameters
        ----------
        betas
            Array (T,), each in (0, 1).

        Raises
        ------
        ConfigError
            When a beta lies outside (0, 1).
        """
        if not np.all((betas > 0) & (betas < 1)):
            raise ConfigError(
                f"betas from {betas.min():g} to {betas.max():g}: expected each to lie in (0, 1). "
                "Check beta_start and beta_end (0.0015 and 0.0195 are usual)."
            )
        return cls(np.cumprod(1 - betas.astype(np.float64)))

    @cached_property
    def signal(self) -> Array:
        """float64 array (T,): the factor of the clean latent."""
        return np.asarray(np.sqrt(self.alphas_cumprod))

    @cached_property
    def noise(self) -> Array:
        """float64 array (T,): the factor of the Gaussian noise."""
        return np.asarray(np.sqrt(1 - self.alphas_cumprod))

    @cached_property
    def log_snr(self) -> Array:
        """float64 array (T,): log(signal / noise), the lambda of Lu et al. 2022."""
        return np.asarray(np.log(self.signal / self.noise))

    def at(self, t_B: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (signal, noise) at the timesteps, float32, shaped to multiply `like`.

        Parameters
        ----------
        t_B
            Integer timesteps in [0, T), shape (B,).
        like
            Tensor (B, ...) that they will multiply: it gives the device and the number of axes.

        Examples
        --------
        >>> schedule = Schedule.from_betas(linear(3, 0.1, 0.3))
        >>> signal, noise = schedule.at(torch.tensor([0, 2]), torch.zeros(2, 4, 8, 8))
        >>> tuple(signal.shape), round(float(noise[1] ** 2), 3)
        ((2, 1, 1, 1), 0.496)
        """
        signal_T, noise_T = _on_device(self, like.device)
        t_B = t_B.to(like.device).long()
        shape = (-1, *[1] * (like.ndim - 1))
        return signal_T[t_B].view(shape), noise_T[t_B].view(shape)


@lru_cache(maxsize=32)
def _on_device(schedule: Schedule, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    # A table first made under inference_mode would be refused by autograd in the next training step.
    with torch.inference_mode(False):
        return (
            torch.tensor(schedule.signal, dtype=torch.float32, device=device),
            torch.tensor(schedule.noise, dtype=torch.float32, device=device),
        )
