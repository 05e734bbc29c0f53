"""How a volume that we write lies in its store: types, chunks, shards, compression, levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from voxloom.component import Component
from voxloom.geometry import Grid
from voxloom.volumes.pyramid import Kind, level_grids

__all__ = ["Compression", "VolumeLayout"]

Compression = Literal["zstd", "blosc", "gzip", "none"]
_Count = Annotated[int, Setting(gt=0)]
_Length = Annotated[float, Setting(gt=0)]
_Triple = tuple[int, int, int]


class VolumeLayout(Component):
    """What a new volume is, but for its extent.

    The shards of coarser levels are as much smaller as their voxels are larger, for as long as they hold
    whole chunks: a shard of level 0 alone makes whole shards of those levels, so that processes which
    share no shard of level 0 share none of theirs either. Still coarser levels are few in bytes; their
    shards are as large as those of level 0.

    Examples
    --------
    >>> layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", channels=("mito", "er"))
    >>> [(grid.shape, shard) for grid, _, shard in layout.levels_of((300, 300, 300))]
    [((300, 300, 300), (256, 256, 256)), ((150, 150, 150), (128, 128, 128)), ((75, 75, 75), (64, 64, 64))]
    >>> VolumeLayout(spacing=(8, 8, 8), dtype="float32", kind="labels")
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: ...
      Value error, labels of type float32: expected whole numbers, such as uint8 or uint64 ...
    """

    spacing: tuple[_Length, _Length, _Length]
    """Distance of neighbouring centres at level 0 along z, y, x in nanometres."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Centre of the first voxel at level 0 along z, y, x in nanometres."""
    dtype: str
    """Of the voxels, as numpy names it: bool, whole numbers or floats."""
    kind: Kind = "image"
    """``image``, whose coarser voxels are means, or ``labels``, where they are the most frequent id."""
    channels: tuple[str, ...] = ()
    """Names; without any there is no axis of channels."""
    classes: Mapping[int, str] = {}
    """What the ids of labels mean."""
    is_bitmask: bool = False
    """Bit k of each label stands for the class of id 2^k, and several may be set."""
    is_flat: bool = False
    """Leave the axis z out of the store: an image of one plane."""
    version: Literal["0.5", "0.4"] = "0.5"
    """Of OME-NGFF: 0.5 is zarr v3, 0.4 is zarr v2, which has no shards."""
    chunk: tuple[_Count, _Count, _Count] = (64, 64, 64)
    """Voxels along z, y, x that are compressed, and read, as one."""
    shard: tuple[_Count, _Count, _Count] | None = (256, 256, 256)
    """Voxels of a file; None for a file each chunk, as with 0.4."""
    compression: Compression | None = None
    """None is zstd for 0.5, and blosc for 0.4. All of them lose nothing."""
    compression_level: Annotated[int, Setting(ge=0, le=9)] = 1
    """The more, the smaller and the slower."""
    levels: _Count | None = None
    """Of the pyramid; None for as many as it takes to come down to 128 voxels an axis."""
    fill: float = 0.0
    """Value of what was never written."""

    @field_validator("dtype")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            dtype = np.dtype(name)
        except TypeError as error:
            raise ValueError(f"type {name!r}: expected one of numpy's, such as uint8 or float32") from error
        if dtype.kind not in "buif" or dtype.itemsize > 8:
            raise ValueError(f"type {name!r}: expected bool, whole numbers or floats of at most 64 bits")
        return dtype.name

    @model_validator(mode="after")
    def _fits(self) -> VolumeLayout:
        if self.kind == "labels" and np.dtype(self.dtype).kind == "f":
            raise ValueError(f"labels of type {self.dtype}: expected whole numbers, such as uint8 or uint64")
        if self.kind == "labels" and self.channels:
            raise ValueError(
                f"labels with channels {self.channels}: expected none; make one label image each"
            )
        if self.kind == "image" and self.classes:
            raise ValueError("classes of an image: expected kind='labels', or channels with these names")
        if self.is_bitmask and list(self.classes) != [1 << k for k in range(len(self.classes))]:
            raise ValueError(f"a bitmask with classes {dict(self.classes)}: expected the ids 1, 2, 4, 8, ...")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError(f"channels {self.channels}: expected each name once")
        if self.shard is not None and any(s % c for s, c in zip(self.shard, self.chunk, strict=True)):
            raise ValueError(f"shards of {self.shard} voxels: expected whole chunks of {self.chunk}")
        if np.asarray(self.fill, np.float64).astype(self.dtype) != self.fill:
            raise ValueError(f"fill {self.fill}: expected a value that {self.dtype} holds")
        return self

    @property
    def axes(self) -> str:
        """Of the stored arrays: zyx, czyx, yx or cyx."""
        return ("c" if self.channels else "") + ("yx" if self.is_flat else "zyx")

    def levels_of(self, shape: Sequence[int]) -> list[tuple[Grid, _Triple, _Triple]]:
        """Return the voxels, the chunk and the shard of each level of a volume of (z, y, x) voxels.

        Raises
        ------
        SchemaError
            If it has too few voxels for as many levels.
        """
        z, y, x = shape
        grids = level_grids(Grid((z, y, x), self.spacing, self.origin), self.levels)
        return [(grid, *self._pieces(grid)) for grid in grids]

    def most_levels(self, shape: Sequence[int]) -> int:
        """Return how many levels a volume of (z, y, x) voxels can have: the last has one voxel."""
        z, y, x = shape
        return len(level_grids(Grid((z, y, x), self.spacing, self.origin), enough=1))

    def array_metadata(self, extent: Sequence[int], chunk: Sequence[int], shard: Sequence[int]) -> Any:
        """Return what the metadata file of an array says, (c, z, y, x) each: .zarray or zarr.json."""
        kept = self._stored
        extent, chunk, shard = kept(extent), kept(chunk), kept(shard)
        if self.version == "0.4":
            return _zarr2(self, extent, shard)
        return _zarr3(self, extent, chunk, shard)

    @property
    def filled(self) -> bool | int | float:
        """The fill value as its type has it."""
        value: bool | int | float = np.asarray(self.fill).astype(self.dtype).item()
        return value

    def _pieces(self, grid: Grid) -> tuple[_Triple, _Triple]:
        chunk = _triple([min(c, n) for c, n in zip(self.chunk, grid.shape, strict=True)])
        if self.shard is None or self.version == "0.4":
            return chunk, chunk
        factors = [round(s / t) for s, t in zip(grid.spacing, self.spacing, strict=True)]
        smaller = all(s % (c * f) == 0 for s, c, f in zip(self.shard, self.chunk, factors, strict=True))
        shard = [s // f if smaller else s for s, f in zip(self.shard, factors, strict=True)]
        held = [min(s, math.ceil(n / c) * c) for s, n, c in zip(shard, grid.shape, chunk, strict=True)]
        return chunk, _triple(held)

    def _stored(self, czyx: Sequence[int]) -> list[int]:
        return [n for axis, n in zip("czyx", czyx, strict=True) if axis in self.axes]


def _triple(values: Sequence[int]) -> _Triple:
    z, y, x = values
    return z, y, x


def _zarr2(layout: VolumeLayout, extent: list[int], chunk: list[int]) -> dict[str, Any]:
    level, dtype = layout.compression_level, np.dtype(layout.dtype).newbyteorder("<")
    shuffle = int(dtype.itemsize > 1)
    compressor = {
        "blosc": {"id": "blosc", "cname": "zstd", "clevel": level, "shuffle": shuffle, "blocksize": 0},
        "gzip": {"id": "gzip", "level": level},
        "none": None,
        "zstd": {"id": "zstd", "level": level},
    }[layout.compression or "blosc"]
    return {
        "zarr_format": 2,
        "shape": extent,
        "chunks": chunk,
        "dtype": dtype.str,
        "compressor": compressor,
        "fill_value": layout.filled,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }


def _zarr3(layout: VolumeLayout, extent: list[int], chunk: list[int], shard: list[int]) -> dict[str, Any]:
    codecs = [_BYTES, *_zarr3_compressor(layout)]
    if layout.shard is not None:
        sharding = {
            "chunk_shape": chunk,
            "codecs": codecs,
            "index_codecs": [_BYTES, {"name": "crc32c"}],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": extent,
        "data_type": layout.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": layout.filled,
        "codecs": codecs,
        "dimension_names": list(layout.axes),
        "attributes": {},
    }


_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def _zarr3_compressor(layout: VolumeLayout) -> list[dict[str, Any]]:
    level, size = layout.compression_level, np.dtype(layout.dtype).itemsize
    blosc = {
        "cname": "zstd",
        "clevel": level,
        "shuffle": "shuffle" if size > 1 else "noshuffle",
        "typesize": size,
        "blocksize": 0,
    }
    return {
        "blosc": [{"name": "blosc", "configuration": blosc}],
        "gzip": [{"name": "gzip", "configuration": {"level": level}}],
        "none": [],
        # its checksum tells a chunk that is not what was written
        "zstd": [{"name": "zstd", "configuration": {"level": level, "checksum": True}}],
    }[layout.compression or "zstd"]
