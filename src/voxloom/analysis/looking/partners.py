"""Do the partners of pairs belong together? Each pair against all wrong ones.

For n pairs the similarity of every first side i to every second side j is measured, n x n. Where
partners belong together the diagonal stands out; where they were exchanged it does not. Two measures
are taken, since neither sees everything: normalised mutual information (C. Studholme et al., "An overlap
invariant entropy measure of 3D medical image alignment", Pattern Recognition 32, 1999), which needs no
common contrast, and the correlation of gradient magnitudes, which sees common edges. Whether the sides
of a pair lie on each other is another question: see `aligned`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from voxloom.analysis.looking.planes import Plane, gradient_of, resized
from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.seeding import rng_for

__all__ = ["LEAST", "SIDE", "Correspondence", "correspondence", "shape_of_labels"]

LEAST = 8
"""Pairs below which nothing can be told."""
SIDE = 64
"""Pixels that images are compared at."""
_BINS = 16
_SHUFFLES = 4999
_SURE, _LEAST_AUC = 0.01, 0.6
_GOOD_AUC = 0.85  # 30 % of exchanged partners leave 0.85 at most
_MOST_BAD = (0.05, 0.14)  # where most match well, and where all match weakly; 30 % exchanged are 18 % bad
_GOOD, _BAD = 0.98, 0.6  # share of wrong partners that the median pair, and a suspicious one, is better than
_SHIFTS = (-2, -1, 1, 2)
_MOST_SHIFTED = 0.8  # share of pairs that the next in line suits better
_LEAST_IN_ORDER = 16  # pairs below which no order is told

Matrix = npt.NDArray[np.float64]
Outcome = Literal["matched", "partly", "not"]


class Correspondence(Component):
    """How well pairs match, against wrong partners."""

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
    bad: float
    """Share of pairs that match worse than 40 % of their wrong partners do."""
    median: float
    """Share of wrong partners that match worse, of the median pair."""
    moved: int
    """Pairs that have another partner where each is given the one that suits all best."""
    order: str
    """Another order of the second side that suits better, such as ``off by 1``; empty for none."""
    odd: tuple[str, ...]
    """Pairs that match badly where others match well; ``a = b`` where a's best partner is that of b."""

    @property
    def outcome(self) -> Outcome:
        """Whether the partners match, partly match, or match no better than shuffled ones."""
        if self.p > _SURE or self.auc < _LEAST_AUC:
            return "not"
        most = _MOST_BAD[0] if self.median >= _GOOD else _MOST_BAD[1]
        is_good = self.auc >= _GOOD_AUC and self.bad <= most and not self.order
        return "matched" if is_good else "partly"

    @property
    def is_matched(self) -> bool:
        """Whether the partners match, nearly all of them."""
        return self.outcome == "matched"

    @property
    def text(self) -> str:
        """What was found, in a sentence."""
        one, other = self.fields
        how = {
            "matched": "match",
            "partly": "match only in part",
            "not": f"match {'hardly' if self.p <= _SURE else 'no'} better than shuffled ones",
        }[self.outcome]
        told = (
            f"partners of {one} and {other} {how}: better than {self.auc:.0%} of the wrong ones "
            f"(p = {self.p:.2g}, {self.pairs} pairs, {self.measure})"
        )
        if self.is_matched:
            return told
        told += f"; {self.moved} of {self.pairs} suit another partner better"
        return told + (f", as if one side were {self.order}" if self.order else "")


