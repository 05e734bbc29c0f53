"""From one value an image to what a table says: mean, median, deviation and a confidence interval."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.seeding import rng_for

__all__ = ["METRICS", "Bootstrap", "Metric", "format_table", "summarize"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """How a number is written: its name in a table, its unit and which way is better."""

    label: str
    unit: str
    higher_is_better: bool
    decimals: int | None
    """Digits after the point, or None for four significant ones."""

    def format(self, value: float) -> str:
        """Return the number as text; ``-`` where there is none.

        Examples
        --------
        >>> METRICS["psnr"].format(23.456), METRICS["mae"].format(1234.5678), METRICS["ssim"].format(math.nan)
        ('23.46', '1235', '-')
        """
        if math.isnan(value):
            return "-"
        if self.decimals is not None:
            return f"{value:.{self.decimals}f}"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


METRICS = {
    "psnr": Metric("PSNR", "dB", True, 2),
    "ssim": Metric("SSIM", "", True, 4),
    "mae": Metric("MAE", "", False, None),
    "psnr_masked": Metric("PSNR in foreground", "dB", True, 2),
    "ssim_masked": Metric("SSIM in foreground", "", True, 4),
    "mae_masked": Metric("MAE in foreground", "", False, None),
    "dice": Metric("Dice", "", True, 4),
    "iou": Metric("IoU", "", True, 4),
}
"""What `voxloom.analysis.evaluate` measures, in the order of its columns."""


class Bootstrap(Component):
    """A percentile confidence interval of a mean: images are drawn again and again, with replacement.

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> low, high = Bootstrap(seed=3).interval(values, ["a", "b", "c", "d"])
    >>> 1 <= low < 2.5 < high <= 4
    True
    """

    resamples: int = Field(default=2000, ge=100)
    """How often the images are drawn again."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Share of the resampled means inside the interval."""
    seed: int = 0
    """The same seed gives the same interval."""
    group: str | None = None
    """Regular expression on the image's name, whose first group (or whole match) names what is drawn:
    for instance the patient, because the slices of one patient do not vary freely. Default: each image."""

    def interval(self, values: Values, names: Sequence[str]) -> tuple[float, float]:
        """Return the interval's ends; NaN for fewer than two images or groups, which say nothing of it.

        Parameters
        ----------
        values
            (N,), finite.
        names
            N names of the images.

        Raises
        ------
        ConfigError
            When `group` is no regular expression or matches no part of a name.
        """
        _, index = np.unique([self.unit_of(name) for name in names], return_inverse=True)
        sums, counts = np.bincount(index, values), np.bincount(index)
        if len(sums) < 2:
            return math.nan, math.nan
        rng = rng_for(self.seed, "bootstrap")
        draws = (rng.integers(len(sums), size=len(sums)) for _ in range(self.resamples))
        means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draws]
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(means, (tail, 1 - tail))
        return float(low), float(high)

    def unit_of(self, name: str) -> str:
        """Return what an image is drawn with: its group, or itself.

        Raises
        ------
        ConfigError
            When `group` is no regular expression or matches no part of the name.
        """
        if self.group is None:
            return name
        try:
            match = re.search(self.group, name)
        except re.error as error:
            raise ConfigError(f"{self.group!r} is not a regular expression: {error}.") from None
        if match is None:
            raise ConfigError(
                f"the expression {self.group!r} does not match the name {name!r}: expected one that finds "
                r"the group in each name, for instance '^(patient\d+)_'."
            )
        return match.group(1) if match.re.groups else match.group()


def summarize(values: Values, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, float | int]:
    """Return what a table says of one metric.

    Infinite values (the PSNR of two equal images) are counted and left out of the other numbers,
    unless there are no others; NaN (an empty mask) is left out.

    Parameters
    ----------
    values
        (N,), one an image.
    names
        N names of the images.
    bootstrap
        How the interval is found.

    Returns
    -------
    dict
        ``count`` and ``infinite`` of values, ``mean``, ``median``, ``std`` (sample deviation),
        ``ci_low`` and ``ci_high`` of the mean, ``min``, ``max``. NaN where there is none.

    Examples
    --------
    >>> found = summarize(np.array([1.0, 3.0, np.inf]), ["a", "b", "c"], Bootstrap())
    >>> found["count"], found["infinite"], found["mean"], found["max"]
    (3, 1, 2.0, 3.0)
    """
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    chosen = values[finite]
    counts = {"count": int((~np.isnan(values)).sum()), "infinite": int(np.isinf(values).sum())}
    if not chosen.size:
        lone = math.inf if counts["infinite"] else math.nan
        return {
            **counts,
            **dict.fromkeys(("mean", "median", "ci_low", "ci_high", "min", "max"), lone),
            "std": math.nan,
        }
    low, high = bootstrap.interval(chosen, [name for name, keep in zip(names, finite, strict=True) if keep])
    return {
        **counts,
        "mean": float(chosen.mean()),
        "median": float(np.median(chosen)),
        "std": float(chosen.std(ddof=1)) if chosen.size > 1 else math.nan,
        "ci_low": low,
        "ci_high": high,
        "min": float(chosen.min()),
        "max": float(chosen.max()),
    }


def format_table(summary: Mapping[str, Any]) -> str:
    """Return the summary of an evaluation as text for a terminal.

    Parameters
    ----------
    summary
        What `voxloom.analysis.Evaluation.summary` returned.

    Examples
    --------
    >>> row = {"mean": 23.1, "ci_low": 22.0, "ci_high": 24.25}
    >>> print(format_table({"methods": {"prediction": {"psnr": row}, "copy": {"psnr": row}}}))
    mean [95 % interval]  prediction           copy
    PSNR (dB)             23.10 [22.00, 24.25] 23.10 [22.00, 24.25]
    """
    methods = summary["methods"]
    share = summary.get("bootstrap", {}).get("confidence", 0.95)
    lines = [[f"mean [{100 * share:g} % interval]", *methods]]
    for name, metric in METRICS.items():
        cells = [_cell(metric, rows[name]) for rows in methods.values() if name in rows]
        if cells:
            lines.append([f"{metric.label} ({metric.unit})" if metric.unit else metric.label, *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(metric: Metric, row: Mapping[str, float]) -> str:
    mean, low, high = (metric.format(row[key]) for key in ("mean", "ci_low", "ci_high"))
    return mean if "-" in (low, high) or low == high else f"{mean} [{low}, {high}]"
