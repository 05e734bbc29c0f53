"""t-SNE: t-distributed stochastic neighbour embedding (van der Maaten and Hinton 2008)."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.analysis.latents.neighbourhood import Neighbourhood, nearest, neighbourhood
from voxloom.analysis.latents.pca import Float32, Progress
from voxloom.analysis.latents.projection import (
    Placed,
    Projection,
    Setting,
    first_components,
    reduced_notices,
)
from voxloom.errors import MissingExtraError

__all__ = ["Tsne"]

_EARLY, _LATE, _NEW = 250, 500, 250  # iterations: exaggerated, then not, and of new points
_EVERY = 10  # iterations between two reports
_NEW_PERPLEXITY = 5  # of a new point among fitted ones, as in openTSNE
_SOME = 2_000  # points from which interpolated forces are the faster ones
_MANY = 10_000  # points that are worth several threads


class Tsne(Projection):
    """t-SNE of principal components, with exact neighbours and started from the first components.

    Barnes-Hut below 2,000 points and in three dimensions, else interpolated forces (FIt-SNE, Linderman et
    al. 2019), by openTSNE (Policar et al. 2024), which also places new points among fitted ones.

    Examples
    --------
    >>> Tsne(perplexity=50).dims
    2
    """

    name: ClassVar[str] = "tsne"
    title: ClassVar[str] = "t-SNE"
    package: ClassVar[str] = "openTSNE"

    perplexity: float = Field(default=30.0, ge=1)
    """How many neighbours a point is drawn to, in effect; at most a third of the points."""

    def place(self, setting: Setting) -> Placed:
        """Fit, and transform the others."""
        tsne, threads = _opentsne(), _threads(len(setting.fitted))
        perplexity = min(self.perplexity, (len(setting.fitted) - 1) / 3)
        told = _Told(setting.part(0.4, 1.0), _EARLY + _LATE + (_NEW if len(setting.others) else 0))
        fit = tsne.TSNE(
            n_components=self.dims,
            random_state=self.seed,
            n_jobs=threads,
            negative_gradient_method="fft" if len(setting.fitted) >= _SOME and self.dims == 2 else "bh",
            early_exaggeration_iter=_EARLY,
            n_iter=_LATE,
            callbacks=told,
            callbacks_every_iters=_EVERY,
        )
        affinities = tsne.affinity.PerplexityBasedNN(
            knn_index=_Index(setting, min(len(setting.fitted) - 1, int(3 * perplexity))),
            perplexity=perplexity,
            n_jobs=threads,
        )
        found = fit.fit(affinities=affinities, initialization=_start(setting, self))
        others = np.empty((0, self.dims))
        if len(setting.others):
            others = found.transform(setting.others, perplexity=min(_NEW_PERPLEXITY, perplexity), n_iter=_NEW)
        notices = reduced_notices(self, len(setting.fitted), perplexity=perplexity)
        return Placed(np.asarray(found, np.float32), np.asarray(others, np.float32), notices)


class _Index:
    """Neighbours as openTSNE asks for them: of the fitted points without themselves, and of new ones."""

    def __init__(self, setting: Setting, k: int) -> None:
        self.k, self.n_samples = k, len(setting.fitted)
        self._setting = setting

    def build(self) -> tuple[npt.NDArray[np.int32], Float32]:
        """Return the neighbours of the fitted points, (n, k) each."""
        found = neighbourhood(
            self._setting.fitted,
            self.k + 1,
            metric="euclidean",
            key=self._setting.key,
            progress=self._setting.part(0.0, 0.4),
        )
        return found.rows[:, 1:], found.distances[:, 1:]

    def query(self, queries: Float32, k: int) -> Neighbourhood:
        """Return the nearest fitted points of new ones, (m, k) each."""
        return nearest(queries, self._setting.fitted, k, "euclidean")


class _Told:
    """Tells how many iterations are done; openTSNE calls it each few."""

    def __init__(self, progress: Progress, iterations: int) -> None:
        self._progress, self._iterations, self._done = progress, iterations, 0

    def __call__(self, *_: object) -> None:
        """Take note."""
        self._done += _EVERY
        self._progress(min(1.0, self._done / self._iterations), "t-SNE")


def _start(setting: Setting, method: Projection) -> npt.NDArray[np.float64]:
    """Return the first components, of standard deviation 1e-4 along the first as openTSNE has it.

    A little noise parts points that are equal.
    """
    start = first_components(setting, method.dims).fitted.astype(np.float64)
    start /= start[:, 0].std() or 1.0
    return 1e-4 * (start + np.random.default_rng(method.seed).normal(scale=0.01, size=start.shape))


def _threads(count: int) -> int:
    """Return how many threads are worth their while; the result is the same with any number."""
    if count < _MANY:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(stated)) if stated.isdigit() and int(stated) else cores


def _opentsne() -> Any:
    try:
        import openTSNE
    except ImportError as error:
        raise MissingExtraError(
            't-SNE needs openTSNE, which is not installed. Run: pip install "voxloom[analysis]"'
        ) from error
    return openTSNE
