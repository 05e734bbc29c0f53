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
from voxloom.transforms.transform import Transform, chosen_fields, replaced

__all__ = ["Interpolation", "Resize", "resample"]

Interpolation = Literal["area", "linear", "cubic", "nearest"]
Float32 = npt.NDArray[np.float32]
Extent = Annotated[int, Setting(gt=0)]


class Resize(Transform):
    """Bring images and masks to one height and width.

    Images become float32; masks take the nearest pixel and keep their type. A spacing in the schema
    is changed along.

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
        result = replaced(sample, {n: self._resized(sample[n], sample.schema[n].kind) for n in names})
        fixed = [self._resized_field(result.schema[n], sample[n], result[n]) for n in names]
        return Sample(result.key, result.schema.replace(*fixed), result)

    def invert(self, array: Array, original_hw: tuple[int, int], *, kind: Kind = "image") -> Array:
        """Return an array of the original height and width, without the padding.

        Parameters
        ----------
        array
            Axes cyx (or any others before yx), of the transform's `size`.
        original_hw
            Height and width before the transform, in pixels.
        kind
            A mask takes the nearest pixel and keeps its type.

        Raises
        ------
        SchemaError
            If the array is not of the transform's size.
        """
        if array.shape[-2:] != self.size:
            raise SchemaError(
                f"an array of shape {array.shape} to bring back: expected {self.size} in the last two axes"
            )
        inside = self._inside(original_hw)
        return self._resampled(array[(..., *inside)], original_hw, kind)

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

    def _resized_field(self, field: Field, before: Array, after: Array) -> Field:
        update: dict[str, Any] = {"shape": after.shape}
        if field.spacing is not None:
            rows, columns = self._inside((before.shape[-2], before.shape[-1]))
            ratios = (
                before.shape[-2] / (rows.stop - rows.start),
                before.shape[-1] / (columns.stop - columns.start),
            )
            y, x = (old * ratio for old, ratio in zip(field.spacing[-2:], ratios, strict=True))
            update["spacing"] = (*field.spacing[:-2], y, x)
        return field.model_copy(update=update)


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
