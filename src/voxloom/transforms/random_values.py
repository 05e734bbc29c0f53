"""Random changes of the values of patches: contrast, gamma, blur, noise.

All return float32 in the unit that they were given, and take their randomness as
`voxloom.transforms.values` says.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from voxloom.errors import ConfigError
from voxloom.transforms.values import Generators, ValueTransform

__all__ = ["GaussianBlur", "GaussianNoise", "PoissonNoise", "RandomContrast", "RandomGamma"]

Range = tuple[float, float]


class _Random(ValueTransform):
    """Something done to a share `p` of the patches."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ConfigError(f"{type(self).__name__}: probability p={p:g}; expected a number from 0 to 1")
        self.p = p

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:
        """Return the changed values, float32."""
        values = x.float()
        changed = self.change(values, generators)
        if self.p == 1:
            return changed
        return torch.where(_uniform(x, generators) < self.p, changed, values)

    @abstractmethod
    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return every patch changed."""


class GaussianNoise(_Random):
    """Add normal noise.

    Parameters
    ----------
    mean, std
        Of the noise, in the unit of the values; a pair [low, high] draws the deviation for each patch.
    p
        Share of the patches that get it.

    Examples
    --------
    >>> GaussianNoise(mean=2, std=0)(torch.zeros(3))
    tensor([2., 2., 2.])
    """

    def __init__(self, mean: float = 0.0, std: float | Range = 0.1, *, p: float = 1.0) -> None:
        super().__init__(p)
        self.mean, self.std = mean, _range("std", std, least=0)

    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return the values with noise."""
        std = _uniform(x, generators, *self.std)
        return x + self.mean + std * _drawn(x, generators, _normal)


class PoissonNoise(_Random):
    """Count photons: the noise of a detector, stronger where it is bright.

    Parameters
    ----------
    photons
        How many the value 1 stands for; a pair [low, high] draws it for each patch. Fewer: noisier.
    p
        Share of the patches that get it.

    Examples
    --------
    >>> grey = torch.full((10_000,), 0.5)
    >>> noisy = PoissonNoise(photons=100)(grey, torch.Generator().manual_seed(0))
    >>> round(float(noisy.mean()), 2), round(float(noisy.std()), 2)  # sqrt(50) / 100
    (0.5, 0.07)
    """

    def __init__(self, photons: float | Range = (50.0, 500.0), *, p: float = 1.0) -> None:
        super().__init__(p)
        self.photons = _range("photons", photons, least=1e-6)

    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return counts over the photons of the value 1; what is negative counts none."""
        photons = _uniform(x, generators, *self.photons)
        return _drawn((x * photons).clamp_min(0), generators, _poisson) / photons


class RandomContrast(_Random):
    """Stretch values about the mean of their patch: ``r * x + (1 - r) * mean``, r uniform in a range.

    Parameters
    ----------
    range
        Of r: below 1 is flatter.
    limits
        What the result is clipped to; None: what the patch spans.
    p
        Share of the patches that are changed.

    Examples
    --------
    >>> RandomContrast((0.5, 0.5))(torch.tensor([0.0, 1.0]))
    tensor([0.2500, 0.7500])
    """

    def __init__(self, range: Range = (0.5, 1.5), *, limits: Range | None = None, p: float = 1.0) -> None:
        super().__init__(p)
        self.range, self.limits = _range("range", range, least=0), limits

    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return the values with another contrast."""
        ratio = _uniform(x, generators, *self.range)
        mean = x.nanmean(_own(x, generators), keepdim=True)
        low, high = _limits(x, generators, self.limits)
        return torch.clamp(ratio * x + (1 - ratio) * mean, low, high)


