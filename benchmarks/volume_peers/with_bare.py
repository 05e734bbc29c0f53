"""The limit: the chunks that a crop touches, decompressed from mapped shards, and nothing else."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.zstd import decompress

NONE = 2**64 - 1


class Chunks:
    """The compressed inner chunks of a zarr v3 array with shards."""

    def __init__(self, path: Path) -> None:
        facts = json.loads((path / "zarr.json").read_text())
        shard = facts["chunk_grid"]["configuration"]["chunk_shape"]
        self.chunk = facts["codecs"][0]["configuration"]["chunk_shape"]
        self.shape = facts["shape"]
        self._per = [s // c for s, c in zip(shard, self.chunk, strict=True)]
        self._files: dict[tuple[int, ...], Any] = {}
        self._path = path
        self._out = np.empty(self.chunk, facts["data_type"])

    def decompress(self, start: Any, size: Any) -> None:
        """Decompress what a crop touches, each chunk into the same memory."""
        ranges = [
            range(s // c, (s + n - 1) // c + 1) for s, n, c in zip(start, size, self.chunk, strict=True)
        ]
        for place in product(*ranges):
            compressed = self._compressed(place)
            if compressed is not None:
                decompress(compressed, self._out)

    def _compressed(self, place: tuple[int, ...]) -> Any:
        shard = tuple(p // n for p, n in zip(place, self._per, strict=True))
        if shard not in self._files:
            data = np.memmap(self._path / "c" / "/".join(map(str, shard)), np.uint8, "r")
            index = data[-(16 * int(np.prod(self._per)) + 4) : -4].view("<u8").reshape(*self._per, 2)
            self._files[shard] = data, index
        data, index = self._files[shard]
        offset, length = index[tuple(p % n for p, n in zip(place, self._per, strict=True))].tolist()
        return None if offset == NONE else data[offset : offset + length]


def place(data: Path, name: str) -> Path:
    """Return where the finest level of a field lies."""
    return data / "v3" / ("raw.zarr" if name == "raw" else f"labels.zarr/{name}") / "s0"


def reader(case: str, data: Path) -> Any:
    names = ["raw"] if case == "crops" else ["raw", *(f"class{k}" for k in range(5))]
    size = (64,) * 3 if case == "crops" else (128,) * 3
    arrays = [Chunks(place(data, name)) for name in names]
    extent = arrays[0].shape

    def item(rng: Any) -> Any:
        start = [int(rng.integers(0, n - s + 1)) for n, s in zip(extent, size, strict=True)]
        for array in arrays:
            array.decompress(start, size)

    return item
