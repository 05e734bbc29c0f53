"""Where in a dataset patches may lie: its voxels at a spacing, and centres that keep all arrays within."""

from __future__ import annotations

import math
from collections.abc import Mapping

from voxloom.errors import SchemaError
from voxloom.geometry import AXES, Box, Grid, PatchSpec, Point
from voxloom.sources.locations import Smaller
from voxloom.sources.volume_dataset import Dataset
from voxloom.volumes.volume import Volume

__all__ = ["centers_in", "grid_of", "voxels_in"]

_SLACK = 1e-3  # of a voxel


def voxels_in(dataset: Dataset, spec: PatchSpec, *, name: str | None = None) -> Grid:
    """Return the voxels of a dataset that tiles have to cover, at the spacing of a patch.

    They are those of the level that has this spacing, so that tiles are copies of it; where none has,
    they lie side by side from the low corner on. Those count whose centre lies in all raw volumes and in
    what labels share; at least one.

    Parameters
    ----------
    dataset
        What is tiled.
    spec
        The tile.
    name
        Of the input whose voxels count; None for the first one.
    """
    grid = grid_of(_volume(dataset, name), spec.spacing)
    boxes = [volume.bounding_box for volume in dataset.raw.values()]
    if dataset.labels is not None and dataset.labels.box is not None:
        boxes.append(dataset.labels.box)
    low, high = grid.box.low, grid.box.high
    for box in boxes:
        low, high = _max(low, box.low), _min(high, box.high)
    starts, counts = zip(*map(_centered, grid.index(low), grid.index(high)), strict=True)
    z, y, x = counts
    return Grid((z, y, x), grid.spacing, grid.world(starts))


def centers_in(
    dataset: Dataset,
    inputs: Mapping[str, PatchSpec],
    targets: Mapping[str, PatchSpec] | None = None,
    *,
    smaller: Smaller = "center",
) -> Grid:
    """Return the centres about which each array of a sample lies within its volume.

    They lie such that the finest array falls on voxels, so that a plain crop of it is a copy. Patches
    that are turned or bent take voxels beyond: some of theirs lie outside where the centre is near the
    end of a volume. ``PatchOptions(outside="mirror")`` shows images mirrored there, and labels are
    unknown.

    Parameters
    ----------
    dataset
        What patches are drawn from.
    inputs
        The patch of each raw array.
    targets
        The patch of each array of labels: it lies in the box that all labels share.
    smaller
        Along an axis where no centre keeps all arrays within, take the middle (patches stand out and
        are padded), or refuse.

    Raises
    ------
    SchemaError
        If that is refused; if there is no input.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> volume = Volume.open(write_volume(mkdtemp(), phantom((8, 40, 40))))  # of 8 nm
    >>> specs = {"raw": PatchSpec(shape=(8, 16, 16), spacing=(8, 8, 8)),
    ...          "far": PatchSpec(shape=(4, 16, 16), spacing=(16, 16, 16))}
    >>> centers_in(Dataset("a", {"raw": volume, "far": volume}), specs)
    Grid(shape=(1, 9, 9), spacing=(8.0, 8.0, 8.0), origin=(28.0, 124.0, 124.0))
    """
    if not inputs:
        raise SchemaError("centres of no input: expected the patch of at least one")
    name, spec = min(inputs.items(), key=lambda item: math.prod(item[1].spacing))
    grid = grid_of(dataset.raw[name], spec.spacing)
    first = grid.world([(n - 1) / 2 for n in spec.shape])
    boxes = [(key, dataset.raw[key].bounding_box, each.size) for key, each in inputs.items()]
    if targets and dataset.labels is not None and dataset.labels.box is not None:
        boxes += [(key, dataset.labels.box, each.size) for key, each in targets.items()]
    allowed = [_along(axis, boxes, smaller) for axis in range(3)]
    lattice = Grid((1, 1, 1), grid.spacing, first)
    begin = lattice.index([low for low, _ in allowed])
    end = lattice.index([high for _, high in allowed])
    starts, counts = zip(*(_whole(a, b) for a, b in zip(begin, end, strict=True)), strict=True)
    z, y, x = counts
    return Grid((z, y, x), grid.spacing, lattice.world(starts))


def _along(axis: int, boxes: list[tuple[str, Box, Point]], smaller: Smaller) -> tuple[float, float]:
    """Return the lowest and the highest centre along an axis; one and the same where nothing fits."""
    low = max(box.low[axis] + size[axis] / 2 for _, box, size in boxes)
    high = min(box.high[axis] - size[axis] / 2 for _, box, size in boxes)
    if low <= high + 1e-6 * (1 + abs(high)):
        return low, max(low, high)
    if smaller == "refuse":
        told = "; ".join(
            f"{name} of {size[axis]:g} nm in {box.low[axis]:g} to {box.high[axis]:g}"
            for name, box, size in boxes
        )
        raise SchemaError(
            f"no centre along {AXES[axis]} keeps all patches within their volumes: {told}. Take smaller "
            'patches, or smaller="center" to pad.'
        )
    shared = max(box.low[axis] for _, box, _ in boxes), min(box.high[axis] for _, box, _ in boxes)
    return (sum(shared) / 2,) * 2


def _whole(begin: float, end: float) -> tuple[int, int]:
    """Return first and number of the whole numbers between two; the nearest one where there is none."""
    first, last = math.ceil(begin - _SLACK), math.floor(end + _SLACK)
    return (first, last - first + 1) if first <= last else (round((begin + end) / 2 - _SLACK), 1)


def _centered(low: float, high: float) -> tuple[int, int]:
    """Return first and number of the voxels whose centre lies between; the nearest one where there is none.

    One on the upper face lies in it, one on the lower face does not: as patches have it.
    """
    first, last = math.floor(low + _SLACK) + 1, math.floor(high + _SLACK)
    return (first, last - first + 1) if first <= last else (round((low + high) / 2 - _SLACK), 1)


def grid_of(volume: Volume, spacing: Point) -> Grid:
    """Return the voxels of the level of a spacing, or others that cover the volume from its low corner."""
    for level in volume.levels:
        if all(abs(a - b) <= _SLACK * b for a, b in zip(level.grid.spacing, spacing, strict=True)):
            return level.grid
    box = volume.bounding_box
    z, y, x = (max(1, math.ceil(e / s - _SLACK)) for e, s in zip(box.size, spacing, strict=True))
    # one that is thicker than the volume lies about its middle
    rest = ((e - s) / 2 if n == 1 else 0.0 for e, n, s in zip(box.size, (z, y, x), spacing, strict=True))
    low_z, low_y, low_x = (b + s / 2 + r for b, s, r in zip(box.low, spacing, rest, strict=True))
    return Grid((z, y, x), spacing, (low_z, low_y, low_x))


def _volume(dataset: Dataset, name: str | None) -> Volume:
    return next(iter(dataset.raw.values())) if name is None else dataset.raw[name]


def _max(one: Point, other: Point) -> Point:
    z, y, x = map(max, one, other)
    return (z, y, x)


def _min(one: Point, other: Point) -> Point:
    z, y, x = map(min, one, other)
    return (z, y, x)