class RandomGamma(_Random):
    """Raise values to a power, between two limits that stay: ``g`` uniform in a range.

    Parameters
    ----------
    range
        Of the power: below 1 is brighter.
    limits
        What counts as 0 and as 1; None: what the patch spans. Values beyond are clipped.
    p
        Share of the patches that are changed.

    Examples
    --------
    >>> RandomGamma((2, 2))(torch.tensor([0.0, 5.0, 10.0]))
    tensor([ 0.0000,  2.5000, 10.0000])
    """

    def __init__(self, range: Range = (0.5, 1.5), *, limits: Range | None = None, p: float = 1.0) -> None:
        super().__init__(p)
        self.range, self.limits = _range("range", range, least=0), limits

    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return the values with another gamma."""
        power = _uniform(x, generators, *self.range)
        low, high = _limits(x, generators, self.limits)
        span = (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        return ((x - low) / span).clamp(0, 1) ** power * span + low


class GaussianBlur(_Random):
    """Blur along the last axes; beyond the edge its values go on.

    Parameters
    ----------
    sigma
        Deviation in voxels; a pair [low, high] draws it for each patch.
    dims
        How many axes, from the last: 3 for volumes, 2 for images and sections.
    radius
        Voxels that count on each side; None: 3 of the largest sigma.
    p
        Share of the patches that are blurred.

    Examples
    --------
    >>> point = torch.zeros(1, 5, 5, 5)
    >>> point[0, 2, 2, 2] = 1
    >>> blurred = GaussianBlur(sigma=0.5)(point)
    >>> round(float(blurred.sum()), 5), round(float(blurred.max()), 3)
    (1.0, 0.487)
    """

    def __init__(
        self, sigma: float | Range = 1.0, *, dims: int = 3, radius: int | None = None, p: float = 1.0
    ) -> None:
        super().__init__(p)
        self.sigma, self.dims = _range("sigma", sigma, least=1e-3), dims
        self.radius = math.ceil(3 * self.sigma[1]) if radius is None else radius

    def change(self, x: Tensor, generators: Generators) -> Tensor:
        """Return blurred values."""
        sigma = _uniform(x, generators, *self.sigma).reshape(-1, 1)
        offsets = torch.arange(-self.radius, self.radius + 1, device=x.device)
        kernels = torch.softmax(-0.5 * (offsets / sigma) ** 2, dim=1)  # (1 or B, 2 * radius + 1)
        size = x.shape[x.ndim - self.dims :]
        images = x.reshape(1, -1, *size)  # each image is a channel, so that each has its own kernel
        weights = kernels.repeat_interleave(images.shape[1] // len(kernels), 0)
        for axis in range(self.dims):
            images = _along(images, weights, axis)
        return images.reshape(x.shape)


def _along(images: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Convolve each channel of (1, N, ...) with its own kernel along a spatial axis."""
    lined = images.movedim(2 + axis, -1)
    shape, radius = lined.shape, weights.shape[1] // 2
    lines = F.pad(lined.reshape(shape[1], -1, shape[-1]), (radius, radius), mode="replicate")
    rows = lines.transpose(0, 1)  # (rows, N, length)
    done = F.conv1d(rows, weights[:, None], groups=len(weights)).transpose(0, 1)
    return done.reshape(shape).movedim(-1, 2 + axis)


def _range(name: str, given: float | Sequence[float], *, least: float) -> Range:
    low, high = (given, given) if isinstance(given, int | float) else given
    if not least <= low <= high:
        raise ConfigError(
            f"{name} {given}: expected a number of at least {least:g}, or a range [low, high] of such"
        )
    return float(low), float(high)


def _own(x: Tensor, generators: Generators) -> tuple[int, ...]:
    """Return the axes of one patch."""
    return tuple(range(1 if isinstance(generators, Sequence) else 0, x.ndim))


def _limits(x: Tensor, generators: Generators, limits: Range | None) -> tuple[Tensor, Tensor]:
    if limits is not None:
        low, high = torch.tensor(limits, device=x.device)
        return low, high
    axes, is_nan = _own(x, generators), x.isnan()
    return (
        torch.where(is_nan, torch.inf, x).amin(axes, keepdim=True),
        torch.where(is_nan, -torch.inf, x).amax(axes, keepdim=True),
    )


def _uniform(x: Tensor, generators: Generators, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return one number for a patch, or (B, 1, ...) for a batch."""
    many = isinstance(generators, Sequence)
    each = generators if isinstance(generators, Sequence) else [generators]
    drawn = torch.stack([_rand(x, generator) for generator in each])
    shape = (len(each), *(1,) * (x.ndim - 1)) if many else ()
    return low + (high - low) * drawn.reshape(shape)


def _rand(x: Tensor, generator: torch.Generator | None) -> Tensor:
    device = x.device if generator is None else generator.device
    return torch.rand((), generator=generator, device=device).to(x.device)


def _drawn(
    x: Tensor, generators: Generators, draw: Callable[[Tensor, torch.Generator | None], Tensor]
) -> Tensor:
    """Return what is drawn for a patch, or for each sample of a batch from its own generator."""
    if not isinstance(generators, Sequence):
        return draw(x, generators)
    return torch.stack([draw(sample, generator) for sample, generator in zip(x, generators, strict=True)])


def _normal(x: Tensor, generator: torch.Generator | None) -> Tensor:
    device = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=device).to(x.device)


def _poisson(x: Tensor, generator: torch.Generator | None) -> Tensor:
    rates = x if generator is None else x.to(generator.device)
    return torch.poisson(rates, generator=generator).to(x.device)
