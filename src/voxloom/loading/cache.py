"""Samples that stay in memory, so that only what comes after them runs in each epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from voxloom.errors import ConfigError
from voxloom.sample import Sample, Schema
from voxloom.source import Source

__all__ = ["Cache", "Progress"]

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], object]
"""Called with (done, total) after each sample."""


class Cache(Source):
    """A source whose first samples stay in memory once `fill` has read them.

    Fill it before worker processes start: forked ones share its memory without a copy, spawned
    ones get a copy each.

    Parameters
    ----------
    source
        What is read; put the deterministic transforms in it.
    rate
        Share of the samples to keep, in [0, 1]; the number is rounded to the nearest.

    Raises
    ------
    ConfigError
        If the rate lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from voxloom.sample import Field
    >>> class Ones(Source):
    ...     schema = Schema([Field(name="image")])
    ...     keys = ("a", "b", "c", "d")
    ...     def read(self, index):
    ...         return Sample(self.keys[index], self.schema, {"image": np.ones((1, 2, 2), "float32")})
    >>> cache = Cache(Ones(), 0.5)
    >>> cache.fill(progress=lambda done, total: print(done, "of", total))
    1 of 2
    2 of 2
    >>> len(cache), cache.nbytes
    (4, 32)
    """

    def __init__(self, source: Source, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ConfigError(f"a cache rate of {rate}: expected a share of the samples in [0, 1]")
        self.source = source
        self.count = round(rate * len(source))
        self._samples: list[Sample] = []

    @property
    def schema(self) -> Schema:
        """The fields of the source."""
        return self.source.schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are held now."""
        return sum(array.nbytes for sample in self._samples for array in sample.values())

    def fill(self, progress: Progress | None = None) -> None:
        """Read what is to be kept and is not yet; a second call does nothing."""
        if len(self._samples) == self.count:
            return
        for index in range(len(self._samples), self.count):
            self._samples.append(self.source[index])
            if progress is not None:
                progress(index + 1, self.count)
        _log.info("cached %d of %d samples in %.1f MiB of memory", self.count, len(self), self.nbytes / 2**20)

    def at_epoch(self, epoch: int) -> Source:
        """Return this cache, or the source as it is in an epoch where nothing is kept."""
        return self if self.count else self.source.at_epoch(epoch)

    def read(self, index: int) -> Sample:
        """Return the sample from memory, or from the source if it is not kept."""
        return self._samples[index] if index < len(self._samples) else self.source[index]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several samples; those that are not kept come from the source in one go."""
        missing = [index for index in indices if index >= len(self._samples)]
        read = dict(zip(missing, self.source.__getitems__(missing), strict=True)) if missing else {}
        return [read[index] if index in read else self._samples[index] for index in indices]
