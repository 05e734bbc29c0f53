"""Writing predictions: voxloom's tiles, blended into OME-Zarr with its pyramid; TensorStore's bare writes.

The network of both is a table: it costs nothing, so that all the rest is what is measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import tensorstore as ts
import torch

from voxloom.geometry import Box, PatchSpec
from voxloom.inference.tiling import predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.volumes import Volume, VolumeLayout

TILE, EXTENT, CHANNELS = 128, 256, 5
TILES = 27
"""Of 128 voxels that overlap by a quarter, in 256 voxels an axis: they begin at 0, 96 and 128."""


def probabilities() -> Any:
    """Return (1, 5, 128, 128, 128) float32: smooth, as a network's are, and nowhere constant."""
    coarse = torch.rand(1, CHANNELS, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(TILE,) * 3, mode="trilinear")


def reader(case: str, data: Path) -> Any:
    torch.set_num_threads(1)
    made = probabilities()
    return _bare(made, data) if case == "bare" else _blended(made, data)


def _blended(made: Any, data: Path) -> Any:
    whole = Volume.open(data / "v3" / "raw.zarr")
    corner = _corner(whole, data)
    calls: list[int] = []
    untouched = made.clone()

    def network(tiles: Any) -> Any:
        calls.append(len(tiles))
        return made

    spec = PatchSpec(shape=(TILE,) * 3, spacing=(8.0, 8.0, 8.0))
    model = VolumeModel(network, spec, tuple("abcde"), digest="a table")
    options = TiledOptions(write=("probabilities",), overlap=0.25)

    def item(_: Any) -> Any:
        folder = mkdtemp(dir=data)
        calls.clear()
        predict_volume(model, corner, f"{folder}/prediction.zarr", options=options)
        shutil.rmtree(folder)
        if sum(calls) != TILES:
            raise ValueError(f"{sum(calls)} tiles were predicted; expected {TILES}")
        if not torch.equal(made, untouched):
            raise ValueError("the network's table was changed; expected it to be read")
        return {}

    return item


def _corner(whole: Volume, data: Path) -> Volume:
    path = data / "corner.zarr"
    if not path.exists():
        low, spacing = whole.bounding_box.low, whole.levels[0].grid.spacing
        high = tuple(a + EXTENT * s for a, s in zip(low, spacing, strict=True))
        voxels = whole.read(Box(low, high))  # type: ignore[arg-type]
        layout = VolumeLayout(spacing=spacing, dtype="uint8", levels=1)
        volume = Volume.create(path, shape=(EXTENT,) * 3, layout=layout)
        volume.write(volume.bounding_box, voxels)
    return Volume.open(path)


def _bare(made: Any, data: Path) -> Any:
    voxels = (made[0].numpy() * 255).astype(np.uint8)
    codec = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, 64, 64, 64],
            "codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 1}}],
        },
    }

    def item(_: Any) -> Any:
        folder = mkdtemp(dir=data)
        array = ts.open(
            {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": folder},
                "metadata": {
                    "shape": list(voxels.shape),
                    "data_type": "uint8",
                    "chunk_grid": {
                        "name": "regular",
                        "configuration": {"chunk_shape": [1, TILE, TILE, TILE]},
                    },
                    "codecs": [codec],
                },
            },
            create=True,
        ).result()
        array.write(voxels).result()
        shutil.rmtree(folder)
        return {}

    return item
