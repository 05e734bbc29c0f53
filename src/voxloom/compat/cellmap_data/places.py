"""Where the centres of a dataset's patches lie."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from voxloom.compat.cellmap_data.image import CellMapImage
from voxloom.errors import SchemaError
from voxloom.geometry import AXES, Box, Grid, PatchSpec, Point, tile_starts
from voxloom.sources.locations import middle_start, place_in

__all__ = ["Places"]

logger = logging.getLogger(__name__)

_SLACK = 1e-6  # of a voxel: sums of spacings are not exact
Interval = list[float]


@dataclass(frozen=True)
class Places:
    """The centres of the patches that lie within all images, as far apart as the largest voxels.

    The last along each axis is as near to the end as the smallest voxels allow, nearer to the one before
    where need be.

    Attributes
    ----------
    centers
        One point a patch, in nm; those that lie beyond `last` are meant to lie there.
    last
        The last centre along each axis, in nm.
    shared
        What all images cover.
    voxels
        From the first centre of a voxel that all images share to the last, by axis.
    order
        The axes, in the order of what is told by axis.
    """

    centers: Grid
    last: Point
    shared: Box
    voxels: Mapping[str, Interval]
    order: str = AXES

    @classmethod
    def of(cls, images: Sequence[CellMapImage], order: str, *, pad: bool) -> Places:
        """Return the places of patches in some images; none where one is too small and `pad` is not set.

        Raises
        ------
        SchemaError
            If the images do not overlap.
        """
        shared = _shared(images)
        spacing = np.max([image.spec.patch.spacing for image in images], axis=0)
        sizes = np.array([image.spec.patch.size for image in images])
        low = np.max([image.box.low + size / 2 for image, size in zip(images, sizes, strict=True)], axis=0)
        high = np.min([image.box.high - size / 2 for image, size in zip(images, sizes, strict=True)], axis=0)
        finest = np.min([image.spec.patch.spacing for image in images], axis=0)
        room = np.floor((high - low) / finest + _SLACK) * finest  # what `finest` reaches of the end
        counts = np.ceil(room / spacing - _SLACK).astype(int) + 1
        counts = np.where(room < 0, 0, counts)
        if (counts < 1).any() and not pad:
            _tell_small(images, (counts < 1).tolist())
        elif (counts < 1).any():
            low = np.where(counts < 1, _middle(shared, sizes.max(axis=0), spacing), low)
        grid = Grid(
            _three(np.maximum(counts, int(pad)).tolist()), _three(spacing.tolist()), _three(low.tolist())
        )
        order = "".join(axis for axis in order if axis in AXES)
        last = low + np.maximum(room, 0)
        boxes = [image.bounding_box for image in images]
        voxels = {a: [max(b[a][0] for b in boxes), min(b[a][1] for b in boxes)] for a in order}
        return cls(grid, _three(last.tolist()), shared, voxels, order)

    def __len__(self) -> int:
        return math.prod(self.centers.shape)

    def center(self, index: int) -> Point:
        """Return centre `index` in nm."""
        return _three(np.minimum(place_in(self.centers, index), self.last).tolist())

    @cached_property
    def bounding_box(self) -> dict[str, Interval]:
        """From the centre of the first voxel to that of the last, in nm by axis."""
        return {axis: list(interval) for axis, interval in self.voxels.items()}

    @property
    def sampling_box(self) -> dict[str, Interval]:
        """From the first centre of a patch to the last, in nm by axis."""
        ends = zip(self.centers.origin, self.last, strict=True)
        return self.by_axis([[low, high] for low, high in ends])

    @property
    def bounding_box_shape(self) -> dict[str, int]:
        """Voxels of the largest size that all images share, by axis."""
        pairs = zip(self.shared.size, self.centers.spacing, strict=True)
        return self.by_axis([max(1, round(size / step)) for size, step in pairs])

    def tiles(self, patches: Sequence[PatchSpec]) -> list[int]:
        """Return the places of patches side by side, none further apart than the smallest is long."""
        sizes = np.min([patch.size for patch in patches], axis=0) / self.centers.spacing
        return self.every(dict(zip(AXES, sizes.tolist(), strict=True)))

    def every(self, step: Mapping[str, float]) -> list[int]:
        """Return the places that are a number of voxels apart along each axis, the last one included."""
        starts = []
        for axis, count in zip(AXES, self.centers.shape, strict=True):
            apart = max(1, math.floor(step[axis] + _SLACK))
            starts.append(tile_starts(count + apart - 1, apart))
        return [int(np.ravel_multi_index(place, self.centers.shape)) for place in product(*starts)]

    def by_axis(self, zyx: Sequence[Any]) -> dict[str, Any]:
        """Return what is told for z, y, x by axis."""
        return {axis: zyx[AXES.index(axis)] for axis in self.order}


def _shared(images: Sequence[CellMapImage]) -> Box:
    shared: Box | None = images[0].box
    for image in images[1:]:
        shared = shared and shared & image.box
    if shared is None:
        boxes = "; ".join(f"{image.path}: {image.box.low} to {image.box.high}" for image in images)
        raise SchemaError(
            f"raw data and labels do not overlap, z, y, x in nm: {boxes}. Look at their translations and "
            "units"
        )
    return shared


def _tell_small(images: Sequence[CellMapImage], too_small: Sequence[bool]) -> None:
    axes = ", ".join(axis for axis, is_small in zip(AXES, too_small, strict=True) if is_small)
    image = next((each for each in images if not _fits(each)), images[-1])
    logger.warning(
        "%s: patches of %s voxels do not fit in %s along %s, so the dataset has no place. Take "
        "smaller patches, or pad=True to fill up what lies outside",
        image.path,
        image.spec.patch.shape,
        "what all images share" if _fits(image) else "it",
        axes,
    )


def _fits(image: CellMapImage) -> bool:
    pairs = zip(image.spec.patch.size, image.box.size, strict=True)
    return all(length <= room * (1 + _SLACK) for length, room in pairs)


def _middle(shared: Box, size: Sequence[float], spacing: Any) -> list[float]:
    """Return where a patch lies that is centred on a box smaller than it, on its voxels."""
    middle = []
    for low, extent, length, step in zip(shared.low, shared.size, size, spacing, strict=True):
        voxels, patch = round(extent / step), round(length / step)
        middle.append(low + (middle_start(voxels, patch) + patch / 2) * step)
    return middle


def _three(values: Sequence[Any]) -> tuple[Any, Any, Any]:
    z, y, x = values
    return (z, y, x)
