"""TensorStore alone: the same crops, all fields in flight at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorstore as ts


def place(data: Path, name: str) -> Path:
    """Return where the finest level of a field lies."""
    return data / "v3" / ("raw.zarr" if name == "raw" else f"labels.zarr/{name}") / "s0"


def reader(case: str, data: Path) -> Any:
    names = ["raw"] if case == "crops" else ["raw", *(f"class{k}" for k in range(5))]
    size = (64,) * 3 if case == "crops" else (128,) * 3
    arrays = []
    for name in names:
        kvstore = {"driver": "file", "path": str(place(data, name))}
        arrays.append(ts.open({"driver": "zarr3", "kvstore": kvstore}).result())
    extent = arrays[0].shape

    def item(rng: Any) -> Any:
        start = [int(rng.integers(0, n - s + 1)) for n, s in zip(extent, size, strict=True)]
        region = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        reads = [array[region].read() for array in arrays]
        return dict(zip(names, (read.result() for read in reads), strict=True))

    return item
