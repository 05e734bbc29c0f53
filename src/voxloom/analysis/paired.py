"""Two models on the same images: the differences of their metrics, image by image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from voxloom.analysis.calibration import central_quantile
from voxloom.analysis.summary import METRICS, Bootstrap

__all__ = ["FEWEST_PAIRS", "PairedDifference", "paired_differences"]

FEWEST_PAIRS = 6
"""Images or groups below which no interval is told: of five pairs that all differ in the same direction
a sign test says p = 2 / 2^5 = 0.06, so nothing can be clear."""


@dataclass(frozen=True)
class PairedDifference:
    """How much one model differs from another in one metric, on the images that both have.

    Attributes
    ----------
    count
        Images on which both have a finite value.
    units
        What was drawn: the groups that these images are of, or the images themselves.
    mean
        Mean of the second's value minus the first's.
    low, high
        Ends of its bootstrap interval; NaN for fewer than `FEWEST_PAIRS` images or groups.
    better
        Share of the images on which the second is better, 0 to 1; equal ones count half.
    """

    count: int
    units: int
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
    of the mean difference and is often far narrower than those of the two means. Its percentiles are
    moved outward as Student's distribution asks for the number of images or groups [1]_; plain ones are
    too narrow for few of them.

    Parameters
    ----------
    first, second
        Name of an image -> its metrics.
    bootstrap
        How images or groups are drawn, and the confidence.

    Raises
    ------
    ConfigError
        When the bootstrap's group matches no part of a name.

    References
    ----------
    .. [1] Hesterberg, What teachers should know about the bootstrap, The American Statistician 69
       (2015): the expanded percentile interval.

    Examples
    --------
    >>> first = {name: {"psnr": 20.0} for name in "abcdef"}
    >>> second = {name: {"psnr": 21.0 + i} for i, name in enumerate("abcdefgh")}
    >>> found = paired_differences(first, second)["psnr"]
    >>> found.count, found.mean, found.low > 1, found.better
    (6, 3.5, True, 1.0)
    >>> few = paired_differences({"a": first["a"]}, second)["psnr"]
    >>> few.mean, few.low, few.is_clear
    (1.0, nan, False)
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
    units = len({bootstrap.unit_of(name) for name in pairs})
    low = high = math.nan
    if units >= FEWEST_PAIRS:
        wider = bootstrap.model_copy(update={"confidence": _expanded(bootstrap.confidence, units)})
        low, high = wider.interval(values, list(pairs))
    return PairedDifference(len(values), units, float(values.mean()), low, high, better)


def _expanded(confidence: float, units: int) -> float:
    """Return the confidence whose percentiles of n draws lie where Student's distribution wants them.

    Examples
    --------
    >>> round(_expanded(0.95, 6), 3), round(_expanded(0.95, 1000), 3)
    (0.995, 0.95)
    """
    width = math.sqrt(units / (units - 1)) * central_quantile(confidence, units - 1)
    return 2 * NormalDist().cdf(width) - 1
