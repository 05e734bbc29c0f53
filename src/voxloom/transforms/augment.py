"""Random changes of geometry: one sampling grid moves all fields of a sample alike.

Grids are in torch's order (x, y) and reach from -1 to 1, the outer edges of the outer pixels; this
file is the one place where y, x turns into x, y.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field as Setting

from voxloom.errors import SchemaError
from voxloom.sample import Array, Kind, Sample
from voxloom.transforms.axes import yx_back, yx_last
from voxloom.transforms.transform import Transform, chosen_fields, replaced

__all__ = ["Augment", "sampling_grid", "warp"]

Probability = Annotated[float, Setting(ge=0, le=1)]


class Augment(Transform):
    """Flip, turn, rotate, shift, zoom and bend images and masks at random, all fields alike.

    Flips and right angles are exact copies. The others together are one interpolation (linear;
    masks take the nearest pixel and keep their values), and with a zero border a background of 0
    stays exactly 0. Images become float32. Right angles other than 180 degrees would change the
    shape of an image that is not square: such images are only turned by 180 degrees. Rows and
    columns are the y and x of a field's axes, wherever they stand.

    Raises
    ------
    SchemaError
        If the fields of a sample differ in height or width: resize them first. If one has no y and x.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> schema = Schema([Field(name="target"), Field(name="condition")])
    >>> pair = Sample("a", schema, {"target": x, "condition": x})
    >>> moved = Augment()(pair, np.random.default_rng(0))
    >>> bool((moved["target"] == moved["condition"]).all())
    True
    """

    random = True
    name: Literal["augment"] = "augment"
    """Name in the table of transforms."""
    flip_y: Probability = 0.5
    """Probability of exchanging top and bottom."""
    flip_x: Probability = 0.5
    """Probability of exchanging left and right."""
    right_angle: Probability = 0.5
    """Probability of a turn by 90, 180 or 270 degrees."""
    affine: Probability = 0.5
    """Probability of a small rotation, shift and zoom together."""
    rotation_degrees: Annotated[float, Setting(ge=0, le=180)] = 15.0
    """Rotations are uniform in plus or minus this."""
    shift: Annotated[float, Setting(ge=0, le=1)] = 0.1
    """Shifts are uniform in plus or minus this share of the height and of the width."""
    scale: Annotated[float, Setting(ge=0, lt=1)] = 0.1
    """Zooms are uniform in 1 plus or minus this."""
    elastic: Probability = 0.3
    """Probability of a smooth random displacement."""
    elastic_shift: Annotated[float, Setting(ge=0, le=1)] = 0.006
    """Size of the displacement (standard deviation at the points), as a share of the shorter side."""
    elastic_points: Annotated[int, Setting(ge=2)] = 16
    """Independent displacements along each side; it is smooth between them."""
    border: Literal["zero", "mirror"] = "zero"
    """What is seen beyond the edge."""
    background: float = 0.0
    """Value of the background, which a zero border continues; in masks it is always 0."""
    fields: tuple[str, ...] | None = None
    """Fields to move; None for all images, masks and latents. The others stay behind."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the sample with all spatial fields moved alike."""
        names = chosen_fields(sample, ("image", "mask", "latent"), self.fields)
        axes = {name: sample.schema[name].axes for name in names}
        given = {name: yx_last(sample[name], axes[name], name=name) for name in names}
        sizes = {name: array.shape[-2:] for name, array in given.items()}
        if len(set(sizes.values())) > 1:
            raise SchemaError(f"sample {sample.key!r}: fields of different sizes {sizes}. Resize them first.")
        if not names:
            return sample
        size = sizes[names[0]]
        flips, turns = self._pose(rng, is_square=size[0] == size[1])
        grid = self._grid(rng, size)
        kinds = {name: sample.schema[name].kind for name in names}
        posed = {n: np.rot90(np.flip(given[n], flips), turns, (-2, -1)) for n in names}
        return replaced(sample, {n: yx_back(self._warped(posed[n], grid, kinds[n]), axes[n]) for n in names})

    def told(self, rng: np.random.Generator, size: tuple[int, int]) -> str:
        """Say in a few lines what a call with this generator does to a sample of this (height, width).

        Examples
        --------
        >>> flipping = Augment(flip_y=1, flip_x=0, right_angle=0, affine=0, elastic=0)
        >>> flipping.told(np.random.default_rng(0), (4, 4))
        'flip y'
        """
        flips, turns = self._pose(rng, is_square=size[0] == size[1])
        is_affine, is_elastic, angle, zoom, down, right = self._moves(rng)
        words = [f"flip {'y' if axis == -2 else 'x'}" for axis in flips]
        words += [f"{90 * turns}° turn"] if turns else []
        words += ["bent"] if is_elastic else []
        lines = [", ".join(words)] if words else []
        if is_affine:
            lines.append(f"turn {angle * self.rotation_degrees:.1f}°, zoom {1 + zoom * self.scale:.2f}")
            lines.append(
                f"shift y {down * self.shift * size[0]:.1f}, x {right * self.shift * size[1]:.1f} px"
            )
        return "\n".join(lines) or "as it is"

    def _pose(self, rng: np.random.Generator, *, is_square: bool) -> tuple[tuple[int, ...], int]:
        """Draw the axes to flip and the number of quarter turns."""
        y, x, turn = rng.random(3) < (self.flip_y, self.flip_x, self.right_angle)
        turns = int(rng.integers(1, 4)) if is_square else 2
        return (-2,) * bool(y) + (-1,) * bool(x), turns if turn else 0

    def _grid(self, rng: np.random.Generator, size: tuple[int, ...]) -> torch.Tensor | None:
        """Draw everything that needs interpolation; None if that is nothing this time."""
        height, width = size
        is_affine, is_elastic, angle, zoom, down, right = self._moves(rng)
        points = rng.standard_normal((1, 2, self.elastic_points, self.elastic_points), np.float32)
        if not (is_affine or is_elastic):
            return None
        return sampling_grid(
            (height, width),
            rotation_degrees=angle * self.rotation_degrees,
            zoom=1 + zoom * self.scale,
            shift_px=(down * self.shift * height, right * self.shift * width),
            displacement_px=_smooth(points, (height, width)) * (self.elastic_shift * min(size))
            if is_elastic
            else None,
        )

    def _moves(self, rng: np.random.Generator) -> tuple[bool, bool, float, float, float, float]:
        """Draw whether to move and to bend, and by how much to turn, zoom and shift: shares in [-1, 1]."""
        is_affine, is_elastic = rng.random(2) < (self.affine, self.elastic)
        angle, zoom, down, right = rng.uniform(-1, 1, 4) * is_affine
        return bool(is_affine), bool(is_elastic), float(angle), float(zoom), float(down), float(right)

    def _warped(self, array: Array, grid: torch.Tensor | None, kind: Kind) -> Array:
        if kind != "mask":
            array = array.astype(np.float32, copy=False)
        if grid is None:
            return np.ascontiguousarray(array)
        if kind == "mask":
            return _warped_mask(array, grid, self.border)
        moved = warp(_pixels(array) - self.background, grid, border=self.border) + self.background
        return moved.reshape(array.shape).numpy()


