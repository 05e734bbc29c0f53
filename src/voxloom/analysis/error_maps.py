"""Where in the frame a model errs, over all images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.listing import evenly
from voxloom.analysis.records import PredictionRecord
from voxloom.errors import DataError
from voxloom.sources.images import read_image

__all__ = ["ErrorMaps", "intensity", "mean_errors"]

Map = npt.NDArray[np.float64]

_MOST_IMAGES = 256
# Cividis, made to be read alike with and without colour-blindness (Nunez, Anderton and Renslow 2018).
_CIVIDIS = np.array(
    [
        (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120),
        (165, 156, 116), (195, 179, 105), (225, 204, 85), (254, 232, 56),
    ],
    dtype=np.float64,
)  # fmt: skip


@dataclass(frozen=True)
class ErrorMaps:
    """Means over images of one size, (H, W) float64 in the images' unit.

    Attributes
    ----------
    target
        Mean of the targets.
    absolute
        Mean absolute error.
    bias
        Mean of prediction minus target.
    count
        Images that the means are of.
    left_out
        Images of another size, that could not be read, or with a value that is no number: a model's
        NaN is no error of 0.
    """

    target: Map
    absolute: Map
    bias: Map
    count: int
    left_out: int


def mean_errors(predictions: PredictionRecord) -> ErrorMaps | None:
    """Return the mean error of each pixel, over at most 256 images that are evenly chosen.

    Where images differ in size, those of the size that most of them have are taken.

    Parameters
    ----------
    predictions
        With targets, or with the originals of a reconstruction.

    Returns
    -------
    ErrorMaps or None
        None where fewer than two images of one size can be compared.
    """
    given, made = predictions.truth, predictions.images.get("prediction", {})
    chosen = evenly([name for name in made if name in given], _MOST_IMAGES)
    sums: dict[tuple[int, ...], _Sums] = {}
    for target, prediction in _pairs([(given[name], made[name]) for name in chosen]):
        sums.setdefault(target.shape, _Sums()).add(target, prediction)
    most = max(sums.values(), key=lambda each: each.count, default=None)
    if most is None or most.count < 2:
        return None
    means = [total / most.count for total in most.totals]
    return ErrorMaps(means[0], means[1], means[2], most.count, len(chosen) - most.count)


def intensity(shares: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the colour of shares from 0, dark blue, to 1, yellow; (\\*shares.shape, 3) uint8.

    Examples
    --------
    >>> intensity(np.array([0.0, 1.0])).tolist()
    [[0, 34, 78], [254, 232, 56]]
    """
    position = np.nan_to_num(np.clip(shares, 0, 1)) * (len(_CIVIDIS) - 1)
    steps = np.arange(len(_CIVIDIS))
    channels = [np.interp(position, steps, _CIVIDIS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


@dataclass
class _Sums:
    count: int = 0
    totals: list[Map] = field(default_factory=list)

    def add(self, target: Map, prediction: Map) -> None:
        """Count one image in, all of whose values are finite."""
        error = prediction - target
        parts = [target, np.abs(error), error]
        self.totals = [a + b for a, b in zip(self.totals, parts, strict=True)] if self.totals else parts
        self.count += 1


def _pairs(paths: Sequence[tuple[Path, Path]]) -> Iterator[tuple[Map, Map]]:
    for pair in paths:
        try:
            target, prediction = (read_image(path)[0].astype(np.float64) for path in pair)
        except DataError:  # of a value that is no number too
            continue  # counted by the caller
        if target.shape == prediction.shape:
            yield target, prediction
