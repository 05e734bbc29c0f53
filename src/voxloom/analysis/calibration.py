"""Whether a predicted deviation tells how large the error is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.listing import evenly
from voxloom.analysis.records import PredictionRecord
from voxloom.errors import DataError
from voxloom.seeding import rng_for
from voxloom.sources.images import read_image

__all__ = ["LEVELS", "Calibration", "calibration_of", "central_quantile", "measure_calibration"]

Values = npt.NDArray[np.float64]

LEVELS = (0.5, 0.68, 0.9, 0.95)
"""Central intervals whose coverage is told."""

_MOST_IMAGES = 256
_MOST_PIXELS = 2_000_000
_BINS = 15
_CURVE = tuple(i / 20 for i in range(1, 20))  # levels of the drawn curve


@dataclass(frozen=True)
class Calibration:
    """Predicted deviations against actual errors.

    Attributes
    ----------
    images, pixels
        How many were compared.
    samples
        Predictions of each image that the deviation is of; None where it is not known.
    factor
        What deviations were multiplied with for the small number of samples.
    sigma, rmse
        (B,) root mean predicted variance and root mean squared error of bins with equal numbers of
        pixels, in order of the deviation, in the images' unit.
    ence
        Expected normalised calibration error, 0 is perfect.
    coverage
        Nominal share of a central interval -> share of pixels whose target lies inside, among those
        whose deviation is larger than 0; NaN where there are none.
    constant
        Share of pixels whose deviation is 0: all samples agree. They are in no bin and do not count for
        the coverage: a background that is right by itself would hide that the rest is not.
    constant_wrong
        Share of those that have an error all the same; NaN where there are none.
    left_out
        Images that could not be read or do not fit.
    """

    images: int
    pixels: int
    samples: int | None
    factor: float
    sigma: Values
    rmse: Values
    ence: float
    coverage: Mapping[float, float]
    constant: float
    constant_wrong: float
    left_out: int = 0


def measure_calibration(predictions: PredictionRecord, *, seed: int = 0) -> Calibration | None:
    """Compare the deviations of a folder of predictions with its targets, file by file.

    At most 256 images, evenly chosen, and two million of their pixels, drawn at random, are held.

    Parameters
    ----------
    predictions
        With images of the roles prediction, deviation and target.
    seed
        Of the choice of pixels.

    Returns
    -------
    Calibration or None
        None where no image has all three.
    """
    images = predictions.images
    roles = [images.get(role, {}) for role in ("prediction", "target", "deviation")]
    names = [name for name in roles[0] if name in roles[1] and name in roles[2]]
    chosen = evenly(names, _MOST_IMAGES)
    if not chosen:
        return None
    quota = max(1, _MOST_PIXELS // len(chosen))
    parts = list(_parts([[role[name] for role in roles] for name in chosen], quota, seed))
    if not parts:
        return None
    error, deviation = (np.concatenate(each) for each in zip(*parts, strict=True))
    given = predictions.facts.get("samples_per_image")
    samples = given if isinstance(given, int) and given > 1 else None
    return calibration_of(
        error, deviation, samples=samples, images=len(parts), left_out=len(chosen) - len(parts)
    )


def calibration_of(
    error: npt.NDArray[Any],
    deviation: npt.NDArray[Any],
    *,
    samples: int | None = None,
    images: int = 1,
    left_out: int = 0,
) -> Calibration:
    """Compare errors with the deviations predicted for them.

    The deviation of n samples (divided by n, not n - 1) around their mean is too small by
    sqrt((n - 1) / (n + 1)) against the error of that mean even for a perfect sampler [1]_, and is
    multiplied by the inverse. Intervals are then Student's with n - 1 degrees of freedom, or normal
    where n is not known. The expected normalised calibration error is the mean over bins of
    \\|RMV - RMSE\\| / RMV [2]_, where RMV is the root of the mean predicted variance.

    Parameters
    ----------
    error
        (N,) prediction minus target.
    deviation
        (N,) predicted standard deviation, in the same unit, 0 or larger.
    samples
        Number n of samples that the deviation is of.
    images, left_out
        What is told of where the pixels come from.

    References
    ----------
    .. [1] Fortin et al., Why should ensemble spread match the RMSE of the ensemble mean?, Journal of
       Hydrometeorology 15 (2014).
    .. [2] Levi et al., Evaluating and calibrating uncertainty prediction in regression tasks, Sensors
       22 (2022).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sigma = rng.uniform(1, 2, 50_000)
    >>> found = calibration_of(sigma * rng.standard_normal(50_000), sigma)
    >>> found.ence < 0.05, round(found.coverage[0.9], 2)
    (True, 0.9)
    """
    factor = math.sqrt((samples + 1) / (samples - 1)) if samples and samples > 1 else 1.0
    error, deviation = np.abs(error).astype(np.float64), factor * np.asarray(deviation, np.float64)
    known = deviation > 0
    constant_wrong = float(np.mean(error[~known] > 0)) if not known.all() else math.nan
    pixels, error, deviation = len(error), error[known], deviation[known]
    sigma, rmse = _binned(error, deviation)
    freedom = samples - 1 if samples and samples > 1 else None
    levels = sorted({*LEVELS, *_CURVE})
    within = {
        level: float(np.mean(error <= central_quantile(level, freedom) * deviation))
        if len(error)
        else math.nan
        for level in levels
    }
    return Calibration(
        images=images,
        pixels=pixels,
        samples=samples,
        factor=factor,
        sigma=sigma,
        rmse=rmse,
        ence=float(np.mean(np.abs(sigma - rmse) / sigma)) if len(sigma) else math.nan,
        coverage=within,
        constant=float(np.mean(~known)) if pixels else math.nan,
        constant_wrong=constant_wrong,
        left_out=left_out,
    )


def central_quantile(share: float, freedom: int | None = None) -> float:
    """Return t so that the share lies within [-t, t], of Student's or of the normal distribution.

    Parameters
    ----------
    share
        Between 0 and 1, both not included.
    freedom
        Degrees of freedom; None is the normal distribution.

    Examples
    --------
    >>> round(central_quantile(0.95), 3), round(central_quantile(0.95, 3), 3)
    (1.96, 3.182)
    """
    if freedom is None:
        return NormalDist().inv_cdf(0.5 + share / 2)
    low, high = 0.0, 1.0
    while _central_share(high, freedom) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_share(middle, freedom) < share else (low, middle)
    return high


def _central_share(t: float, freedom: int) -> float:
    """Return the share of Student's distribution within [-t, t]: Abramowitz and Stegun 26.7.3 and 4."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def _binned(error: Values, deviation: Values) -> tuple[Values, Values]:
    order = np.argsort(deviation, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    sigma = [math.sqrt(np.mean(deviation[part] ** 2)) for part in bins]
    return np.array(sigma), np.array([math.sqrt(np.mean(error[part] ** 2)) for part in bins])


def _parts(rows: list[list[Path]], quota: int, seed: int) -> Iterator[tuple[Values, Values]]:
    """Yield error and deviation of some pixels of each image that can be compared."""
    for number, paths in enumerate(rows):
        try:
            prediction, target, deviation = (read_image(path)[0].astype(np.float32) for path in paths)
        except DataError:
            continue  # counted by the caller
        if not prediction.shape == target.shape == deviation.shape:
            continue
        rng = rng_for(seed, "calibration", number)
        size = prediction.size
        places = rng.choice(size, quota, replace=False) if size > quota else np.arange(size)
        error = (prediction.ravel()[places] - target.ravel()[places]).astype(np.float64)
        spread = deviation.ravel()[places].astype(np.float64)
        fine = np.isfinite(error) & np.isfinite(spread)
        yield error[fine], spread[fine]
