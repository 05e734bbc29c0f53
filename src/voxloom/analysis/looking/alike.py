"""Near-duplicates among many images, without comparing each with each.

Each image is reduced to 128 bits: whether each of 8 x 8 means is darker than its neighbours to the right
and below (the difference hash of N. Krawetz, 2013, in both directions). Rows of bits are sorted in several
orders of the bits, and those that come to lie beside each other are compared: rows that differ in few bits
lie beside each other in one of the orders (M. Charikar, "Similarity estimation techniques from rounding
algorithms", STOC 2002). So the work grows as N log N, also where thousands are equal. What is found so is
confirmed by the correlation of thumbnails, and then by the pictures themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.looking.planes import Plane, resized
from voxloom.seeding import rng_for

__all__ = ["Fingerprint", "Likeness", "candidates", "compared", "fingerprint"]

_SIDE = 16  # of a thumbnail
_GRID = 8
_BITS = 2 * _GRID * _GRID
_ORDERS, _WINDOW = 20, 2
_FEW = 32  # of 128 bits: what noise, other brightness and JPEG change
_ALIKE = 0.95  # correlation of thumbnails
_FAINT = 0.02  # of the deviation: a smaller step is no step, so that noise on a flat ground is none
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is kept of an image: 16 bytes of hash, 256 bytes of thumbnail, and its shape."""

    bits: bytes
    thumb: bytes
    aspect: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two pictures are: correlation of all, and of the fine structure alone."""

    whole: float
    fine: float

    @property
    def is_near(self) -> bool:
        """Whether they show the same, or a neighbouring slice."""
        return self.whole >= 0.98 and self.fine >= 0.8

    @property
    def is_copy(self) -> bool:
        """Whether one is a copy: resized, compressed or brighter, perhaps."""
        return self.whole >= 0.995 and self.fine >= 0.97


def fingerprint(plane: Plane) -> Fingerprint | None:
    """Return the fingerprint of a grey plane (H, W), None for one that is flat.

    Examples
    --------
    >>> ramp = np.outer(np.arange(64.0), np.arange(48.0)).astype("float32")
    >>> fingerprint(ramp).bits == fingerprint(3 * ramp + 5).bits, fingerprint(ramp * 0)
    (True, None)
    """
    thumb = resized(plane, (_SIDE, _SIDE)).astype(np.float64)
    deviation = thumb.std()
    if not deviation > 1e-9 * max(1.0, abs(thumb.mean())):
        return None
    cells = resized(plane, (_GRID + 1, _GRID + 1)).astype(np.float64)
    steps = np.stack([np.diff(cells, axis=1)[:_GRID], np.diff(cells, axis=0)[:, :_GRID]])
    bits = steps > _FAINT * deviation
    low, high = thumb.min(), thumb.max()
    levels = (thumb - low) / max(high - low, 1e-12) * 255
    return Fingerprint(
        np.packbits(bits).tobytes(),
        levels.round().astype(np.uint8).tobytes(),
        plane.shape[0] / plane.shape[1],
    )


def candidates(prints: Sequence[Fingerprint], parts: Sequence[int] | None = None) -> npt.NDArray[np.int64]:
    """Return pairs of images that may be alike, (P, 2) indices, first the likeliest.

    Parameters
    ----------
    prints
        Of each image.
    parts
        The part of a split that each is of: only pairs across parts are looked for. None for all pairs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> planes = [rng.random((32, 32), "float32") for _ in range(5)]
    >>> candidates([fingerprint(plane) for plane in [*planes, planes[2] * 0.5]]).tolist()
    [[2, 5]]
    """
    if len(prints) < 2:
        return np.zeros((0, 2), np.int64)
    packed = np.frombuffer(b"".join(each.bits for each in prints), np.uint8).reshape(-1, _BITS // 8)
    pairs = _neighbours(packed, None if parts is None else np.asarray(parts))
    distance = _distances(packed, pairs)
    near = distance <= _FEW
    pairs, distance = pairs[near], distance[near]
    aspects = np.array([each.aspect for each in prints])
    ratio = aspects[pairs[:, 0]] / aspects[pairs[:, 1]]
    close = (np.abs(np.log(ratio)) < 0.2) & (_correlations(prints, pairs) >= _ALIKE)
    pairs, distance = pairs[close], distance[close]
    likeliest: npt.NDArray[np.int64] = pairs[np.argsort(distance, kind="stable")]
    return likeliest


def compared(one: Plane, other: Plane, *, side: int = 96) -> Likeness:
    """Return how alike two grey planes are, at a common size.

    That is at most half their own: noise of single pixels, and what resizing did to it, do not count.

    Examples
    --------
    >>> plane = np.random.default_rng(0).random((40, 40), "float32")
    >>> compared(plane, 2 * plane + 1).is_copy, compared(plane, plane.T).is_near
    (True, False)
    """
    least = min(side, max(_SIDE, min(*one.shape, *other.shape) // 2))
    a, b = (resized(plane, (least, least)) for plane in (one, other))
    return Likeness(_correlation(a, b), _correlation(a - _smooth(a), b - _smooth(b)))


def _neighbours(packed: npt.NDArray[np.uint8], parts: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    """Return the pairs that come to lie beside each other in one of the orders, each once."""
    number, rng = len(packed), rng_for(0, "alike")
    bits = np.unpackbits(packed, axis=1)
    met = []
    for turn in range(_ORDERS):
        order = rng.permutation(_BITS) if turn else np.arange(_BITS)
        rows = np.packbits(bits[:, order], axis=1)
        rank = np.lexsort([*(rows[:, i] for i in range(rows.shape[1] - 1, -1, -1))])
        for step in range(1, _WINDOW + 1):
            met.append(np.stack([rank[:-step], rank[step:]], axis=1))
        if parts is not None:
            met.extend(_across(rank, parts))
    pairs = np.sort(np.concatenate(met), axis=1)
    if parts is not None:
        pairs = pairs[parts[pairs[:, 0]] != parts[pairs[:, 1]]]
    codes = np.unique(pairs[:, 0] * np.int64(number) + pairs[:, 1])
    return np.stack([codes // number, codes % number], axis=1)


def _across(rank: npt.NDArray[np.int64], parts: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Pair each with the next of another part, however many of its own stand between them."""
    own = parts[rank]
    change = np.flatnonzero(np.diff(own)) + 1  # places where another part begins
    follows = np.searchsorted(change, np.arange(len(rank)), side="right")
    has_next = follows < len(change)
    before = follows - 1
    has_before = before >= 0
    nexts = np.stack([rank[has_next], rank[change[follows[has_next]]]], axis=1)
    lasts = np.stack([rank[has_before], rank[change[before[has_before]] - 1]], axis=1)
    return [nexts, lasts]


