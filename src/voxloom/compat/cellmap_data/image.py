"""One image of a dataset: patches of a volume at one scale, as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from voxloom.compat.cellmap_data.arrays import ArraySpec, Center, point_of
from voxloom.compat.cellmap_data.base_image import CellMapImageBase, PendingImage
from voxloom.compat.cellmap_data.poses import SpatialTransforms, pose_of
from voxloom.compat.cellmap_data.unused import report_unused
from voxloom.geometry import AXES, Box, Point, Pose
from voxloom.sample import Array
from voxloom.volumes.class_cells import ClassIndex
from voxloom.volumes.classes import Classes
from voxloom.volumes.index import class_index
from voxloom.volumes.labels import Annotation, Labels
from voxloom.volumes.patch import PendingPatch, Reading, begin_patch
from voxloom.volumes.volume import Volume

__all__ = ["CellMapImage"]

Interval = list[float]
AS_IT_LIES = Pose()


class CellMapImage(CellMapImageBase):
    """Patches of one multiscale image.

    Parameters
    ----------
    path
        Of the image's group.
    target_class
        The class that it holds; any name for raw data.
    target_scale, target_voxel_shape
        Of the patches: nm, and voxels.
    pad
        Whether a patch may stand out of the image.
    pad_value
        What it finds there. NaN makes patches of integers float32, or float64 where these have 32
        bits or more.
    interpolation
        "nearest", "linear" or "cubic".
    axis_order
        Of shape, scale and tensors.
    value_transform
        Called with each patch.
    context
        Has no use any more.
    device
        Where tensors are put; None for the CPU.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> path = write_volume(mkdtemp() + "/raw", phantom((32, 32, 32)))
    >>> image = CellMapImage(path, "raw", (8, 8, 8), (16, 16, 16))
    >>> image[image.center].shape, image.bounding_box["x"], image.sampling_box["x"]
    (torch.Size([16, 16, 16]), [0.0, 248.0], [60.0, 188.0])
    """

    def __init__(
        self,
        path: str,
        target_class: str,
        target_scale: Sequence[float],
        target_voxel_shape: Sequence[int],
        pad: bool = False,
        pad_value: float = math.nan,
        interpolation: str = "nearest",
        axis_order: str | Sequence[str] = AXES,
        value_transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        context: Any = None,
        device: str | torch.device | None = None,
    ) -> None:
        report_unused("CellMapImage", context=context)
        self.path = str(path)
        self.label_class = self.target_class = target_class
        self.spec = ArraySpec.of({"shape": target_voxel_shape, "scale": target_scale}, axis_order)
        self.axes = self.spec.order
        self.scale, self.output_shape = dict(self.spec.scale), dict(self.spec.shape)
        self.output_size = self.spec.size
        self.pad, self.pad_value, self.interpolation = pad, pad_value, interpolation
        self.value_transform = value_transform
        self.device = torch.device(device or "cpu")
        self._pose = AS_IT_LIES
        self._annotation: Annotation | None = None

    @classmethod
    def of_annotation(
        cls, annotation: Annotation, name: str, spec: ArraySpec, **options: Any
    ) -> CellMapImage:
        """Return the image of one class of an annotation that is open already."""
        scale, shape = [spec.scale[a] for a in spec.order], [spec.shape[a] for a in spec.order]
        image = cls(annotation.volume.path, name, scale, shape, axis_order=spec.order, **options)
        image._annotation = annotation
        return image

    @cached_property
    def volume(self) -> Volume:
        """What is read."""
        return self._annotation.volume if self._annotation else Volume.open(self.path, unit="nanometer")

    @property
    def shape(self) -> dict[str, int]:
        """Voxels of the finest level, by axis."""
        return self._ordered(self.volume.levels[0].grid.shape)

    @property
    def scale_level(self) -> str:
        """Path of the level that is read."""
        return self.volume.levels[self._level].path

    @property
    def array_path(self) -> str:
        """Path of the array that is read."""
        return f"{self.path.rstrip('/')}/{self.scale_level}"

    @property
    def array(self) -> Any:
        """The array that is read: TensorStore's, (c, z, y, x)."""
        return self.volume.array(self._level)

    def find_level(self, target_scale: Mapping[str, float]) -> str:
        """Return the path of the coarsest level that is at least as fine as asked."""
        return self.volume.levels[self.volume.level_for(point_of(target_scale))].path

    @property
    def translation(self) -> dict[str, float]:
        """Centre of the first voxel that is read, in nm by axis."""
        return self._ordered(self.volume.levels[self._level].grid.origin)

    @property
    def full_coords(self) -> dict[str, Array]:
        """Centres of the voxels that are read, in nm by axis."""
        grid = self.volume.levels[self._level].grid
        axes = zip(AXES, grid.origin, grid.spacing, grid.shape, strict=True)
        return {axis: first + step * np.arange(n) for axis, first, step, n in axes}

    @property
    def bounding_box(self) -> dict[str, Interval]:
        """From the centre of the first voxel to that of the last, in nm by axis."""
        grid = self.volume.levels[0].grid
        last = grid.world([n - 1 for n in grid.shape])
        return self._ordered([[low, high] for low, high in zip(grid.origin, last, strict=True)])

    @property
    def sampling_box(self) -> dict[str, Interval]:
        """Where the centre of a patch may lie so that the patch lies within the image, in nm by axis.

        Along an axis where the patch is larger, its middle alone.
        """
        box = self.box.grown([-s / 2 for s in self.spec.patch.size])
        return self._ordered([[low, high] for low, high in zip(box.low, box.high, strict=True)])

    @property
    def box(self) -> Box:
        """What the voxels cover."""
        return self.volume.bounding_box

    @property
    def center(self) -> dict[str, float]:
        """The middle, in nm by axis."""
        return self._ordered(self.box.center)

    def get_center(self, idx: int) -> dict[str, float]:
        """Return the centre of patch `idx`, counted in voxels of the target over the sampling box."""
        counts = [
            max(1, math.floor((h - w) / self.scale[a] + 1e-6) + 1) for a, (w, h) in self.sampling_box.items()
        ]
        places = np.unravel_index(idx, counts)
        lows = zip(self.sampling_box.items(), places, strict=True)
        return {axis: low + float(place) * self.scale[axis] for (axis, (low, _)), place in lows}

    @cached_property
    def class_counts(self) -> float:
        """nm³ of the class."""
        return self._index.positive(self.label_class)

    @cached_property
    def bg_count(self) -> float:
        """nm³ that are known to be something else."""
        return self._index.known(self.label_class) - self.class_counts

    @cached_property
    def total_voxels(self) -> int:
        """How many voxels of the target the image has."""
        return math.prod(round(n / s) for n, s in zip(self.box.size, self.spec.patch.spacing, strict=True))

    @property
    def _index(self) -> ClassIndex:
        annotation = self._annotation or Annotation(self.volume, (self.label_class,))
        return class_index(Labels((annotation,)), Classes(names=(self.label_class,)))

    def __getitem__(self, center: Center | Mapping[str, Sequence[float]]) -> torch.Tensor:
        """Return the patch around a centre.

        Parameters
        ----------
        center
            nm by axis; or the coordinates along each axis, evenly spaced.

        Returns
        -------
        torch.Tensor
            With the shape that was asked for, less the axes of one voxel; of a volume with channels
            these come first.

        Raises
        ------
        VolumeReadError
            If voxels cannot be read, or the patch stands out of the image and `pad` is not set.
        """
        if not all(np.ndim(value) == 0 for value in center.values()):
            return self._at(center)[{axis: _middle(values) for axis, values in center.items()}]
        return self.transformed(self.begin(point_of(center), self._pose).values())

    def transformed(self, values: torch.Tensor) -> torch.Tensor:
        """Return values after the transform, on the device."""
        if self.value_transform is not None:
            values = self.value_transform(values)
        return values.to(self.device)

    def begin(self, center: Point, pose: Pose) -> PendingVoxels:
        """Begin to read a patch; returns at once."""
        is_refused = not self.pad and pose.is_identity
        fill = self.pad_value if self._holds(self.pad_value) else 0
        how = Reading(self.interpolation, "refuse" if is_refused else "pad", fill)  # type: ignore[arg-type]
        return PendingVoxels(self, begin_patch(self.volume, self.spec.patch, center, pose=pose, how=how))

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapImage:  # noqa: ARG002
        """Choose where tensors are put."""
        self.device = torch.device(device)
        return self

    def set_spatial_transforms(self, transforms: SpatialTransforms | Pose | None) -> None:
        """Choose how patches lie from now on: axes that are mirrored, an angle for each axis."""
        self._pose = pose_of(transforms)

    @property
    def _level(self) -> int:
        return self.volume.level_for(self.spec.patch.spacing)

    def _ordered(self, zyx: Sequence[Any]) -> dict[str, Any]:
        return {axis: zyx[AXES.index(axis)] for axis in self.spec.order}

    def _holds(self, value: float) -> bool:
        dtype = self.volume.dtype
        if dtype.kind not in "iu":
            return dtype.kind != "b" or value in (0, 1)
        return float(value).is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max

    def _at(self, coordinates: Mapping[str, Any]) -> CellMapImage:
        """Return the same image, read at other voxels."""
        values = [np.atleast_1d(coordinates[axis]) for axis in self.spec.order]
        scale = [_step(v, self.scale[axis]) for v, axis in zip(values, self.spec.order, strict=True)]
        shape = [len(v) for v in values]
        options = {"pad": self.pad, "pad_value": self.pad_value, "interpolation": self.interpolation}
        other = CellMapImage(
            self.path,
            self.label_class,
            scale,
            shape,
            axis_order=self.spec.order,
            value_transform=self.value_transform,
            device=self.device,
            **options,  # type: ignore[arg-type]
        )
        other._annotation, other._pose = self._annotation, self._pose
        return other


