"""voxloom: `PatchSource` as the Loader reads it, and `Volume.open_many`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxloom.geometry import PatchSpec
from voxloom.loading import Loader, Order
from voxloom.sources.blocks import Blocks
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.volume_split import Dataset
from voxloom.transforms import SpatialAugment
from voxloom.volumes import Volume
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels

CLASSES = tuple(f"class{k}" for k in range(5))
SPACING = (8.0, 8.0, 8.0)
TURN = SpatialAugment(mirror={}, transpose=(), rotation=dict.fromkeys("zyx", (-30, 30)))


def reader(case: str, data: Path) -> Any:
    if case == "opening":
        return _opening(data)
    if case.startswith("epoch"):
        return _epoch(data, int(case.removeprefix("epoch")))
    name, _, files = case.partition("@")
    size = 64 if name.startswith("crops") else 128
    source = _source(data / (files or "v3"), size, name)
    room = source.gather([0])  # the Loader's memory, used again and again
    rows = source.locations.crops_per_block
    rooms = {field: array.repeat(rows, 0) for field, array in room.items()}
    place = {"next": 0}

    def item(rng: Any) -> Any:  # noqa: ARG001 - the source draws on its own
        first = place["next"] % (len(source) - rows)
        place["next"] += rows
        return source.gather(range(first, first + rows), out=rooms)

    return item


def _source(folder: Path, size: int, case: str) -> PatchSource:
    raw = Volume.open(folder / "raw.zarr")
    spec = PatchSpec(shape=(size,) * 3, spacing=SPACING)
    locations: Any = Random([centers_of(raw.levels[0].grid, spec)], length=100_000)
    if case == "crops8":
        locations = Blocks(locations, crops=8, spread=(64, 64, 64))
    dataset = Dataset("a", {"raw": raw}, None)
    if case.startswith("crops"):
        return PatchSource([dataset], inputs={"raw": spec}, locations=locations)
    classes = Classes(names=CLASSES)
    labels = Labels.open(str(folder / f"labels.zarr/[{','.join(CLASSES)}]"), classes=classes)
    augment = TURN if case == "turned" else None
    return PatchSource(
        [Dataset("a", {"raw": raw}, labels)],
        inputs={"raw": spec},
        targets={"labels": spec},
        classes=classes,
        locations=locations,
        options=PatchOptions(augment=augment),
    )


def _opening(data: Path) -> Any:
    kept: list[Volume] = []
    paths = sorted((data / "many").glob("*.zarr"))

    def item(_: Any) -> Any:
        kept[:] = Volume.open_many(paths)
        return {"volumes": len(kept)}

    return item


def _epoch(data: Path, length: int) -> Any:
    paths = sorted((data / "many").glob("*.zarr"))[:100]
    volumes = Volume.open_many(paths)
    spec = PatchSpec(shape=(32,) * 3, spacing=SPACING)
    centers = [centers_of(volume.levels[0].grid, spec) for volume in volumes]
    datasets = [Dataset(path.stem, {"raw": v}, None) for path, v in zip(paths, volumes, strict=True)]
    source = PatchSource(datasets, inputs={"raw": spec}, locations=Random(centers, length=length))
    order = Order(length=length, batch_size=8, shuffle=False)
    loader = Loader(source, None, order=order, seed=0, num_workers=8)

    def item(_: Any) -> Any:
        for batch in loader:
            del batch
        return {}

    return item
