"""Nearest neighbours of a point, by its true distances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voxloom.analysis.latents.pca import Float32, Reduced, Rows
from voxloom.analysis.latents.points import Points

__all__ = ["neighbours"]


def neighbours(
    reduced: Reduced, points: Points, row: int, k: int, *, most: int = 512
) -> tuple[Rows, Float32]:
    """Return the points nearest to one, with their exact distances in the latent space.

    Candidates come by the smallest distance that their coordinates leave possible, and are ranked by
    their true vectors; reading ends where no further candidate can be nearer. Then the answer is
    exact. It also ends after `most` candidates, so that an answer comes at once from any set.

    Parameters
    ----------
    reduced
        Principal components of the points.
    points
        The points.
    row
        The one that is asked about; it is not among its neighbours.
    k
        How many neighbours; all others where there are fewer.
    most
        Candidates whose vectors are read, at least `k`.

    Returns
    -------
    tuple
        Rows (k,) by rising distance, and their Euclidean distances (k,) float32.

    Examples
    --------
    >>> from voxloom.analysis.latents.pca import reduced
    >>> points = Points.of_arrays({"line": [[0.0], [1.0], [3.0], [7.0]]})
    >>> rows, distances = neighbours(reduced(points), points, 1, 2)
    >>> rows.tolist(), distances.tolist()
    ([0, 2], [1.0, 2.0])
    """
    possible = _least_distances(reduced, row)
    rows, distances = np.empty(0, np.int64), np.empty(0, np.float32)
    own = points.vectors([row])[0]
    for batch in _batches(possible, max(64, 2 * k), max(most, k)):
        if len(rows) >= k and possible[batch[0]] > distances[k - 1]:
            break
        vectors = points.vectors(np.sort(batch))
        rows = np.concatenate([rows, np.sort(batch)])
        distances = np.concatenate([distances, np.linalg.norm(vectors - own, axis=1)])
        order = np.lexsort((rows, distances))[:k]
        rows, distances = rows[order], distances[order]
    return rows, distances


def _least_distances(reduced: Reduced, row: int) -> Float32:
    """Return the least true distance from a point to each other that its coordinates allow, (N,)."""
    apart = reduced.coordinates - reduced.coordinates[row]
    rest = reduced.residual - reduced.residual[row]
    least: Float32 = np.sqrt(np.einsum("ij,ij->i", apart, apart) + rest**2)
    least *= 1 - 1e-4  # rounding of float32 must not put a near one off
    least[row] = np.inf
    return least


def _batches(possible: Float32, size: int, most: int) -> Iterator[Rows]:
    """Yield candidates, the most promising first."""
    count = min(most, len(possible) - 1)
    chosen = np.argpartition(possible, count - 1)[:count] if count else np.empty(0, np.int64)
    order = chosen[np.argsort(possible[chosen], kind="stable")]
    for start in range(0, count, size):
        yield order[start : start + size]
