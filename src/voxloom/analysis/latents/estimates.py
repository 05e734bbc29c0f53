"""Numbers with their confidence intervals, and rows of them as tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.summary import Bootstrap

__all__ = [
    "FEWEST_UNITS",
    "Estimate",
    "csv_text",
    "flat",
    "mean_of",
    "plain",
    "score_interval",
    "share_of",
    "table_text",
]

FEWEST_UNITS = 3
"""Images or patients of a group below which there is no interval: two of them give one distance."""

_SAME = 1e-12  # width of an interval that is rounding

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its confidence interval; NaN where there is none.

    Examples
    --------
    >>> Estimate.of(2.0, np.array([1.0, 2.0, 3.0]), confidence=0.5)
    Estimate(value=2.0, low=1.5, high=2.5)
    >>> print(Estimate(2.0), Estimate(2.0, 1.5, 2.5), Estimate())
    2 2 [1.5, 2.5] -
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, value: float, draws: Values, *, confidence: float) -> Estimate:
        """Return the value with the percentile interval of its resampled values, (B,); NaN are left out."""
        draws = draws[np.isfinite(draws)]
        if not len(draws) or not math.isfinite(value):
            return cls(float(value))
        tail = (1 - confidence) / 2
        low, high = np.quantile(draws, (tail, 1 - tail))
        return cls(float(value), float(low), float(high))

    def root(self) -> Estimate:
        """Return the square root of all three; of what is below zero it is zero."""
        return Estimate(*(math.sqrt(max(x, 0)) if not math.isnan(x) else x for x in self._all))

    @property
    def _all(self) -> tuple[float, float, float]:
        return self.value, self.low, self.high

    def __str__(self) -> str:
        value, low, high = (_short(x) for x in self._all)
        return value if low == "-" else f"{value} [{low}, {high}]"


def flat(row: Any) -> dict[str, Any]:
    """Return a dataclass as one value a column: an estimate becomes NAME, NAME_low and NAME_high."""
    columns: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        columns[field.name] = value.value if isinstance(value, Estimate) else value
        if isinstance(value, Estimate):
            columns |= {f"{field.name}_low": value.low, f"{field.name}_high": value.high}
    return columns


def mean_of(values: Values, units: Sequence[str], bootstrap: Bootstrap) -> Estimate:
    """Return the mean of what is finite, its interval over the units; none of nothing.

    Examples
    --------
    >>> mean_of(np.array([1.0, np.nan]), ["a", "b"], Bootstrap())
    Estimate(value=1.0, low=nan, high=nan)
    """
    kept = np.flatnonzero(np.isfinite(values))
    if not len(kept):
        return Estimate()
    value = float(values[kept].mean())
    if len({units[i] for i in kept.tolist()}) < FEWEST_UNITS:
        return Estimate(value)
    by_unit = bootstrap.model_copy(update={"group": None})  # a unit is what is drawn already
    return Estimate(value, *by_unit.interval(values[kept], [units[i] for i in kept.tolist()]))


def share_of(values: Values, units: Sequence[str], bootstrap: Bootstrap) -> Estimate:
    """Return the mean of shares from 0 to 1 with its interval, also where all of them are the same.

    To draw nothing but zeros again says nothing: there it is the score interval of as many trials as
    there are units, which is `score_interval`.

    Examples
    --------
    >>> print(share_of(np.zeros(20), [str(i) for i in range(20)], Bootstrap()))
    0 [0, 0.1611]
    """
    found = mean_of(values, units, bootstrap)
    if math.isnan(found.low) or found.high - found.low > _SAME:
        return found
    trials = len({unit for unit, value in zip(units, values.tolist(), strict=True) if math.isfinite(value)})
    return score_interval(found.value, trials, bootstrap.confidence)


def score_interval(share: float, trials: int, confidence: float) -> Estimate:
    """Return a share of independent trials with Wilson's interval (1927, doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> print(score_interval(0.5, 10, 0.95))
    0.5 [0.2366, 0.7634]
    """
    square = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    spread = share * (1 - share) / trials + square / (4 * trials**2)
    reach = math.sqrt(square * max(spread, 0)) / (1 + square / trials)
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Estimate(share, low if share > 0 else 0.0, high if share < 1 else 1.0)  # no rounding there


def plain(value: Any) -> Any:
    """Return a value as JSON has it: what is not a finite number is null, dataclasses are objects.

    Examples
    --------
    >>> plain({"a": Estimate(1.0), "b": (math.nan, np.float32(2))})
    {'a': {'value': 1.0, 'low': None, 'high': None}, 'b': [None, 2.0]}
    """
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_text(rows: Sequence[Any], kind: type) -> str:
    """Return dataclasses of one kind as CSV; what is not a finite number is empty."""
    empty = kind(**{field.name: _nothing(field.type) for field in fields(kind)})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(flat(empty))
    writer.writerows([_cell(value) for value in flat(row).values()] for row in rows)
    return text.getvalue()


def table_text(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as text for a terminal, columns aligned.

    Examples
    --------
    >>> print(table_text(["group", "points"], [["a", 12], ["bcdefg", 3.14159265]]))
    group   points
    a       12
    bcdefg  3.142
    """
    lines = [list(head), *([_short(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in padded)


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and not math.isfinite(value) else value


def _nothing(annotation: object) -> object:
    return Estimate() if annotation == "Estimate" else None