@dataclass(frozen=True)
class PendingVoxels(PendingImage):
    """A patch of an image whose voxels are on their way."""

    image: CellMapImage
    patch: PendingPatch

    def values(self) -> torch.Tensor:
        """Wait for the voxels and return them; `pad_value` where there are none.

        Voxels of a class are numbers that can be NaN, whatever stands for unknown; others are as they
        are stored, where their type holds `pad_value`.
        """
        image = self.image
        voxels = self.patch.result()
        if image._annotation is not None:
            voxels = _of_class(voxels, image._annotation, image.label_class)
        if image._annotation is None and (not image.pad or image._holds(image.pad_value)):
            return torch.from_numpy(image.spec.ordered(voxels))
        inside = self.patch.inside()
        floats = voxels.astype(np.float64 if voxels.dtype.itemsize > 2 else np.float32)
        if inside is not None:
            floats[:, ~inside.astype(bool)] = image.pad_value
        return torch.from_numpy(image.spec.ordered(floats))


def _of_class(voxels: Array, annotation: Annotation, name: str) -> Array:
    """Return what a value says about one class: itself where the volume holds no other, else 0 or 1."""
    if annotation.is_bitmask:
        return (voxels >> annotation.names.index(name) & 1).astype(np.uint8)
    if annotation.table is None:
        return voxels
    ids = [value for value, names in annotation.table.items() if name in names]
    return np.isin(voxels, np.asarray(ids, voxels.dtype)).astype(np.uint8)


def _middle(values: Any) -> float:
    several = np.atleast_1d(values)
    return float(several[0] + several[-1]) / 2


def _step(values: Array, default: float) -> float:
    return float(values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else default
