"""CellMap-Data: raw and five classes of an OME-NGFF 0.4 volume, as its documentation has it."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import torch
from cellmap_data import CellMapDataset

# its rewrite of 2026 augments always, and has no such argument
_TRAINING = {"is_train": True} if "is_train" in signature(CellMapDataset.__init__).parameters else {}
CLASSES = [f"class{k}" for k in range(5)]


def reader(case: str, data: Path) -> Any:
    torch.set_num_threads(1)
    if case == "opening":
        return _opening(data)
    turn = {"rotate": {"axes": {axis: [-30, 30] for axis in "zyx"}}} if case == "turned" else None
    dataset = _dataset(data / "v2", turn)
    total = len(dataset)

    def item(rng: Any) -> Any:
        made = dataset[int(rng.integers(total))]
        return {name: made[name] for name in ("raw", "labels")}

    return item


def _dataset(folder: Path, transforms: Any) -> Any:
    array = {"shape": (128, 128, 128), "scale": (8, 8, 8)}
    return CellMapDataset(
        str(folder / "raw.zarr"),
        str(folder / f"labels.zarr/[{','.join(CLASSES)}]"),
        CLASSES,
        {"raw": array},
        {"labels": array},
        spatial_transforms=transforms,
        force_has_data=True,
        **_TRAINING,
    )


def _opening(data: Path) -> Any:
    kept: list[Any] = []
    paths = sorted((data / "many").glob("*.zarr"))
    spec = {"shape": (32, 32, 32), "scale": (8, 8, 8)}

    def item(_: Any) -> Any:
        kept[:] = [_small(str(path), spec) for path in paths]
        return {"volumes": len(kept), "positions": sum(map(len, kept))}

    return item


def _small(path: str, spec: Any) -> Any:
    return CellMapDataset(path, path, ["raw"], {"raw": spec}, {"raw": spec}, force_has_data=True)