def correspondence(
    fields: tuple[str, str],
    keys: Sequence[str],
    sides: tuple[Sequence[Plane], Sequence[Plane]],
    *,
    places: Sequence[int] | None = None,
    seed: int = 0,
) -> Correspondence:
    """Test whether the partners of pairs belong together.

    Parameters
    ----------
    fields
        Names of the two sides.
    keys
        Of the pairs.
    sides
        The planes (H, W) of each side, in the order of the keys; sizes may differ.
    places
        Of the pairs in their source: neighbours tell whether one side is off by one. None for 0, 1, 2 ...
    seed
        Of the shuffles.

    Raises
    ------
    SchemaError
        With fewer than 3 pairs, or sides of different length.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> planes = [rng.random((32, 32), "float32") for _ in range(20)]
    >>> found = correspondence(("a", "b"), [*"abcdefghijklmnopqrst"], (planes, [1 - p for p in planes]))
    >>> found.is_matched, found.auc
    (True, 1.0)
    >>> correspondence(("a", "b"), [*"abcdefghijklmnopqrst"], (planes, planes[1:] + planes[:1])).order
    'off by 1'
    """
    if len(keys) < 3 or {len(side) for side in sides} != {len(keys)}:
        raise SchemaError(
            f"{len(keys)} pairs of {[len(s) for s in sides]} planes: expected at least 3 pairs."
        )
    small = [[resized(plane, (SIDE, SIDE)) for plane in side] for side in sides]
    tried = [
        (*_judged(centred, seed), name, centred)
        for name, made, similar in (
            ("normalised mutual information", _binned, _information),
            ("correlation of gradients", gradient_of, _correlation),
        )
        for centred in [_matrix(small, made, similar)]
    ]
    p, negative, share, name, centred = min(tried, key=lambda each: each[:2])
    chosen = linear_sum_assignment(-centred)[1]
    at = np.arange(len(keys)) if places is None else np.asarray(places)
    return Correspondence(
        fields=fields,
        pairs=len(keys),
        measure=name,
        auc=-negative,
        p=min(1.0, len(tried) * p),
        bad=float(np.mean(share < _BAD)),
        median=float(np.median(share)),
        moved=int(np.count_nonzero(chosen != np.arange(len(keys)))),
        order=_order(centred, chosen, at),
        odd=_odd(keys, share, centred),
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


def _judged(centred: Matrix, seed: int) -> tuple[float, float, npt.NDArray[np.float64]]:
    """Return p, minus the area under the curve, and the share of wrong partners each pair is better than."""
    number, own = len(centred), centred.diagonal()
    rng = rng_for(seed, "registration")
    orders = np.argsort(rng.random((_SHUFFLES, number)), axis=1)
    shuffled = centred[np.arange(number), orders].sum(axis=1)
    p = (1 + np.count_nonzero(shuffled >= own.sum() - 1e-12)) / (_SHUFFLES + 1)
    others = ~np.eye(number, dtype=bool)
    better = ((own[:, None] > centred) & others).sum(1) + ((own > centred) & others).sum(0)
    equal = ((own[:, None] == centred) & others).sum(1) + ((own == centred) & others).sum(0)
    share = (better + equal / 2) / (2 * (number - 1))
    return float(p), -float(share.mean()), share


def _order(centred: Matrix, chosen: npt.NDArray[np.intp], places: npt.NDArray[np.int64]) -> str:
    """Name the order of the second side that suits clearly better, empty for none."""
    number = len(centred)
    for step in _SHIFTS:
        rows, columns = np.nonzero(places[None, :] - places[:, None] == step)
        better = centred[rows, columns] > centred.diagonal()[rows]
        if len(rows) >= _LEAST_IN_ORDER and better.mean() >= _MOST_SHIFTED:
            return f"off by {abs(step)}"
    turned = np.corrcoef(np.arange(number), chosen)[0, 1]
    return "in reverse order" if number >= _LEAST_IN_ORDER and turned < -_MOST_SHIFTED else ""


def _odd(keys: Sequence[str], share: npt.NDArray[np.float64], centred: Matrix) -> tuple[str, ...]:
    """Return the pairs that match badly where others match well, each with the partner that suits it."""
    if np.median(share) < _BAD:
        return ()
    bad = [i for i in range(len(keys)) if share[i] < _BAD]
    rows, columns = centred.argmax(1), centred.argmax(0)
    suits = {i: int(rows[i]) for i in bad if columns[rows[i]] == i}
    if np.median(share) < _GOOD:  # all match weakly: only those whose partner is found elsewhere
        bad = [i for i in bad if i in suits]
    return tuple(f"{keys[i]} = {keys[suits[i]]}" if i in suits else keys[i] for i in bad)


def _matrix(
    sides: Sequence[Sequence[Plane]],
    made: Callable[[Plane], npt.NDArray[Any]],
    similar: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
) -> Matrix:
    first, second = ([made(plane) for plane in side] for side in sides)
    matrix = np.array([[similar(a, b) for b in second] for a in first], np.float64)
    # Some images are alike to all: what a row or a column has in common says nothing of the partner.
    centred: Matrix = matrix - matrix.mean(0) - matrix.mean(1)[:, None] + matrix.mean()
    return centred


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


def _correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float((a * b).sum())
