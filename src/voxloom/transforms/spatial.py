"""Resizing, and the way back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field as Setting

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field, Kind, Sample
from voxloom.transforms.axes import yx_back, yx_last
from voxloom.transforms.transform import Transform, chosen_fields, replaced

__all__ = ["Interpolation", "Resize", "resample"]

Interpolation = Literal["area", "linear", "cubic", "nearest"]
Float32 = npt.NDArray[np.float32]
Extent = Annotated[int, Setting(gt=0)]


class Resize(Transform):
    """Bring images and masks to one height and width.

    Rows and columns are the y and x of a field's axes, wherever they stand. Images become float32;
    masks take the nearest pixel and keep their type. Shape and spacing in the schema are changed along.

    Raises
    ------
    SchemaError
        If a field has no y and x.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.ones((1, 20, 10), np.uint8)})
    >>> resize = Resize(size=(8, 8), fit="pad")
    >>> small = resize(sample, np.random.default_rng())["image"]
    >>> small[0, 0].tolist(), resize.invert(small, (20, 10)).shape
    ([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0], (1, 20, 10))
    """

    name: Literal["resize"] = "resize"
    """Name in the table of transforms."""
    size: tuple[Extent, Extent]
    """Height and width afterwards, in pixels."""
    fit: Literal["stretch", "pad"] = "stretch"
    """Change the aspect ratio, or keep it, centre the image and pad with zeros."""
    interpolation: Interpolation = "area"
    """How images are resampled, see `resample`; masks take the nearest pixel."""
    fields: tuple[str, ...] | None = None
    """Fields to resize; None for all images and masks."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with resized images and masks."""
        names = chosen_fields(sample, ("image", "mask"), self.fields)
        fields = [sample.schema[name] for name in names]
        given = {f.name: yx_last(sample[f.name], f.axes, name=f.name) for f in fields}
        resized = {f.name: yx_back(self._resized(given[f.name], f.kind), f.axes) for f in fields}
        result = replaced(sample, resized)
        fixed = (self._resized_field(result.schema[n], given[n].shape, result[n].shape) for n in names)
        return Sample(result.key, result.schema.replace(*fixed), result)

    def invert(
        self, array: Array, original_hw: tuple[int, int], *, kind: Kind = "image", axes: str | None = None
    ) -> Array:
        """Return an array of the original height and width, without the padding.

        Parameters
        ----------
        array
            Of the transform's `size`.
        original_hw
            Height and width before the transform, in pixels.
        kind
            A mask takes the nearest pixel and keeps its type.
        axes
            One letter an axis of `array`, for instance ``yxc``; None where y and x stand last.

        Raises
        ------
        SchemaError
            If the array is not of the transform's size.
        """
        given = array if axes is None else yx_last(array, axes, name="array")
        if given.shape[-2:] != self.size:
            raise SchemaError(
                f"an array of shape {array.shape} to bring back: expected {self.size} "
                f"in {'the last two axes' if axes is None else f'y and x of {axes!r}'}"
            )
        original = self._resampled(given[(..., *self._inside(original_hw))], original_hw, kind)
        return original if axes is None else yx_back(original, axes)

    def _resized(self, array: Array, kind: Kind) -> Array:
        rows, columns = self._inside((array.shape[-2], array.shape[-1]))
        extent = (rows.stop - rows.start, columns.stop - columns.start)
        content = self._resampled(array, extent, kind)
        if extent == self.size:
            return content
        padded = np.zeros((*array.shape[:-2], *self.size), content.dtype)
        padded[..., rows, columns] = content
        return padded

    def _inside(self, original_hw: tuple[int, int]) -> tuple[slice, slice]:
        """Return the rows and columns of the result that hold the image."""
        if self.fit == "stretch":
            return slice(0, self.size[0]), slice(0, self.size[1])
        scale = min(new / old for new, old in zip(self.size, original_hw, strict=True))
        extent = [max(1, round(old * scale)) for old in original_hw]
        starts = [(new - used) // 2 for new, used in zip(self.size, extent, strict=True)]
        return slice(starts[0], starts[0] + extent[0]), slice(starts[1], starts[1] + extent[1])

    def _resampled(self, array: Array, size: tuple[int, int], kind: Kind) -> Array:
        return _nearest(array, size) if kind == "mask" else resample(array, size, self.interpolation)

    def _resized_field(self, field: Field, before: tuple[int, ...], after: tuple[int, ...]) -> Field:
        """Return a field with the shape `after`; `before` is the one it had, with y and x last."""
        update: dict[str, Any] = {"shape": after}
        if field.spacing is not None:
            height, width = before[-2:]
            rows, columns = self._inside((height, width))
            ratios = {"y": height / (rows.stop - rows.start), "x": width / (columns.stop - columns.start)}
            update["spacing"] = tuple(
                old * ratios.get(axis, 1.0) for axis, old in zip(_spatial(field), field.spacing, strict=True)
            )
        return field.model_copy(update=update)


def _spatial(field: Field) -> list[str]:
    """Return the letters of the axes that a spacing is for."""
    spatial = [axis for axis in field.axes if axis in "zyx"]
    if field.spacing is not None and len(field.spacing) != len(spatial):
        raise SchemaError(
            f"field {field.name!r} has axes {field.axes!r} and the spacing {field.spacing}: expected one "
            f"number for each of {', '.join(spatial)}"
        )
    return spatial


def resample(array: Array, size: tuple[int, int], interpolation: Interpolation = "area") -> Float32:
    """Return an image with another height and width; nothing is done if it has them already.

    Parameters
    ----------
    array
        Axes cyx, or any others before yx.
    size
        Height and width afterwards, in pixels.
    interpolation
        "area" takes the mean of the pixels that fall together, and along axes that grow it is linear;
        "linear" and "cubic" smooth before they shrink (no aliasing), and cubic may overshoot;
        "nearest" takes the pixel whose centre is nearest.

    Returns
    -------
    Array
        float32, axes as before.

    Examples
    --------
    >>> resample(np.arange(8).reshape(1, 2, 4), (1, 2)).tolist()
    [[[2.5, 4.5]]]
    """
    if array.shape[-2:] == size:
        return array.astype(np.float32, copy=False)
    if interpolation == "nearest":
        return _nearest(array, size).astype(np.float32, copy=False)
    pixels = torch.from_numpy(np.require(array, np.float32, ["C", "W"])).reshape(1, -1, *array.shape[-2:])
    result = _area(pixels, size) if interpolation == "area" else _smooth(pixels, size, interpolation)
    resampled: Float32 = result.numpy().reshape(*array.shape[:-2], *size)
    return resampled


def _area(pixels_BCHW: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    old = pixels_BCHW.shape[-2:]
    shrunk = (min(old[0], size[0]), min(old[1], size[1]))
    if shrunk != old:
        pixels_BCHW = F.interpolate(pixels_BCHW, size=shrunk, mode="area")
    if shrunk != size:  # "area" would repeat pixels where it enlarges
        pixels_BCHW = F.interpolate(pixels_BCHW, size=size, mode="bilinear", align_corners=False)
    return pixels_BCHW


def _smooth(pixels_BCHW: torch.Tensor, size: tuple[int, int], interpolation: Interpolation) -> torch.Tensor:
    mode = "bilinear" if interpolation == "linear" else "bicubic"
    return F.interpolate(pixels_BCHW, size=size, mode=mode, align_corners=False, antialias=True)


def _nearest(array: Array, size: tuple[int, int]) -> Array:
    """Take the pixel whose centre is nearest, of any type (torch calls it nearest-exact)."""
    if array.shape[-2:] == size:
        return array
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(array.shape[-2:], size, strict=True)
    )
    return array[..., rows[:, np.newaxis], columns]