def _distances(packed: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bits that differ, of each pair."""
    parts = [
        np.unpackbits(packed[chunk[:, 0]] ^ packed[chunk[:, 1]], axis=1).sum(axis=1, dtype=np.int64)
        for chunk in np.array_split(pairs, max(1, len(pairs) // _CHUNK))
    ]
    return np.concatenate(parts)


def _correlations(prints: Sequence[Fingerprint], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the correlation of the thumbnails of each pair."""
    found = []
    for chunk in np.array_split(pairs, max(1, len(pairs) // _CHUNK)):
        sides = []
        for column in (0, 1):
            raw = b"".join(prints[i].thumb for i in chunk[:, column].tolist())
            thumbs = np.frombuffer(raw, np.uint8).reshape(-1, _SIDE * _SIDE).astype(np.float32)
            thumbs -= thumbs.mean(axis=1, keepdims=True)
            sides.append(thumbs / np.maximum(np.linalg.norm(thumbs, axis=1, keepdims=True), 1e-6))
        found.append((sides[0] * sides[1]).sum(axis=1))
    correlations: npt.NDArray[np.float32] = np.concatenate(found)
    return correlations


def _smooth(plane: Plane) -> Plane:
    """Return the mean over 5 x 5 pixels, by running sums."""
    padded = np.pad(plane.astype(np.float64), 3, mode="edge")[:-1, :-1]
    sums = padded.cumsum(0).cumsum(1)
    box = sums[5:, 5:] - sums[:-5, 5:] - sums[5:, :-5] + sums[:-5, :-5]
    smooth: Plane = (box / 25).astype(np.float32)
    return smooth


def _correlation(a: Plane, b: Plane) -> float:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / max(np.sqrt((x * x).sum() * (y * y).sum()), 1e-30))
