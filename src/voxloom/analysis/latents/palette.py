"""Colours that are told apart, by colour-blind readers too.

Up to eight labels have the colours of Okabe and Ito (2008, "Color Universal Design"). What comes after is
generated: each next colour is the one farthest, in OKLab (Ottosson 2020), from all before it, where the
distance is the smallest of those that readers with normal, protan, deutan and tritan vision see (Machado,
Oliveira and Fernandes 2009). The order is fixed, so the first labels keep their colours as others join.
Beyond `COLOURS` labels a colour alone is not enough, and the shape of a mark tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["COLOURS", "MISSING_COLOUR", "OKABE_ITO", "SHAPES", "Mark", "colours", "least_difference", "marks"]

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
"""Blue and orange first: they differ most, and in print too. Black, unseen on a dark page, comes last."""
COLOURS = 24
"""Colours in use; with more labels they come again, in another shape."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "star")
"""As plotly calls them. Seven, which shares no divisor with 24: a pair comes again after 168 labels."""
MISSING_COLOUR = "#8a8a8a"
"""Of points without a label or a value."""

_ON_DARK = {"#000000": "#f2f2f2"}
_LIGHTNESS = (0.5, 0.88)  # of OKLab: seen on white and on black
_STEPS = 18  # of a channel, in the cube that colours are chosen from

Array = npt.NDArray[np.float64]

# Linear RGB as seen with none of one kind of cone (Machado et al. 2009, severity 1).
_VISIONS = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """How the points of one label look.

    Attributes
    ----------
    colour
        As ``#rrggbb``, on a light page.
    shape
        One of `SHAPES`.
    is_filled
        Otherwise an outline.
    """

    colour: str
    shape: str = "circle"
    is_filled: bool = True

    @property
    def on_dark(self) -> str:
        """The colour on a dark page."""
        return _ON_DARK.get(self.colour, self.colour)


def marks(count: int) -> tuple[Mark, ...]:
    """Return a mark for each of `count` labels, all different up to 336.

    Two labels have the same round mark, filled and open, in two colours; three and more differ by shape.

    Examples
    --------
    >>> [(m.colour, m.shape, m.is_filled) for m in marks(2)]
    [('#0072B2', 'circle', True), ('#E69F00', 'circle', False)]
    >>> len({(m.colour, m.shape) for m in marks(64)})
    64
    """
    found = colours(min(count, COLOURS))
    if count <= 2:
        return tuple(Mark(found[i], is_filled=not i) for i in range(count))
    once = COLOURS * len(SHAPES)
    return tuple(Mark(found[i % COLOURS], SHAPES[i % len(SHAPES)], i // once % 2 == 0) for i in range(count))


@cache
def colours(count: int) -> tuple[str, ...]:
    """Return `count` colours as ``#rrggbb``; the first are the same whatever the count.

    Examples
    --------
    >>> colours(2)
    ('#0072B2', '#E69F00')
    >>> colours(10)[:8] == OKABE_ITO
    True
    """
    chosen = list(OKABE_ITO[:count])
    if count <= len(OKABE_ITO):
        return tuple(chosen)
    cube = _cube()
    seen = _seen(cube)
    nearest = np.min([_distances(seen, row) for row in _seen(np.array([_rgb(c) for c in chosen]))], axis=0)
    while len(chosen) < count:
        best = int(nearest.argmax())
        chosen.append(_hex(cube[best]))
        nearest = np.minimum(nearest, _distances(seen, seen[best]))
    return tuple(chosen)


def least_difference(names: Iterable[str]) -> float:
    """Return how far the two most alike of some colours are, in OKLab, for the reader who sees it least.

    About 0.02 is just seen when two large areas touch (Ottosson 2020); black to white is 1.

    Examples
    --------
    >>> round(least_difference(["#000000", "#ffffff"]), 3)
    1.0
    >>> least_difference(OKABE_ITO) > 0.07
    True
    """
    seen = _seen(np.array([_rgb(name) for name in names]))
    return float(min(_distances(seen[i + 1 :], seen[i]).min() for i in range(len(seen) - 1)))


def _cube() -> Array:
    """Return colours (n, 3) in [0, 1] of a lightness that is seen on white and on black."""
    steps = np.linspace(0, 1, _STEPS)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _lab(_linear(cube))[:, 0]
    return cube[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])]


def _seen(rgb: Array) -> Array:
    """Return the colours (n, 3) as (n, vision, 3) in OKLab."""
    linear = np.einsum("vij,nj->nvi", _VISIONS, _linear(rgb))
    return _lab(np.clip(linear, 0, 1))


def _distances(seen: Array, one: Array) -> Array:
    """Return the distance of each (n, vision, 3) to one (vision, 3), as the worst vision sees it."""
    found: Array = np.linalg.norm(seen - one, axis=-1).min(axis=-1)
    return found


def _linear(rgb: Array) -> Array:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: Array) -> Array:
    cones = np.cbrt(linear @ _TO_CONES.T)
    lab: Array = cones @ _TO_LAB.T
    return lab


def _rgb(name: str) -> tuple[float, ...]:
    return tuple(int(name[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _hex(rgb: Array) -> str:
    return "#" + "".join(f"{round(255 * value):02x}" for value in rgb.tolist())
