"""Do the partners of pairs belong together? Each pair against all shuffled ones.

For n pairs the similarity of every first side i to every second side j is measured, n x n. Where
partners belong together the diagonal stands out; where they were exchanged it does not. Two measures
are taken, since neither sees everything: normalised mutual information (C. Studholme et al., "An overlap
invariant entropy measure of 3D medical image alignment", Pattern Recognition 32, 1999), which needs no
common contrast, and the correlation of gradient magnitudes, which sees common edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.looking.planes import Plane, resized
from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.seeding import rng_for

__all__ = ["LEAST", "Registration", "registration", "shape_of_labels"]

LEAST = 8
"""Pairs below which nothing can be told."""
_SIDE = 64  # pixels that images are compared at
_BINS = 16
_SHUFFLES = 4999
_SURE, _LEAST_AUC = 0.01, 0.6
_GOOD, _BAD = 0.98, 0.6  # share of wrong partners that the median pair, and a suspicious one, is better than

Matrix = npt.NDArray[np.float64]


class Registration(Component):
    """How well pairs match, against partners at random."""

    fields: tuple[str, str]
    """The two sides."""
    pairs: int
    """Pairs that were compared."""
    measure: str
    """The one of two measures that told more."""
    auc: float
    """Share of wrong partners that match worse than the right one: 0.5 by chance, 1 at best."""
    p: float
    """Probability that partners at random would match as well: a permutation test, times the two measures."""
    odd: tuple[str, ...]
    """Keys of pairs that match worse than most wrong partners do, where the others match well."""

    @property
    def is_matched(self) -> bool:
        """Whether the partners match better than shuffled ones."""
        return self.p <= _SURE and self.auc >= _LEAST_AUC

    @property
    def text(self) -> str:
        """What was found, in a sentence."""
        one, other = self.fields
        worse = f"match {'hardly' if self.p <= _SURE else 'no'} better than shuffled ones"
        how = "belong together" if self.is_matched else worse
        return (
            f"{one} and {other} {how}: a partner matches better than {self.auc:.0%} of the wrong ones "
            f"(p = {self.p:.2g}, {self.pairs} pairs, {self.measure})"
        )


def registration(
    fields: tuple[str, str],
    keys: Sequence[str],
    sides: tuple[Sequence[Plane], Sequence[Plane]],
    *,
    seed: int = 0,
) -> Registration:
    """Test whether the partners of pairs belong together.

    Parameters
    ----------
    fields
        Names of the two sides.
    keys
        Of the pairs.
    sides
        The planes (H, W) of each side, in the order of the keys; sizes may differ.
    seed
        Of the shuffles.

    Raises
    ------
    SchemaError
        With fewer than 3 pairs, or sides of different length.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> planes = [rng.random((32, 32), "float32") for _ in range(12)]
    >>> found = registration(("a", "b"), [*"abcdefghijkl"], (planes, [1 - plane for plane in planes]))
    >>> found.is_matched, found.auc
    (True, 1.0)
    >>> registration(("a", "b"), [*"abcdefghijkl"], (planes, planes[1:] + planes[:1])).is_matched
    False
    """
    if len(keys) < 3 or {len(side) for side in sides} != {len(keys)}:
        raise SchemaError(
            f"{len(keys)} pairs of {[len(s) for s in sides]} planes: expected at least 3 pairs."
        )
    small = [[resized(plane, (_SIDE, _SIDE)) for plane in side] for side in sides]
    tried = [
        (*_judged(_matrix(small, made, similar), seed), name)
        for name, made, similar in (
            ("normalised mutual information", _binned, _information),
            ("correlation of gradients", _gradients, _correlation),
        )
    ]
    p, negative, share, name = min(tried, key=lambda each: each[:2])
    return Registration(
        fields=fields,
        pairs=len(keys),
        measure=name,
        auc=-negative,
        p=min(1.0, len(tried) * p),
        odd=_odd(keys, share),
    )


def shape_of_labels(ids: npt.NDArray[Any]) -> Plane:
    """Return a plane that has the edges of labels (H, W): foreground, or borders where all is foreground.

    Examples
    --------
    >>> shape_of_labels(np.array([[0, 7], [0, 7]])).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    foreground = np.asarray(ids != 0)
    if foreground.mean() < 0.98:
        return foreground.astype(np.float32)
    edges = np.zeros(ids.shape, bool)
    edges[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edges[1:] |= ids[1:] != ids[:-1]
    return edges.astype(np.float32)


def _judged(matrix: Matrix, seed: int) -> tuple[float, float, npt.NDArray[np.float64]]:
    """Return p, minus the area under the curve, and the share of wrong partners each pair is better than."""
    number = len(matrix)
    # Some images are alike to all: what a row or a column has in common says nothing of the partner.
    centred = matrix - matrix.mean(0) - matrix.mean(1)[:, None] + matrix.mean()
    own = centred.diagonal()
    rng = rng_for(seed, "registration")
    orders = np.argsort(rng.random((_SHUFFLES, number)), axis=1)
    shuffled = centred[np.arange(number), orders].sum(axis=1)
    p = (1 + np.count_nonzero(shuffled >= own.sum() - 1e-12)) / (_SHUFFLES + 1)
    others = ~np.eye(number, dtype=bool)
    better = ((own[:, None] > centred) & others).sum(1) + ((own > centred) & others).sum(0)
    equal = ((own[:, None] == centred) & others).sum(1) + ((own == centred) & others).sum(0)
    share = (better + equal / 2) / (2 * (number - 1))
    return float(p), -float(share.mean()), share


def _odd(keys: Sequence[str], share: npt.NDArray[np.float64]) -> tuple[str, ...]:
    """Return the pairs that match badly where most match well."""
    if np.median(share) < _GOOD:
        return ()
    return tuple(key for key, own in zip(keys, share, strict=True) if own < _BAD)


def _matrix(
    sides: Sequence[Sequence[Plane]],
    made: Callable[[Plane], npt.NDArray[Any]],
    similar: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
) -> Matrix:
    first, second = ([made(plane) for plane in side] for side in sides)
    return np.array([[similar(a, b) for b in second] for a in first], np.float64)


def _binned(plane: Plane) -> npt.NDArray[np.int64]:
    """Return the bin of each pixel, bins of about equally many pixels where values differ."""
    values = plane.ravel()
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def _information(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return (H(a) + H(b)) / H(a, b): 1 for what has nothing in common, 2 for what is the same."""
    joint = np.bincount(a * _BINS + b, minlength=_BINS * _BINS).reshape(_BINS, _BINS) / a.size
    together = _entropy(joint)
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / together if together > 0 else 1.0


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _gradients(plane: Plane) -> npt.NDArray[np.float64]:
    """Return the magnitudes of the gradient, of mean 0 and length 1."""
    y, x = np.gradient(plane.astype(np.float64))
    steep = np.hypot(y, x).ravel()
    steep -= steep.mean()
    length = np.linalg.norm(steep)
    unit: npt.NDArray[np.float64] = steep / length if length > 0 else steep
    return unit


def _correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float(np.dot(a, b))
