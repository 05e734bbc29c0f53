"""One plane of any array: what can be looked at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field

__all__ = ["Plane", "gradient_of", "grey_plane", "plane_of", "resized"]

Plane = npt.NDArray[np.float32]


def plane_of(array: Array, field: Field) -> Array:
    """Return (H, W), or (H, W, C) where there are channels: the middle along all other axes.

    Raises
    ------
    SchemaError
        If there are no pixels along y and x.

    Examples
    --------
    >>> plane_of(np.zeros((1, 5, 4, 3)), Field(name="v", axes="czyx")).shape
    (4, 3, 1)
    """
    axes = field.axes if len(field.axes) == array.ndim else "czyx"[-array.ndim :]
    if "y" not in axes or "x" not in axes or not array.size:
        raise SchemaError(
            f"field {field.name!r} with axes {axes!r} and shape {array.shape} cannot be drawn: "
            "expected pixels along y and x."
        )
    for axis in [axis for axis in axes if axis not in "yxc"]:
        place = axes.index(axis)
        array, axes = array.take(array.shape[place] // 2, axis=place), axes.replace(axis, "")
    order = "yxc" if "c" in axes else "yx"
    return array.transpose([axes.index(axis) for axis in order])


def grey_plane(array: Array, field: Field) -> Plane | None:
    """Return (H, W) float32, the mean of the channels, NaN as 0; None for what has no pixels.

    Examples
    --------
    >>> grey_plane(np.ones((2, 3, 3)), Field(name="photo", axes="yxc")).shape
    (2, 3)
    """
    try:
        plane = plane_of(array, field)
    except SchemaError:
        return None
    if plane.dtype.kind not in "biuf":
        return None
    values = plane.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3].mean(axis=-1) if values.shape[-1] in (3, 4) else values[..., 0]
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def resized(plane: Plane, size: tuple[int, int]) -> Plane:
    """Return a plane stretched to (height, width); each new pixel is the mean of what it covers.

    Examples
    --------
    >>> resized(np.arange(16, dtype="float32").reshape(4, 4), (2, 2)).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    how = Image.Resampling.BOX if min(image.size) >= min(size) else Image.Resampling.BILINEAR
    return np.asarray(image.resize(size[::-1], how, reducing_gap=4.0), np.float32)


def gradient_of(plane: Plane) -> npt.NDArray[np.float64]:
    """Return the magnitudes of the gradient (H, W), of mean 0 and length 1; zeros for a flat plane.

    Examples
    --------
    >>> round(float((gradient_of(np.eye(8, dtype="float32")) ** 2).sum()), 6)
    1.0
    """
    y, x = np.gradient(plane.astype(np.float64))
    steep = np.hypot(y, x)
    steep -= steep.mean()
    length = np.linalg.norm(steep)
    unit: npt.NDArray[np.float64] = steep / length if length > 0 else steep
    return unit
