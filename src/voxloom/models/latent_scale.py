"""The scale of a latent space: what makes each of its channels a variable of mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from voxloom.component import Component

__all__ = ["LatentScale"]


class LatentScale(Component):
    """Mean and deviation of each latent channel, measured over a training set.

    A single scale factor ``f`` of older checkpoints is a mean of 0 and a deviation of ``1 / f``.

    Examples
    --------
    >>> scale = LatentScale(mean=(1.0, 0.0), deviation=(2.0, 0.5))
    >>> z = scale.normalise(torch.ones(1, 2, 1, 1))
    >>> z.flatten().tolist(), scale.restore(z).flatten().tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    mean: tuple[float, ...]
    """Mean of each channel."""
    deviation: tuple[PositiveFloat, ...]
    """Standard deviation of each channel, above 0."""

    @model_validator(mode="after")
    def _one_each(self) -> LatentScale:
        if len(self.mean) != len(self.deviation):
            raise ValueError(
                f"{len(self.mean)} means and {len(self.deviation)} deviations: expected one each a channel"
            )
        return self

    @classmethod
    def from_factor(cls, factor: float, channels: int) -> LatentScale:
        """Return the scale that multiplies every channel by `factor`."""
        return cls(mean=(0.0,) * channels, deviation=(1.0 / factor,) * channels)

    @classmethod
    def measured(cls, latents: Iterable[Tensor]) -> LatentScale:
        """Measure posterior means, each of shape (C, h, w) or (B, C, h, w), in float64, in one pass."""
        count, total, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for z in latents:
            flat_CN = z.detach().double().cpu().movedim(-3, 0).flatten(1)
            count += flat_CN.shape[1]
            total = total + flat_CN.sum(1)
            squares = squares + flat_CN.square().sum(1)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(1e-12).sqrt()
        return cls(mean=tuple(mean.tolist()), deviation=tuple(deviation.clamp_min(1e-6).tolist()))

    def normalise(self, z_BCHW: Tensor) -> Tensor:
        """Return (z - mean) / deviation of each channel, in fp32."""
        mean, deviation = self._like(z_BCHW)
        return (z_BCHW.float() - mean) / deviation

    def restore(self, z_BCHW: Tensor) -> Tensor:
        """Return what `normalise` was given."""
        mean, deviation = self._like(z_BCHW)
        return z_BCHW.float() * deviation + mean

    def _like(self, z_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, 1, 1)
        device = z_BCHW.device
        return (
            torch.tensor(self.mean, device=device).reshape(shape),
            torch.tensor(self.deviation, device=device).reshape(shape),
        )
