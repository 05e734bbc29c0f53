"""Arrays of several samples in one: what a batch is before it is a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array, Sample

__all__ = ["joined", "stacked"]


def stacked(name: str, samples: Sequence[Sample], out: Array | None) -> Array:
    """Return one field of several samples as one array, in `out` where that is given."""
    arrays = [sample[name] for sample in samples]
    kinds = {(array.shape, array.dtype.str): s.key for s, array in zip(samples, arrays, strict=True)}
    text = all(array.dtype.kind == "U" for array in arrays)
    if len(kinds) > 1 and not text:
        told = ", ".join(f"{shape} {dtype} ({key!r})" for (shape, dtype), key in sorted(kinds.items()))
        raise SchemaError(
            f"field {name!r} differs within one batch: {told}; expected one shape and type. "
            "Bring all images to one size with a resize, or read them one by one."
        )
    return np.stack(arrays, out=out)


def joined(name: str, parts: Sequence[Array], places: Sequence[Array], out: Array | None) -> Array:
    """Put arrays whose rows belong to `places` into one."""
    kinds = {(part.shape[1:], part.dtype.str) for part in parts}
    text = all(part.dtype.kind == "U" for part in parts)
    if len(kinds) > 1 and not text:
        told = " and ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds))
        raise SchemaError(
            f"field {name!r} differs within one batch of several sources: {told}; expected one shape and "
            "type. Bring all images to one size with a resize, or read them one by one."
        )
    if out is None or text:
        out = np.empty((sum(map(len, places)), *parts[0].shape[1:]), max(part.dtype for part in parts))
    for part, place in zip(parts, places, strict=True):
        out[place] = part
    return out
