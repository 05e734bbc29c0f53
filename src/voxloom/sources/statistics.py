"""What a data set holds, at a glance: counts, shapes, types, ranges, means and deviations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.sample import Array
from voxloom.source import Source
from voxloom.sources.split import Split

__all__ = ["FieldStatistics", "Statistics", "describe"]


class FieldStatistics(Component):
    """One field, over the samples that were looked at."""

    name: str
    """The field."""
    shapes: tuple[tuple[int, ...], ...]
    """The different shapes, from the smallest to the largest."""
    dtypes: tuple[str, ...]
    """The different types."""
    minimum: float | None
    """Smallest finite value; None where there is no finite value."""
    maximum: float | None
    """Largest finite value."""
    mean: float | None
    """Mean of all finite values."""
    std: float | None
    """Population standard deviation of all finite values."""
    blank: tuple[str, ...]
    """Keys of the samples in which all values are 0."""
    nonfinite: tuple[str, ...] = ()
    """Keys of the samples that hold a NaN or an infinite value."""

    @classmethod
    def of(cls, name: str, arrays: Iterable[tuple[str, Array]]) -> FieldStatistics:
        """Measure (key, array) pairs, one after the other; mean and deviation are over all their pixels."""
        parts = [_Measured.of(key, array) for key, array in arrays]
        filled = [part for part in parts if part.count]
        counts = np.array([part.count for part in filled], np.float64)
        means = np.array([part.mean for part in filled])
        variances = np.array([part.variance for part in filled])
        mean = float(np.average(means, weights=counts)) if filled else None
        return cls(
            name=name,
            shapes=tuple(sorted({part.shape for part in parts}, key=lambda s: (math.prod(s), s))),
            dtypes=tuple(sorted({part.dtype for part in parts})),
            minimum=min((part.minimum for part in filled), default=None),
            maximum=max((part.maximum for part in filled), default=None),
            mean=mean,
            std=None
            if mean is None
            else math.sqrt(np.average(variances + (means - mean) ** 2, weights=counts)),
            blank=tuple(part.key for part in parts if part.is_blank),
            nonfinite=tuple(part.key for part in parts if part.count < math.prod(part.shape)),
        )

    @property
    def shape_text(self) -> str:
        """The smallest and the largest shape, for instance ``1 x 4 x 5 to 1 x 4 x 6``."""
        shapes = [" x ".join(map(str, shape)) for shape in self.shapes]
        return shapes[0] if len(shapes) == 1 else f"{shapes[0]} to {shapes[-1]}" if shapes else ""

    @property
    def range_text(self) -> str:
        """The smallest and the largest value, for instance ``0 to 255``."""
        return "no finite value" if self.minimum is None else f"{self.minimum:.6g} to {self.maximum:.6g}"

    def _cells(self) -> tuple[str, ...]:
        numbers = ("" if number is None else f"{number:.6g}" for number in (self.mean, self.std))
        return self.name, self.shape_text, " ".join(self.dtypes), self.range_text, *numbers


@dataclass(frozen=True)
class _Measured:
    """One array: `count` finite values, and what they are."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    count: int
    minimum: float
    maximum: float
    mean: float
    variance: float
    is_blank: bool

    @classmethod
    def of(cls, key: str, array: Array) -> _Measured:
        finite = np.isfinite(array)
        values = array if finite.all() else array[finite]
        numbers = (0.0, 0.0, 0.0, 0.0)
        if values.size:
            mean, variance = values.mean(dtype=np.float64), values.var(dtype=np.float64)
            numbers = float(values.min()), float(values.max()), float(mean), float(variance)
        return cls(key, array.shape, str(array.dtype), int(values.size), *numbers, not array.any())


class Statistics(Component):
    """What `describe` has found; ``str()`` gives a block for the log."""

    source: str
    """What the data set is."""
    counts: dict[str, int]
    """Number of samples in all, in each part of the split, and in neither."""
    sampled: int
    """Number of samples that were looked at."""
    fields: tuple[FieldStatistics, ...]
    """Each field of the source."""

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        header = ("field", "shape", "type", "range", "mean", "std")
        rows = [header, *(field._cells() for field in self.fields)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        blank = [
            f"{len(field.blank)} of the {self.sampled} images of {field.name!r} hold zeros only: "
            + ", ".join(field.blank[:5])
            for field in self.fields
            if field.blank
        ]
        return "\n".join([self.source, counts, *table, f"(over {self.sampled} samples)", *blank])


def describe(source: Source, split: Split, *, num_samples: int = 32) -> Statistics:
    """Look at some samples of a source, evenly spread over it, as they are in the files.

    Parameters
    ----------
    source
        The whole data set, before any transform.
    split
        Which of it trains and which validates.
    num_samples
        How many to read at most.

    Raises
    ------
    ConfigError
        If `num_samples` is less than 1.
    DataError
        If one of them cannot be read.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import ImageFolder, write_image
    >>> folder = mkdtemp()
    >>> for i in range(4):
    ...     write_image(f"{folder}/{i}.tif", np.full((2, 3), i))
    >>> source = ImageFolder(folder, prefix="")
    >>> statistics = describe(source, Split(train=("0", "1", "2"), validation=("3",)))
    >>> statistics.counts
    {'samples': 4, 'training': 3, 'validation': 1}
    >>> print("\\n".join(str(statistics).splitlines()[2:4]))
    field  shape      type     range   mean  std
    image  1 x 2 x 3  float32  0 to 3  1.5   1.11803
    """
    if num_samples < 1:
        raise ConfigError(f"statistics over {num_samples} samples: expected at least 1.")
    number = min(num_samples, len(source))
    samples = [source[i * len(source) // number] for i in range(number)]
    counts = {"samples": len(source), "training": len(split.train), "validation": len(split.validation)}
    if left_out := len(source) - len(split.train) - len(split.validation):
        counts["in neither"] = left_out
    return Statistics(
        source=repr(source),
        counts=counts,
        sampled=number,
        fields=tuple(
            FieldStatistics.of(name, [(sample.key, sample[name]) for sample in samples])
            for name in (samples[0].schema if samples else ())
        ),
    )