def _pixels(array: Array) -> torch.Tensor:
    """Return the array as (1, C, H, W), where C is whatever stands before y and x."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"])).reshape(1, -1, *array.shape[-2:])


def _warped_mask(array: Array, grid: torch.Tensor, border: Literal["zero", "mirror"]) -> Array:
    """Return a mask whose values are all exact: what float32 cannot hold is numbered and moved as numbers."""
    values = None
    if not _is_exact_in_float32(array):
        values, numbers = np.unique(array, return_inverse=True)
        array = numbers.reshape(array.shape).astype(np.int32) + 1  # 0 is what a zero border brings
    moved: Array = warp(_pixels(array), grid, "nearest", border=border).reshape(array.shape).numpy()
    return moved if values is None else np.concatenate([np.zeros(1, values.dtype), values])[moved]


def _is_exact_in_float32(array: Array) -> bool:
    if array.dtype.kind == "f" or array.dtype.itemsize <= 2 or not array.size:
        return array.dtype.itemsize <= 4
    return bool(array.min() >= -(2**24) and array.max() <= 2**24)


def sampling_grid(
    size: tuple[int, int],
    *,
    rotation_degrees: float = 0.0,
    zoom: float = 1.0,
    shift_px: tuple[float, float] = (0.0, 0.0),
    displacement_px: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return where each pixel of a moved image comes from, as `warp` takes it.

    Parameters
    ----------
    size
        Height and width in pixels.
    rotation_degrees
        Counter-clockwise, as one sees it, about the centre.
    zoom
        Above 1 things become larger.
    shift_px
        By how much things move down and to the right.
    displacement_px
        Tensor (2, height, width): added to the place, y and x, that each pixel comes from.

    Returns
    -------
    torch.Tensor
        float32, shape (1, height, width, 2), order (x, y).

    Examples
    --------
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> warp(x, sampling_grid((3, 3), shift_px=(1, 0)))[0, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    height, width = size
    # float64 where it costs nothing: along the axes alone
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2 - shift_px[0]
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2 - shift_px[1]
    angle = np.deg2rad(rotation_degrees)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    from_y = (cos * y * (2 / height)).float() + (sin * x * (2 / height)).float()
    from_x = (cos * x * (2 / width)).float() - (sin * y * (2 / width)).float()
    if displacement_px is not None:
        from_y += displacement_px[0] * (2 / height)
        from_x += displacement_px[1] * (2 / width)
    return torch.stack((from_x, from_y), dim=-1)[None]


def _smooth(points_1CHW: npt.NDArray[np.float32], size: tuple[int, int]) -> torch.Tensor:
    """Spread values at few points smoothly over a whole image."""
    return F.interpolate(torch.from_numpy(points_1CHW), size=size, mode="bicubic", align_corners=True)[0]


def warp(
    images_BCHW: torch.Tensor,
    grid_BHW2: torch.Tensor,
    mode: Literal["linear", "nearest"] = "linear",
    *,
    border: Literal["zero", "mirror"] = "zero",
) -> torch.Tensor:
    """Return images sampled at the places of a grid, on the device where they are.

    Parameters
    ----------
    images_BCHW
        Any type; computed in float32.
    grid_BHW2
        Places (x, y) in [-1, 1]; one grid for all images, or one for each.
    mode
        "nearest" keeps the values of masks.
    border
        What is seen beyond the edge: 0, or the image mirrored.

    Returns
    -------
    torch.Tensor
        Shape (B, C, H, W) with height and width of the grid; the type of the images.

    Examples
    --------
    >>> mask = torch.eye(4, dtype=torch.uint8).reshape(1, 1, 4, 4)
    >>> bool((warp(mask, sampling_grid((4, 4)), "nearest") == mask).all())
    True
    """
    grid = grid_BHW2.to(images_BCHW.device, torch.float32).expand(len(images_BCHW), -1, -1, -1)
    moved = F.grid_sample(
        images_BCHW.float(),
        grid,
        mode="bilinear" if mode == "linear" else "nearest",
        padding_mode="zeros" if border == "zero" else "reflection",
        align_corners=False,
    )
    return moved.to(images_BCHW.dtype)
