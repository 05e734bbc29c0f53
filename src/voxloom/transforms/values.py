"""Changes of the values of patches, as torch modules: on CPU or GPU, a patch or a batch at a time.

Each takes a tensor and returns a new one, so a list of them stands in any chain of callables, for
instance torchvision's ``Compose``. Called with the tensor alone it takes this for one patch and, if
it is random, draws once from torch's global generator, as such chains do. Given a list of generators
it takes the tensor for a batch, samples first, and each sample draws from its own: a run whose
generators follow from (seed, epoch, index) is the same for any batch size, rank and worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxloom.errors import ConfigError
from voxloom.seeding import Key, stable_hash

__all__ = [
    "Binarize",
    "Generators",
    "NaNtoNum",
    "Normalize",
    "Percentile",
    "ValueTransform",
    "Values",
    "generators_for",
]

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where randomness comes from: one for a patch, a list for the samples of a batch, None for torch's own."""

_MOST = 2**24  # values that torch.quantile takes


def generators_for(
    *key: Key, epoch: int, indices: Sequence[int], device: torch.device | str = "cpu"
) -> list[torch.Generator]:
    """Return a generator for each sample of a batch.

    Parameters
    ----------
    *key
        The seed first, then the purpose.
    epoch, indices
        Which samples.
    device
        Where the values lie: a generator draws there. GPU and CPU draw different numbers.

    Examples
    --------
    >>> a, b = generators_for(0, "noise", epoch=1, indices=[4, 5])
    >>> (again,) = generators_for(0, "noise", epoch=1, indices=[5])
    >>> bool(torch.rand(1, generator=b) == torch.rand(1, generator=again))
    True
    """
    seeds = (stable_hash(*key, epoch, index) % 2**63 for index in indices)
    return [torch.Generator(device).manual_seed(seed) for seed in seeds]


class ValueTransform(nn.Module):
    """A change of values. Deterministic ones take generators too, and draw nothing."""

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:
        """Return the changed values.

        Parameters
        ----------
        x
            One patch (C, z, y, x), (C, y, x) or without C; or a batch of them where `generators` is a
            sequence.
        generators
            Where randomness comes from.
        """
        raise NotImplementedError


class Values(ValueTransform):
    """Changes of values in turn.

    Examples
    --------
    >>> chain = Values(Normalize(scale=1 / 100), Binarize(threshold=0.5))
    >>> chain(torch.tensor([10, 90], dtype=torch.uint8))
    tensor([0., 1.])
    """

    def __init__(self, *steps: ValueTransform) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:
        """Return the values after all steps; they draw from the same generators, one after the other."""
        for step in self.steps:
            x = step(x, generators)
        return x


class Normalize(ValueTransform):
    """Return ``(x + shift) * scale``, float32.

    Examples
    --------
    >>> Normalize(shift=-127.5, scale=1 / 127.5)(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """

    def __init__(self, shift: float = 0.0, scale: float = 1 / 255) -> None:
        super().__init__()
        self.shift, self.scale = shift, scale

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:  # noqa: ARG002
        """Return the shifted and scaled values."""
        return (x.float() + self.shift) * self.scale


class Percentile(ValueTransform):
    """Map two percentiles of each patch to 0 and 1, and clip what lies beyond; float32.

    What two patches show depends on what else is in them: good for data whose brightness drifts, not
    where brightness means something. A constant patch becomes zeros. Of more than 2^24 values evenly
    spread ones are taken.

    Parameters
    ----------
    low, high
        Percentiles, 0 to 100.
    batched
        Whether the first axis counts samples, each with percentiles of its own. A list of generators
        says so too.

    Examples
    --------
    >>> Percentile(25, 75)(torch.arange(5.0))
    tensor([0.0000, 0.0000, 0.5000, 1.0000, 1.0000])
    """

    def __init__(self, low: float = 0.5, high: float = 99.5, *, batched: bool = False) -> None:
        super().__init__()
        if not 0 <= low < high <= 100:
            raise ConfigError(f"percentiles {low:g} and {high:g}: expected 0 <= low < high <= 100")
        self.low, self.high, self.batched = low, high, batched

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:
        """Return the values between the percentiles, as 0 to 1."""
        samples = len(x) if self.batched or isinstance(generators, Sequence) else 1
        values = x.float()
        flat = values.reshape(samples, -1)
        chosen = flat[:, :: math.ceil(flat.shape[1] / _MOST)]
        wanted = torch.tensor([self.low / 100, self.high / 100], device=x.device)
        low, high = torch.nanquantile(chosen, wanted, dim=1)
        span = (high - low)[:, None]
        scaled: Tensor = ((flat - low[:, None]) / torch.where(span > 0, span, torch.inf)).clamp(0, 1)
        return scaled.reshape(x.shape)


class Binarize(ValueTransform):
    """Return 1 where a value is above a threshold, else 0, of the same type; NaN stays NaN.

    Examples
    --------
    >>> Binarize()(torch.tensor([-1.0, 0.0, 3.0, torch.nan]))
    tensor([0., 0., 1., nan])
    """

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:  # noqa: ARG002
        """Return zeros and ones."""
        above: Tensor = (x > self.threshold).to(x.dtype)
        return torch.where(x.isnan(), x, above) if x.is_floating_point() else above


class NaNtoNum(ValueTransform):
    """Replace NaN and infinities.

    Parameters
    ----------
    nan
        What NaN becomes.
    posinf, neginf
        What infinities become; None: the largest and smallest number of the type.

    Examples
    --------
    >>> NaNtoNum(0, posinf=1)(torch.tensor([torch.nan, torch.inf, 2.0]))
    tensor([0., 1., 2.])
    """

    def __init__(self, nan: float = 0.0, *, posinf: float | None = None, neginf: float | None = None) -> None:
        super().__init__()
        self.nan, self.posinf, self.neginf = nan, posinf, neginf

    def forward(self, x: Tensor, generators: Generators = None) -> Tensor:  # noqa: ARG002
        """Return finite values; integers are."""
        if not x.is_floating_point():
            return x
        return torch.nan_to_num(x, nan=self.nan, posinf=self.posinf, neginf=self.neginf)
