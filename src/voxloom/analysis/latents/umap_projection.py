"""UMAP: uniform manifold approximation and projection (McInnes, Healy and Melville 2018)."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from voxloom.analysis.latents.neighbourhood import Metric, Neighbourhood, nearest, neighbourhood
from voxloom.analysis.latents.pca import Float32, Progress
from voxloom.analysis.latents.projection import (
    Placed,
    Projection,
    Setting,
    first_components,
    reduced_notices,
)
from voxloom.errors import MissingExtraError

__all__ = ["Umap"]

_MANY = 10_000  # points beyond which fewer epochs are enough, as in umap-learn
_TINY = 1e-12


class Umap(Projection):
    """UMAP of principal components, with exact neighbours and started from the first components.

    Examples
    --------
    >>> Umap(n_neighbors=40).min_dist
    0.1
    """

    name: ClassVar[str] = "umap"
    title: ClassVar[str] = "UMAP"
    package: ClassVar[str] = "umap-learn"

    n_neighbors: int = Field(default=15, ge=2)
    """Neighbours of a point, itself included: few show detail, many the whole."""

    min_dist: float = Field(default=0.1, ge=0, le=1)
    """How close together points may lie."""

    metric: Metric = "euclidean"
    """Distance between principal components."""

    def place(self, setting: Setting) -> Placed:
        """Fit, and transform the others."""
        umap = _umap()
        count = min(self.n_neighbors, len(setting.fitted))
        found = neighbourhood(
            setting.fitted, count, metric=self.metric, key=setting.key, progress=setting.part(0.0, 0.4)
        )
        start = first_components(setting, self.dims).fitted
        layout = _Layout(umap, umap.find_ab_params(1.0, self.min_dist), self.seed)
        fitted = layout.fit(found, start, setting.part(0.4, 0.9))
        others = layout.transform(
            nearest(setting.others, setting.fitted, count, self.metric), fitted, setting.part(0.9, 1.0)
        )
        return Placed(fitted, others, reduced_notices(self, len(setting.fitted), n_neighbors=count))


class _Layout(NamedTuple):
    """Places from neighbours, by the parts that umap-learn's own estimator is made of.

    The estimator itself would search neighbours again for each change of a setting, compile that search
    in each process for ten seconds and more, and transform no point where neighbours are given. All is
    done in one thread: only then do equal seeds give equal results.
    """

    umap: Any
    curve: tuple[float, float]
    seed: int

    def fit(self, found: Neighbourhood, start: Float32, progress: Progress) -> Float32:
        """Return places (n, dims) of points whose neighbours are given, from a start (n, dims)."""
        count, width = found.rows.shape
        random = np.random.RandomState(self.seed)
        graph, _, _ = self.umap.fuzzy_simplicial_set(
            start, width, random, "euclidean", knn_indices=found.rows, knn_dists=found.distances
        )
        scaled = 10 * start / max(float(np.abs(start).max()), _TINY)
        placed, _ = self.umap.simplicial_set_embedding(
            start,
            graph,
            start.shape[1],
            1.0,
            *self.curve,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=500 if count <= _MANY else 200,
            init=(scaled + random.normal(scale=1e-4, size=start.shape)).astype(np.float32),
            random_state=random,
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            parallel=False,
            tqdm_kwds=_as_tqdm(progress, "UMAP"),
        )
        return np.asarray(placed, np.float32)

    def transform(self, new: Neighbourhood, placed: Float32, progress: Progress) -> Float32:
        """Return places (m, dims) of new points among placed ones, which stay where they are."""
        count, width = new.rows.shape
        from scipy.sparse import coo_array

        if not count:
            return np.empty((0, placed.shape[1]), np.float32)
        umap, epochs = self.umap, 100 if count <= _MANY else 30
        scales, nearest_distances = umap.smooth_knn_dist(new.distances, float(width), local_connectivity=0.0)
        rows, columns, weights, _ = umap.compute_membership_strengths(
            new.rows, new.distances, scales, nearest_distances, bipartite=True
        )
        graph = coo_array((weights, (rows, columns)), shape=(count, len(placed)))
        start = _between(graph, new, placed)
        keep = weights >= weights.max() / epochs
        rng = np.random.RandomState(self.seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64)
        found = umap.optimize_layout_euclidean(
            start,
            placed.copy(),
            rows[keep],
            columns[keep],
            epochs,
            len(placed),
            umap.make_epochs_per_sample(weights[keep], epochs),
            *self.curve,
            rng,
            1.0,
            0.25,
            5,
            False,
            tqdm_kwds=_as_tqdm(progress, "UMAP: transform"),
        )
        return np.asarray(found, np.float32)


def _between(graph: Any, new: Neighbourhood, placed: Float32) -> Float32:
    """Return the weighted means of the neighbours' places, or the place of an equal point."""
    means = (graph @ placed) / np.maximum(graph.sum(1), _TINY)[:, None]
    equal = new.distances[:, :1] == 0
    return np.where(equal, placed[new.rows[:, 0]], means).astype(np.float32)


def _as_tqdm(progress: Progress, text: str) -> dict[str, Any]:
    """Return how umap-learn must make its bar so that it tells a callable instead of the terminal."""
    from tqdm import auto

    in_notebook = any(base.__module__ == "tqdm.notebook" for base in auto.tqdm.__mro__)
    return {"disable": in_notebook, "file": _Told(progress, text), "bar_format": "{n}/{total}"}


class _Told:
    """A file that reads what a progress bar writes."""

    def __init__(self, progress: Progress, text: str) -> None:
        self._progress, self._text = progress, text

    def write(self, text: str) -> int:
        """Take a line such as ``\\r120/500``."""
        done, _, total = text.strip().partition("/")
        if total:
            self._progress(int(done) / int(total), self._text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def _umap() -> Any:
    try:
        with warnings.catch_warnings():  # of a part that needs TensorFlow and is not used
            warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
            from umap import umap_
    except ImportError as error:
        raise MissingExtraError(
            'UMAP needs umap-learn, which is not installed. Run: pip install "voxloom[analysis]"'
        ) from error
    return umap_
