"""NGFF's coordinateTransformations, composed into one scale and one translation for each axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from voxloom.errors import VolumeMetadataError

__all__ = ["Placement", "compose", "numbers"]


@dataclass(frozen=True)
class Placement:
    """Where index ``i`` lies along each axis: at ``scale * i + translation``.

    Examples
    --------
    >>> Placement((4.0,), (2.0,)).then(Placement((10.0,), (1.0,)))
    Placement(scale=(40.0,), translation=(21.0,))
    """

    scale: tuple[float, ...]
    translation: tuple[float, ...]

    def then(self, other: Placement) -> Placement:
        """Return this followed by another."""
        return Placement(
            tuple(a * b for a, b in zip(self.scale, other.scale, strict=True)),
            tuple(
                t * s + u for t, s, u in zip(self.translation, other.scale, other.translation, strict=True)
            ),
        )


def compose(transforms: Any, rank: int) -> Placement:
    """Return the placement that a list of NGFF transformations amounts to, the first applied first.

    Parameters
    ----------
    transforms
        identity, scale, translation, sequence, and affine where its matrix is diagonal.
    rank
        Number of axes.

    Raises
    ------
    VolumeMetadataError
        If one is malformed, or does more than scale and move.

    Examples
    --------
    >>> compose([{"type": "scale", "scale": [4, 2]}, {"type": "translation", "translation": [1, 0]}], 2)
    Placement(scale=(4.0, 2.0), translation=(1.0, 0.0))
    """
    if not isinstance(transforms, list):
        raise VolumeMetadataError(f"coordinateTransformations {transforms!r}: expected a list")
    parts = [_placement(transform, rank) for transform in transforms]
    return reduce(Placement.then, parts, Placement((1.0,) * rank, (0.0,) * rank))


def numbers(values: Any, what: str, rank: int) -> tuple[float, ...]:
    """Return a list of finite numbers, one for each axis.

    Raises
    ------
    VolumeMetadataError
        If it is anything else.
    """
    if not isinstance(values, list) or len(values) != rank or not all(map(_is_number, values)):
        raise VolumeMetadataError(f"{what} {values!r}: expected a list of {rank} numbers, one for each axis")
    return tuple(map(float, values))


def _numbers(transform: Mapping[str, Any], key: str, rank: int) -> tuple[float, ...]:
    if key not in transform and "path" in transform:
        raise VolumeMetadataError(
            f"the {key} lies in an array, path {transform['path']!r}: expected a list of numbers"
        )
    return numbers(transform.get(key), key, rank)


def _placement(transform: Any, rank: int) -> Placement:
    if not isinstance(transform, Mapping):
        raise VolumeMetadataError(f"transformation {transform!r}: expected an object")
    kind = transform.get("type")
    ones, zeros = (1.0,) * rank, (0.0,) * rank
    match kind:
        case "identity":
            return Placement(ones, zeros)
        case "scale":
            return Placement(_positive(_numbers(transform, "scale", rank)), zeros)
        case "translation":
            return Placement(ones, _numbers(transform, "translation", rank))
        case "sequence":
            return compose(transform.get("transformations"), rank)
        case "affine":
            return _diagonal(transform.get("affine"), rank)
    raise VolumeMetadataError(
        f"transformation of type {kind!r}: a volume's voxels lie on a grid along z, y, x, so expected scale, "
        "translation, identity, or a sequence of them"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(scale: tuple[float, ...]) -> tuple[float, ...]:
    if min(scale) <= 0:
        raise VolumeMetadataError(f"scale {list(scale)}: expected numbers above 0")
    return scale


def _diagonal(matrix: Any, rank: int) -> Placement:
    rows = matrix if isinstance(matrix, list) else []
    if len(rows) not in (rank, rank + 1) or not all(_is_row(row, rank + 1) for row in rows):
        raise VolumeMetadataError(f"affine {matrix!r}: expected {rank} rows of {rank + 1} numbers")
    if any(rows[i][j] for i in range(rank) for j in range(rank) if i != j):
        raise VolumeMetadataError(
            f"affine {matrix!r}: it turns or shears, and a volume's voxels lie along z, y, x. "
            "Resample it to an upright grid first"
        )
    scale = _positive(tuple(float(rows[i][i]) for i in range(rank)))
    return Placement(scale, tuple(float(rows[i][rank]) for i in range(rank)))


def _is_row(row: Any, length: int) -> bool:
    return isinstance(row, Sequence) and len(row) == length and all(map(_is_number, row))
