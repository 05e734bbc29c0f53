"""How the values of patches are scaled for a network, and changed at random in training: settings."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.component import Component
from voxloom.transforms.random_values import (
    GaussianBlur,
    GaussianNoise,
    PoissonNoise,
    RandomContrast,
    RandomGamma,
)
from voxloom.transforms.values import NaNtoNum, Normalize, Percentile, Values, ValueTransform

__all__ = ["PatchValues", "ValueAugment"]

Chance = Annotated[float, Setting(ge=0, le=1)]
Percent = Annotated[float, Setting(ge=0, le=100)]
Amount = Annotated[float, Setting(ge=0)]
Positive = Annotated[float, Setting(gt=0)]
Amounts = tuple[Amount, Amount]
Positives = tuple[Positive, Positive]


class ValueAugment(Component):
    """What happens to scaled values at random, in this order; each to a share of the patches.

    Examples
    --------
    >>> len(ValueAugment(contrast=None).steps(dims=3))
    2
    """

    probability: Chance = 0.3
    """Share of the patches that each of these changes."""
    contrast: Amounts | None = (0.75, 1.25)
    """Factor on the distance of values from the patch's mean, [low, high]; null: none of it."""
    gamma: Positives | None = (0.7, 1.5)
    """Power of values, between the patch's least and largest, [low, high]; null: none of it."""
    blur: Positives | None = None
    """Deviation of a Gaussian blur in voxels, [low, high]; null: none of it."""
    photons: Positives | None = None
    """Photons that the value 1 stands for, [low, high], for the noise of a detector; null: none of it."""
    noise: Amounts | None = (0.0, 0.05)
    """Deviation of normal noise, [low, high], in scaled values; null: none of it."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("contrast", "gamma", "blur", "photons", "noise"):
            given = getattr(self, name)
            if given is not None and given[0] > given[1]:
                raise ValueError(f"{name} {list(given)}: expected [low, high]")
        return self

    def steps(self, *, dims: int) -> list[ValueTransform]:
        """Return the changes, for patches of so many spatial axes."""
        p = self.probability
        made = (
            self.contrast and RandomContrast(self.contrast, p=p),
            self.gamma and RandomGamma(self.gamma, p=p),
            self.blur and GaussianBlur(self.blur, dims=dims, p=p),
            self.photons and PoissonNoise(self.photons, p=p),
            self.noise and GaussianNoise(std=self.noise, p=p),
        )
        return [step for step in made if step]


class PatchValues(Component):
    """How the values of patches are scaled for a network, and changed at random in training.

    NaN becomes 0 before anything else.

    Examples
    --------
    >>> import torch
    >>> PatchValues().scaling()(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """

    shift: float = 0.0
    """Added to each value, before `scale`."""
    scale: float = 1 / 255
    """Factor on each value: 1/255 for uint8, 1/65535 for uint16 that fills its range."""
    percentiles: tuple[Percent, Percent] | None = None
    """In place of shift and scale: percentiles of each patch that become 0 and 1, what lies beyond is
    clipped. A prediction then depends on what else lies in its tile."""
    augment: ValueAugment | None = None
    """Random changes in training, if there are to be any."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.percentiles is not None and self.percentiles[0] >= self.percentiles[1]:
            raise ValueError(f"percentiles {list(self.percentiles)}: expected the lower one first")
        return self

    def scaling(self, *, batched: bool = True) -> Values:
        """Return what happens always; `batched`: the first axis counts samples."""
        scale = (
            Normalize(self.shift, self.scale)
            if self.percentiles is None
            else Percentile(*self.percentiles, batched=batched)
        )
        return Values(NaNtoNum(), scale)

    def training(self, *, dims: int) -> Values:
        """Return what happens in training, to patches of so many spatial axes."""
        return Values(*self.scaling().steps, *(self.augment.steps(dims=dims) if self.augment else ()))
