"""What a data set holds, at a glance: counts, shapes, types, ranges, means and deviations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.sample import Array, Source
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
    minimum: float
    """Smallest value."""
    maximum: float
    """Largest value."""
    mean: float
    """Mean of all values."""
    std: float
    """Population standard deviation of all values."""
    blank: tuple[str, ...]
    """Keys of the samples in which all values are 0."""

    @classmethod
    def of(cls, name: str, arrays: Sequence[tuple[str, Array]]) -> FieldStatistics:
        """Measure (key, array) pairs; the mean and the deviation are over all their pixels."""
        counts = np.array([array.size for _, array in arrays], np.float64)
        means = np.array([array.mean(dtype=np.float64) for _, array in arrays])
        variances = np.array([array.var(dtype=np.float64) for _, array in arrays])
        mean = float(np.average(means, weights=counts))
        variance = float(np.average(variances + (means - mean) ** 2, weights=counts))
        return cls(
            name=name,
            shapes=tuple(sorted({array.shape for _, array in arrays}, key=lambda s: (math.prod(s), s))),
            dtypes=tuple(sorted({str(array.dtype) for _, array in arrays})),
            minimum=float(min(array.min() for _, array in arrays)),
            maximum=float(max(array.max() for _, array in arrays)),
            mean=mean,
            std=math.sqrt(variance),
            blank=tuple(key for key, array in arrays if not array.any()),
        )

    def _cells(self) -> tuple[str, ...]:
        first, last = _shape(self.shapes[0]), _shape(self.shapes[-1])
        shape = first if len(self.shapes) == 1 else f"{first} to {last}"
        spread = f"{self.minimum:.6g} to {self.maximum:.6g}"
        return self.name, shape, " ".join(self.dtypes), spread, f"{self.mean:.6g}", f"{self.std:.6g}"


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


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
