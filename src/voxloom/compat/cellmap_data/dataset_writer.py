"""Predictions of a raw image, tile by tile."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from voxloom.compat.cellmap_data.arrays import ArrayInfo, ArraySpec
from voxloom.compat.cellmap_data.base_dataset import Item, Transform
from voxloom.compat.cellmap_data.dataloader import CellMapDataLoader
from voxloom.compat.cellmap_data.image_writer import ImageWriter, bounds_grid
from voxloom.compat.cellmap_data.items import PendingItem
from voxloom.compat.cellmap_data.sources import raw_image
from voxloom.compat.cellmap_data.subdataset import CellMapSubset
from voxloom.compat.cellmap_data.unused import report_unused
from voxloom.compat.cellmap_data.utils.geometry import Bounds
from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import AXES, Box, Grid, Point, Pose
from voxloom.registry import did_you_mean
from voxloom.sources.tiles import Tiled

__all__ = ["CellMapDatasetWriter"]

logger = logging.getLogger(__name__)

Arrays = Mapping[str, ArrayInfo]
AS_IT_LIES = Pose()
_SLACK = 1e-6  # of a voxel: sums of spacings are not exact


class CellMapDatasetWriter(Dataset[Item]):
    """Tiles of a raw image to read, and of one image a class to write.

    ``writer[i]`` reads the inputs of tile `i`; ``writer[i] = {"labels": prediction}`` writes it. The
    tiles cover the bounds exactly, and the last one is flush with their end.

    Parameters
    ----------
    raw_path
        Of the raw image.
    target_path
        Of the group to write: ``<target_path>/<class>``, and with several target arrays
        ``<target_path>/<array>/<class>``.
    classes
        Those that are written.
    input_arrays, target_arrays
        ``{"raw": {"shape": (64, 64, 64), "scale": (8, 8, 8)}}``: voxels and nm. The smallest target is
        the tile.
    target_bounds
        ``{"labels": {"z": [0, 512], "y": [0, 512], "x": [0, 512]}}`` in nm; None for all of the raw image.
    raw_value_transforms
        Called with each raw patch.
    axis_order
        Of shapes, scales and tensors.
    empty_value
        What was never written.
    overwrite
        Replace images that are there.
    device
        Where inputs are put; None for the CPU.
    model_classes
        The channels of predictions, if these are others than `classes`.
    context, rng
        Have no use any more.

    Raises
    ------
    OutputExistsError
        A FileExistsError; if there is an image already, and `overwrite` is not set.
    ConfigError
        A ValueError; for bounds that cannot be meant.
    """

    def __init__(
        self,
        raw_path: str,
        target_path: str,
        classes: Sequence[str],
        input_arrays: Arrays,
        target_arrays: Arrays,
        target_bounds: Mapping[str, Bounds] | None = None,
        raw_value_transforms: Transform | None = None,
        axis_order: str = AXES,
        context: Any = None,
        rng: torch.Generator | None = None,
        empty_value: float = 0,
        overwrite: bool = False,
        device: str | torch.device | None = None,
        *,
        model_classes: Sequence[str] | None = None,
    ) -> None:
        report_unused("CellMapDatasetWriter", context=context, rng=rng)
        self.raw_path, self.target_path = str(raw_path), str(target_path)
        self.classes, self.model_classes = list(classes), list(model_classes or classes)
        self.input_arrays, self.target_arrays = dict(input_arrays), dict(target_arrays)
        self.axis_order, self.empty_value, self.overwrite = axis_order, empty_value, overwrite
        self._device = torch.device(device or "cpu")
        self.input_sources = {
            name: raw_image(self.raw_path, info, raw_value_transforms, axis_order=axis_order)
            for name, info in self.input_arrays.items()
        }
        self.target_bounds = self._bounds(target_bounds)
        self.target_array_writers = {
            name: self.get_target_array_writer(name, info) for name, info in self.target_arrays.items()
        }

    def _bounds(self, given: Mapping[str, Bounds] | None) -> dict[str, Bounds]:
        names = list(self.target_arrays)
        if given is None:
            box = next(iter(self.input_sources.values())).volume.bounding_box
            return {name: _bounds_around(box, spec.patch.spacing) for name, spec in self._specs.items()}
        if len(given) == 1 and len(names) == 1 and names[0] not in given:
            (told,) = given
            logger.info("bounds of %r are taken for %r, the only target array", told, names[0])
            return {names[0]: given[told]}
        missing = [name for name in names if name not in given]
        if missing:
            raise ConfigError(
                f"target_bounds of {', '.join(given)}: expected some for each target array, and there are "
                f"none for {', '.join(missing)}.{did_you_mean(missing[0], given)}"
            )
        return {name: given[name] for name in names}

    def get_target_array_writer(self, array_name: str, array_info: ArrayInfo) -> dict[str, ImageWriter]:
        """Return what writes each class of a target array."""
        return {c: self.get_image_writer(array_name, c, array_info) for c in self.classes}

    def get_image_writer(self, array_name: str, label: str, array_info: ArrayInfo) -> ImageWriter:
        """Return what writes one class of a target array."""
        spec = ArraySpec.of(array_info, self.axis_order)
        parts = [self.target_path.rstrip("/"), *([array_name] if len(self.target_arrays) > 1 else []), label]
        return ImageWriter(
            "/".join(parts),
            label,
            spec.scale,
            self.target_bounds[array_name],
            spec.shape,
            axis_order=spec.order,
            overwrite=self.overwrite,
            fill_value=self.empty_value,
        )

    # -- tiles --------------------------------------------------------------------------------------

    @cached_property
    def tiles(self) -> Tiled:
        """Where the tiles lie."""
        name = min(self._specs, key=lambda each: float(np.prod(self._specs[each].patch.size)))
        spec = self._specs[name]
        return Tiled([bounds_grid(self.target_bounds[name], spec)], spec.patch)

    @property
    def _specs(self) -> dict[str, ArraySpec]:
        return {name: ArraySpec.of(info, self.axis_order) for name, info in self.target_arrays.items()}

    @property
    def _grid(self) -> Grid:
        return self.tiles.grids[0]

    def __len__(self) -> int:
        return len(self.tiles)

    @property
    def size(self) -> int:
        """Number of tiles."""
        return len(self)

    @property
    def writer_indices(self) -> list[int]:
        """Indices of tiles that cover the bounds: all of them."""
        return list(range(len(self)))

    def get_indices(self, chunk_size: Mapping[str, float]) -> list[int]:  # noqa: ARG002
        """Return the indices of all tiles, which have one size."""
        return self.writer_indices

    @property
    def blocks(self) -> CellMapSubset:
        """All tiles, as a dataset."""
        return CellMapSubset(self, self.writer_indices)

    def get_center(self, idx: int) -> dict[str, float]:
        """Return the centre of a tile in nm by axis."""
        return self._by_axis(self.tiles.at(0, self._number(idx)).center)

    @property
    def smallest_voxel_sizes(self) -> dict[str, float]:
        """nm of a voxel of a tile, by axis."""
        return self._by_axis(self._grid.spacing)

    @property
    def smallest_target_array(self) -> dict[str, float]:
        """nm of a tile, by axis."""
        return self._by_axis(self.tiles.spec.size)

    @property
    def bounding_box(self) -> dict[str, list[float]]:
        """The bounds of the tiles in nm by axis."""
        return {
            axis: [low, low + n]
            for axis, low, n in zip(AXES, self._grid.origin, self._grid.box.size, strict=True)
        }

    @property
    def bounding_box_shape(self) -> dict[str, int]:
        """Voxels within the bounds, by axis."""
        return self._by_axis(self._grid.shape)

    @property
    def sampling_box(self) -> dict[str, list[float]]:
        """From the centre of the first tile to that of the last, in nm by axis."""
        first, last = self.get_center(0), self.get_center(-1)
        return {axis: [first[axis], last[axis]] for axis in first}

    @property
    def center(self) -> dict[str, float]:
        """The middle of the bounds in nm by axis."""
        return {axis: (low + high) / 2 for axis, (low, high) in self.bounding_box.items()}

    def _by_axis(self, zyx: Sequence[Any]) -> dict[str, Any]:
        return {axis: zyx[AXES.index(axis)] for axis in self.axis_order if axis in AXES}

    def _number(self, idx: int) -> int:
        number, length = int(idx), len(self)
        if not -length <= number < length:
            raise IndexError(f"tile {number} of {length}: {self.raw_path}")
        return number % length

    # -- reading ------------------------------------------------------------------------------------

    def __getitem__(self, idx: int) -> Item:
        """Return the inputs around a tile, ``[1, z, y, x]``, and its ``idx``. Outside of the image is 0."""
        return self.begin(idx).wait().item()

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several tiles, whose reads are in flight at once."""
        return [pending.wait().item() for pending in [self.begin(idx) for idx in indices]]

    def begin(self, idx: int, rng: np.random.Generator | None = None) -> PendingItem:  # noqa: ARG002
        """Begin to read a tile; returns at once."""
        number = self._number(idx)
        center = self.tiles.at(0, number).center
        inputs = {
            name: (image, image.begin(center, AS_IT_LIES)) for name, image in self.input_sources.items()
        }
        return PendingItem(inputs, {}, {"idx": torch.tensor(number)}, self._device)

    def loader(self, batch_size: int = 1, num_workers: int = 0, **kwargs: Any) -> CellMapDataLoader:
        """Return a loader of all tiles, in order; a batch's ``idx`` says where predictions go."""
        options = {"device": self._device, **kwargs, "is_train": False}
        return CellMapDataLoader(self, batch_size=batch_size, num_workers=num_workers, **options)

    # -- writing ------------------------------------------------------------------------------------

    def __setitem__(self, idx: int | Sequence[int] | torch.Tensor, arrays: Mapping[str, Any]) -> None:
        """Write predictions.

        Parameters
        ----------
        idx
            A tile, or those of a batch.
        arrays
            By target array: (C, z, y, x), or (B, C, z, y, x); or these by class without C; or one value.
            By class: (z, y, x) or (B, z, y, x). Inputs, ``idx`` and ``__metadata__`` are passed over.

        Raises
        ------
        SchemaError
            If an array has another shape, or a name that is none of these.
        SaveError
            If it could not be written.
        """
        numbers = [self._number(n) for n in np.atleast_1d(np.asarray(idx)).tolist()]
        for name, value in arrays.items():
            if name in self.target_arrays:
                self._write(name, numbers, value)
            elif name in self.classes:
                self._write(next(iter(self.target_arrays)), numbers, {name: value})
            elif name not in (*self.input_arrays, "idx", "__metadata__"):
                known = [*self.target_arrays, *self.classes]
                raise SchemaError(
                    f"no target array {name!r} to write. There are: {', '.join(known)}."
                    f"{did_you_mean(name, known)}"
                )

    def _write(self, array: str, numbers: Sequence[int], value: Any) -> None:
        by_class = value if isinstance(value, Mapping) else dict.fromkeys(self.classes, value)
        shape = list(self._specs[array].shape.values())
        for name, given in by_class.items():
            planes = given
            if not isinstance(value, Mapping) and np.ndim(given):
                planes = _shaped(given, [len(numbers), len(self.model_classes), *shape], array)
                planes = planes[:, self._channel(name)]
            elif np.ndim(given):
                planes = _shaped(given, [len(numbers), *shape], name)
            writer = self.target_array_writers[array][name]
            for place, number in enumerate(numbers):
                writer[self.get_center(number)] = planes[place] if np.ndim(given) else given

    def _channel(self, name: str) -> int:
        if name not in self.model_classes:
            raise SchemaError(f"class {name!r} to write: model_classes are {', '.join(self.model_classes)}")
        return self.model_classes.index(name)

    # -- settings -----------------------------------------------------------------------------------

    def set_raw_value_transforms(self, transforms: Transform | None) -> None:
        """Choose what is done to raw patches."""
        for image in self.input_sources.values():
            image.value_transform = transforms

    @property
    def device(self) -> torch.device:
        """Where inputs are put."""
        return self._device

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapDatasetWriter:  # noqa: ARG002
        """Choose where inputs are put."""
        self._device = torch.device(device)
        return self

    def verify(self) -> bool:
        """Return whether there is a tile."""
        return len(self) > 0


def _bounds_around(box: Box, spacing: Point) -> Bounds:
    """Return the bounds whose voxels cover a box from its edge on, as few as do."""
    around = {}
    for axis, low, size, step in zip(AXES, box.low, box.size, spacing, strict=True):
        first = low + step / 2
        around[axis] = [first, first + max(1, math.ceil(size / step - _SLACK)) * step]
    return around


def _shaped(given: Any, shape: list[int], name: str) -> torch.Tensor:
    """Return an array with all its axes: those of one may be missing."""
    tensor = given.detach().cpu() if isinstance(given, torch.Tensor) else torch.as_tensor(np.asarray(given))
    if [n for n in tensor.shape if n > 1] != [n for n in shape if n > 1]:
        raise SchemaError(f"{name!r} of shape {tuple(tensor.shape)}: expected {tuple(shape)}")
    return tensor.reshape(shape)
