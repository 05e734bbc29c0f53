"""Two models on the same images: the differences of their metrics, image by image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxloom.analysis.summary import METRICS, Bootstrap

__all__ = ["PairedDifference", "paired_differences"]


@dataclass(frozen=True)
class PairedDifference:
    """How much one model differs from another in one metric, on the images that both have.

    Attributes
    ----------
    count
        Images on which both have a finite value.
    mean
        Mean of the second's value minus the first's.
    low, high
        Ends of its bootstrap interval; NaN for fewer than two images or groups.
    better
        Share of the images on which the second is better, 0 to 1; equal ones count half.
    """

    count: int
    mean: float
    low: float
    high: float
    better: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval holds no zero."""
        return self.low > 0 or self.high < 0


def paired_differences(
    first: Mapping[str, Mapping[str, float]],
    second: Mapping[str, Mapping[str, float]],
    bootstrap: Bootstrap | None = None,
) -> dict[str, PairedDifference]:
    """Return the differences of all metrics that both have on shared images.

    Images are drawn as pairs, so that what makes an image hard for both cancels: the interval is that
    of the mean difference and is often far narrower than those of the two means.

    Parameters
    ----------
    first, second
        Name of an image -> its metrics.
    bootstrap
        How images or groups are drawn.

    Raises
    ------
    ConfigError
        When the bootstrap's group matches no part of a name.

    Examples
    --------
    >>> first = {"a": {"psnr": 20.0}, "b": {"psnr": 30.0}}
    >>> second = {"a": {"psnr": 21.0}, "b": {"psnr": 31.0}, "c": {"psnr": 9.0}}
    >>> found = paired_differences(first, second)["psnr"]
    >>> found.count, found.mean, found.low, found.better
    (2, 1.0, 1.0, 1.0)
    """
    bootstrap = bootstrap or Bootstrap()
    found = {}
    for metric in METRICS:
        pairs = {
            name: (first[name][metric], second[name][metric])
            for name in first
            if name in second and metric in first[name] and metric in second[name]
        }
        finite = {name: pair for name, pair in pairs.items() if all(map(math.isfinite, pair))}
        if finite:
            found[metric] = _difference(metric, finite, bootstrap)
    return found


def _difference(
    metric: str, pairs: Mapping[str, tuple[float, float]], bootstrap: Bootstrap
) -> PairedDifference:
    values = np.array([b - a for a, b in pairs.values()])
    sign = 1 if METRICS[metric].higher_is_better else -1
    better = float(np.mean((np.sign(sign * values) + 1) / 2))
    low, high = bootstrap.interval(values, list(pairs))
    return PairedDifference(len(values), float(values.mean()), low, high, better)
