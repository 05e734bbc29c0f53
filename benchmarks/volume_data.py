"""The volumes of `volumes.py`: synthetic EM with five classes, in the two layouts that the readers take."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from voxloom.volumes import Volume, VolumeLayout

SPACING = (8.0, 8.0, 8.0)
FORMS: dict[str, dict[str, Any]] = {
    "v3": {"chunk": (32, 32, 32), "shard": (256, 256, 256), "version": "0.5", "compression": "zstd"},
    "v2": {"chunk": (64, 64, 64), "shard": None, "version": "0.4", "compression": "zstd"},
}


def textured(size: int, seed: int) -> Any:
    """Return (size, size, size) uint8: smooth structure with a little noise, about as dense as EM."""
    rng = np.random.default_rng(seed)
    half = gaussian_filter(rng.standard_normal((size // 2,) * 3, np.float32), 2)
    half *= 40 / half.std()
    whole = half.repeat(2, 0).repeat(2, 1).repeat(2, 2) + 128
    whole += rng.standard_normal(whole.shape, np.float32) * 4
    return whole.clip(0, 255).astype(np.uint8)


def blobs(size: int, seed: int) -> Any:
    """Return (size, size, size) uint8: 1 in blobs that fill a tenth, else 0."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((size // 4,) * 3, np.float32), 3)
    inside = (field > np.quantile(field, 0.9)).astype(np.uint8)
    return inside.repeat(4, 0).repeat(4, 1).repeat(4, 2)


def make(folder: Path, size: int, many: int) -> None:
    """Write what is not there yet."""
    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    raw = textured(size, 0)
    for name in FORMS:
        _write(folder / name / "raw.zarr", raw, "image", name, levels=2)
        for k in range(5):
            _write(folder / name / "labels.zarr" / f"class{k}", blobs(size, k + 1), "labels", name, levels=2)
    for number in range(many):
        _write(folder / "many" / f"{number:03d}.zarr", raw[:64, :64, :64], "image", "v2", levels=2)
    (folder / "done").touch()


def _write(path: Path, array: Any, kind: Any, form: str, *, levels: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = VolumeLayout(spacing=SPACING, dtype="uint8", kind=kind, levels=levels, **FORMS[form])
    volume = Volume.create(path, shape=array.shape, layout=layout)
    volume.write(volume.bounding_box, array)
    volume.downsample()
