"""zarr-python 3: the same crops, and opening many groups."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import zarr


def place(data: Path, name: str) -> Path:
    """Return where the finest level of a field lies."""
    return data / "v3" / ("raw.zarr" if name == "raw" else f"labels.zarr/{name}") / "s0"


def reader(case: str, data: Path) -> Any:
    if case == "opening":
        return _opening(data)
    names = ["raw"] if case == "crops" else ["raw", *(f"class{k}" for k in range(5))]
    size = (64,) * 3 if case == "crops" else (128,) * 3
    arrays = {name: zarr.open_array(place(data, name), mode="r") for name in names}
    extent = arrays["raw"].shape

    def item(rng: Any) -> Any:
        start = [int(rng.integers(0, n - s + 1)) for n, s in zip(extent, size, strict=True)]
        region = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        return {name: array[region] for name, array in arrays.items()}

    return item


def _opening(data: Path) -> Any:
    kept = []
    paths = sorted((data / "many").glob("*.zarr"))

    def item(_: Any) -> Any:
        groups = [zarr.open_group(path, mode="r") for path in paths]
        kept[:] = [(dict(group.attrs), [group[f"s{level}"] for level in range(2)]) for group in groups]
        return {"volumes": len(kept), "voxels": sum(math.prod(levels[0].shape) for _, levels in kept)}

    return item
