"""Do the two sides of pairs lie on each other, or is one mirrored, turned or shifted throughout?

The magnitudes of the gradients of both sides are correlated under the 8 flips and quarter turns, and under
all shifts at once (by the Fourier transform). What suits half of the pairs best is tested with the other
half: against the sides as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from voxloom.analysis.looking.planes import Plane, gradient_of, resized

__all__ = ["LEAST_ALIGNED", "misalignment"]

LEAST_ALIGNED = 16
"""Pairs below which nothing can be told."""
_SIDE = 64
_NEAR = 2  # pixels of 64 that are no shift
_EQUAL = 0.97  # of the best: a pose that is simpler and suits as well is taken
_MOST = 0.8  # share of the pairs that another pose must suit better

Poses = npt.NDArray[np.float64]

_POSES = (
    "", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees",
    "mirrored in y", "mirrored in y and turned by 90 degrees", "mirrored in x",
    "mirrored in y and turned by 270 degrees",
)  # fmt: skip
_SIMPLEST = (0, 4, 6, 2, 1, 3, 5, 7)


def misalignment(sides: tuple[Sequence[Plane], Sequence[Plane]]) -> tuple[str, float]:
    """Return how the second side of all pairs lies, and the share of pairs that it suits better.

    Shifts are told in pixels of the first side; those below 1/32 of an image are not seen. Nothing, and
    0, where the sides lie on each other as they are, and where nothing can be told.

    Parameters
    ----------
    sides
        The planes (H, W) of each side; sizes may differ, and are stretched to one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> planes = [np.kron(rng.random((8, 8)), np.ones((8, 8))).astype("float32") for _ in range(16)]
    >>> misalignment((planes, [plane[::-1] for plane in planes]))
    ('mirrored in y', 1.0)
    >>> misalignment((planes, planes))
    ('', 0.0)
    """
    one, other = sides
    if len(one) < LEAST_ALIGNED:
        return "", 0.0
    maps = np.stack([_maps(a, b) for a, b in zip(one, other, strict=True)])
    pose, y, x = _best(maps[::2].mean(axis=0))
    down, right = _signed(y), _signed(x)
    share = float((maps[1::2, pose, y, x] > maps[1::2, 0, 0, 0]).mean())
    told = [_POSES[pose]] if pose else []
    if max(abs(down), abs(right)) >= _NEAR:
        height, width = (float(np.median([plane.shape[axis] for plane in one])) for axis in (0, 1))
        # A pose is undone before the shift, which is that of the second side against the first.
        moved = f"shifted by about ({-down * height / _SIDE:.0f}, {-right * width / _SIDE:.0f}) px (y, x)"
        told.append(moved)
    return (" and ".join(told), share) if told and share >= _MOST else ("", 0.0)


def _best(means: Poses) -> tuple[int, int, int]:
    """Return pose and shift that suit best, the simplest pose of those that suit about as well."""
    tops = means.max(axis=(1, 2))
    pose = next(pose for pose in _SIMPLEST if tops[pose] >= _EQUAL * tops.max())
    y, x = np.unravel_index(np.argmax(means[pose]), means.shape[1:])
    return pose, int(y), int(x)


def _maps(one: Plane, other: Plane) -> Poses:
    """Return the correlation of one side with the other in each pose and shift, (8, 64, 64)."""
    a, b = (gradient_of(resized(plane, (_SIDE, _SIDE))) for plane in (one, other))
    # What undoes each of _POSES: the pose is mirrored first, and then turned.
    undone = [np.rot90(b, -turns) for turns in range(4)]
    undone += [np.rot90(b, -turns)[::-1] for turns in range(4)]
    ground = np.fft.rfft2(a)
    found: Poses = np.fft.irfft2(ground * np.conj(np.fft.rfft2(np.stack(undone))), s=(_SIDE, _SIDE))
    return found


def _signed(place: int) -> int:
    return place - _SIDE if place > _SIDE // 2 else place
