"""The older ways from image values to what a screen shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from voxloom.errors import SchemaError

__all__ = [
    "normalize_batch_for_display",
    "normalize_image_to_uint8",
    "visualize_2d_image",
    "visualize_one_slice_in_3d_image",
]

Image = npt.NDArray[Any] | torch.Tensor
Bytes = npt.NDArray[np.uint8]

LEAST_SHOWN = 1e-3
"""What comes out smaller is background."""
LEAST_MAXIMUM = 0.1
"""Images whose maximum is not above this are not brightened."""


def normalize_batch_for_display(tensor: torch.Tensor, low: float = 2, high: float = 98) -> torch.Tensor:
    """Stretch each image between two percentiles of its own non-zero pixels.

    Parameters
    ----------
    tensor
        Images (B, C, H, W), each channel for itself. Pixels of 0 are background and stay 0; so do
        NaN and infinite ones.
    low, high
        Percentiles that become 0 and 1.

    Returns
    -------
    torch.Tensor
        float32 (B, C, H, W) on the CPU, in [0, 1]; values under 1e-3 are 0.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, -1.0, 1.0, 3.0]]]])
    >>> normalize_batch_for_display(image, low=0, high=100)[0, 0, 0].tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    images = _array(tensor).astype(np.float64)
    shown = np.zeros(images.shape, np.float32)
    for place in np.ndindex(images.shape[:-2]):
        shown[place] = _stretched(images[place], low, high)
    return torch.from_numpy(shown)


def _stretched(image: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    is_foreground = np.isfinite(image) & (image != 0)
    if not is_foreground.any():
        return np.zeros_like(image)
    bottom, top = np.percentile(image[is_foreground], (low, high))
    share = np.clip((image - bottom) / (top - bottom + 1e-8), 0, 1)
    return np.where(is_foreground & (share >= LEAST_SHOWN), share, 0)


def normalize_image_to_uint8(image: Image) -> Bytes:
    """Return 8-bit values: from the minimum if that is negative, else from 0, to the maximum.

    An image whose maximum (less a negative minimum) is 0.1 or below is taken as it is, 1 being white.

    Parameters
    ----------
    image
        Of any shape and type; it is not changed.

    Examples
    --------
    >>> normalize_image_to_uint8(np.array([-1, 0, 3])).tolist()
    [0, 63, 255]
    """
    values = _array(image).astype(np.float64)
    values = values - min(0.0, float(values.min()))
    largest = float(values.max())
    if largest > LEAST_MAXIMUM:
        values = values / largest
    return (255 * values).astype(np.uint8)


def visualize_2d_image(image: Image) -> Bytes:
    """Return a grey image (H, W) as uint8 (H, W, 3).

    Examples
    --------
    >>> visualize_2d_image(torch.zeros(4, 6)).shape
    (4, 6, 3)
    """
    return np.stack([normalize_image_to_uint8(image)] * 3, axis=-1)


def visualize_one_slice_in_3d_image(image: Image, axis: int = 2) -> Bytes:
    """Return the middle slice of a volume as uint8 (H, W, 3).

    Parameters
    ----------
    image
        Three axes.
    axis
        Which of them the slice is taken across: 0, 1 or 2. The slice's number is half the length.

    Raises
    ------
    SchemaError
        A ValueError; on another axis, or an image that has not three.

    Examples
    --------
    >>> visualize_one_slice_in_3d_image(np.zeros((4, 6, 8)), axis=0).shape
    (6, 8, 3)
    """
    if axis not in (0, 1, 2):
        raise SchemaError(
            f"axis {axis!r}: expected 0, 1 or 2, the axis of the volume to take the slice across."
        )
    volume = _array(image)
    if volume.ndim != 3:
        raise SchemaError(
            f"an image of shape {volume.shape}: expected three axes. Take one channel of one image."
        )
    return visualize_2d_image(volume.take(volume.shape[axis] // 2, axis))


def _array(image: Image) -> npt.NDArray[Any]:
    return image.detach().float().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
