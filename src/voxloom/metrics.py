"""How far a prediction is from its target: pure functions of two tensors, one value a sample.

Shapes: B batch, C channels, H height, W width, in 3D the depth before them; ``pred_BCHW`` and
``target_BCHW`` have the same shape and unit. All functions are differentiable where that makes sense and
compute in at least float32, whatever comes in and whatever autocast surrounds them.

`data_range` is the distance between the smallest and the largest value that the images can take.
It is one fixed number for a whole study, for instance 255 for uint8 or 2 for images in [-1, 1]: a
range taken from each image would make the values of two images incomparable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

from voxloom.errors import ConfigError, SchemaError

__all__ = [
    "LEAST_SIDE",
    "dice",
    "iou",
    "mae",
    "mean_square_error",
    "ms_ssim",
    "psnr",
    "rmse",
    "ssim",
    "ssim_map",
]

_RADIUS = 5  # of the 11x11 window of Wang et al. (2004)
LEAST_SIDE = 2 * _RADIUS + 1
"""Pixels along each axis that structural similarity needs at least."""
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. (2003), finest scale first
_SMALLEST = 1e-6  # a structure term below it has no gradient: the power of zero would have an infinite one


def mean_square_error(pred_BCHW: Tensor, target_BCHW: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Return the mean of the squared difference of each sample.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Images of one shape and unit.
    mask
        Boolean, of a shape that broadcasts to BCHW: the pixels that count. NaN where it is empty.

    Returns
    -------
    Tensor
        (B,), in the square of the images' unit.

    Examples
    --------
    >>> mean_square_error(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 3.0))
    tensor([9., 9.])
    """
    pred, target = _images(pred_BCHW, target_BCHW)
    return _mean((pred - target).square(), mask)


def rmse(pred_BCHW: Tensor, target_BCHW: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Return the root of the mean squared difference of each sample, in the images' unit.

    Examples
    --------
    >>> rmse(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 3.0))
    tensor([3.])
    """
    return mean_square_error(pred_BCHW, target_BCHW, mask=mask).sqrt()


def mae(pred_BCHW: Tensor, target_BCHW: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference of each sample, in the images' unit.

    Examples
    --------
    >>> mask = torch.tensor([[True, False], [False, False]])
    >>> mae(torch.zeros(1, 1, 2, 2), torch.tensor([[[[2.0, 9.0], [9.0, 9.0]]]]), mask=mask)
    tensor([2.])
    """
    pred, target = _images(pred_BCHW, target_BCHW)
    return _mean((pred - target).abs(), mask)


def psnr(pred_BCHW: Tensor, target_BCHW: Tensor, *, data_range: float, mask: Tensor | None = None) -> Tensor:
    """Return the peak signal-to-noise ratio of each sample in decibels.

    ``10 log10(data_range**2 / mean_square_error)``; infinite for equal images.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Images of one shape and unit.
    data_range
        Largest minus smallest possible value, one fixed number.
    mask
        Boolean, of a shape that broadcasts to BCHW: the pixels that count. NaN where it is empty.

    Raises
    ------
    SchemaError
        When the shapes differ or the mask is not boolean.
    ConfigError
        When `data_range` is not positive.

    Examples
    --------
    >>> target = torch.zeros(1, 1, 4, 4)
    >>> psnr(target + 0.1, target, data_range=1.0).round(decimals=2)
    tensor([20.])
    >>> psnr(target, target, data_range=1.0)
    tensor([inf])
    """
    error = mean_square_error(pred_BCHW, target_BCHW, mask=mask)
    return 10 * torch.log10(_positive(data_range) ** 2 / error)


def ssim_map(pred_BCHW: Tensor, target_BCHW: Tensor, *, data_range: float) -> Tensor:
    """Return the structural similarity at each place where the window of 11 pixels along each axis fits.

    Gaussian window of deviation 1.5 pixels, K1 = 0.01, K2 = 0.03: Wang, Bovik, Sheikh and
    Simoncelli, Image quality assessment: from error visibility to structural similarity (2004).

    Returns
    -------
    Tensor
        (B, C, H - 10, W - 10), in [-1, 1]: value (i, j) belongs to the images' pixel (i + 5, j + 5). In 3D
        the window is a cube, and the depth is shorter by 10 too.

    Raises
    ------
    SchemaError
        When the shapes differ, or a side is shorter than the window of 11 pixels.

    Examples
    --------
    >>> image = torch.rand(2, 1, 16, 20, generator=torch.Generator().manual_seed(0))
    >>> ssim_map(image, image, data_range=1.0).shape
    torch.Size([2, 1, 6, 10])
    """
    luminance, structure = _similarity(*_images(pred_BCHW, target_BCHW), _positive(data_range))
    return luminance * structure


def ssim(pred_BCHW: Tensor, target_BCHW: Tensor, *, data_range: float, mask: Tensor | None = None) -> Tensor:
    """Return the mean structural similarity of each sample, in [-1, 1]; 1 for equal images.

    The mean of `ssim_map`; it equals scikit-image's with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Images of one shape and unit, at least 11 pixels on each side.
    data_range
        Largest minus smallest possible value, one fixed number.
    mask
        Boolean, of a shape that broadcasts to BCHW: the window centres that count. The windows
        themselves reach five pixels past it. NaN where no centre is left.

    Raises
    ------
    SchemaError
        When the shapes differ, a side is shorter than 11 pixels, or the mask is not boolean.

    Examples
    --------
    >>> image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> ssim(image, image, data_range=1.0)
    tensor([1.])
    """
    similarity = ssim_map(pred_BCHW, target_BCHW, data_range=data_range)
    if mask is not None:
        mask = mask.expand(pred_BCHW.shape)
        for axis, size in enumerate(similarity.shape[2:], 2):
            mask = mask.narrow(axis, _RADIUS, size)
    return _mean(similarity, mask)


def ms_ssim(
    pred_BCHW: Tensor,
    target_BCHW: Tensor,
    *,
    data_range: float,
    scale_weights: Sequence[float] = _SCALE_WEIGHTS,
) -> Tensor:
    """Return the multi-scale structural similarity of each sample, in [0, 1]; 1 for equal images.

    Contrast and structure over halved resolutions, luminance at the coarsest: Wang, Simoncelli and
    Bovik, Multi-scale structural similarity for image quality assessment (2003). Differentiable:
    ``1 - ms_ssim(...).mean()`` is a training loss. A term below 1e-6 counts as 1e-6.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Images of one shape and unit, at least 11 pixels on each side.
    data_range
        Largest minus smallest possible value, one fixed number.
    scale_weights
        Exponent of each scale, finest first. Images of less than 176 pixels are too small for the
        five scales of the paper: they get as many of the finest as fit, with the weights scaled to
        the same sum.

    Raises
    ------
    SchemaError
        When the shapes differ or a side is shorter than 11 pixels.

    Examples
    --------
    >>> image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> ms_ssim(image, image, data_range=1.0)
    tensor([1.])
    """
    pred, target = _images(pred_BCHW, target_BCHW)
    weights = _weights_that_fit(min(pred.shape[2:]), scale_weights)
    halved = avg_pool2d if pred.ndim == 4 else avg_pool3d
    product = torch.ones(pred.shape[:2], dtype=pred.dtype, device=pred.device)
    for scale, weight in enumerate(weights):
        if scale:
            pred, target = halved(pred, 2), halved(target, 2)
        luminance, structure = _similarity(pred, target, _positive(data_range))
        last = scale == len(weights) - 1
        term = (luminance * structure if last else structure).flatten(2).mean(dim=2)
        product = product * term.clamp(min=_SMALLEST) ** weight
    return product.mean(dim=1)


def dice(pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return the Dice coefficient of each sample, in [0, 1]: twice the overlap over the sum of areas.

    By convention 1 where both masks are empty: nothing was there and nothing was found.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Boolean masks of one shape.

    Raises
    ------
    SchemaError
        When the shapes differ or a mask is not boolean.

    Examples
    --------
    >>> a = torch.tensor([[[[True, True], [False, False]]]])
    >>> b = torch.tensor([[[[True, False], [False, False]]]])
    >>> dice(a, b), dice(a, a)
    (tensor([0.6667]), tensor([1.]))
    """
    both, either = _overlap(pred_BCHW, target_BCHW)
    return torch.where(either == 0, 1.0, 2 * both / (both + either))


def iou(pred_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return the intersection over union of each sample, in [0, 1].

    By convention 1 where both masks are empty: nothing was there and nothing was found.

    Parameters
    ----------
    pred_BCHW, target_BCHW
        Boolean masks of one shape.

    Raises
    ------
    SchemaError
        When the shapes differ or a mask is not boolean.

    Examples
    --------
    >>> a = torch.tensor([[[[True, True], [False, False]]]])
    >>> b = torch.tensor([[[[True, False], [False, False]]]])
    >>> iou(a, b), iou(~a & a, ~a & a)
    (tensor([0.5000]), tensor([1.]))
    """
    both, either = _overlap(pred_BCHW, target_BCHW)
    return torch.where(either == 0, 1.0, both / either)


def _similarity(pred: Tensor, target: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Return the luminance term and the contrast-and-structure term, each (B, C, H - 10, W - 10)."""
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    x, y, xx, yy, xy = _blur(torch.stack([pred, target, pred * pred, target * target, pred * target]))
    variances = (xx - x * x) + (yy - y * y)
    covariance = xy - x * y
    return (2 * x * y + c1) / (x * x + y * y + c1), (2 * covariance + c2) / (variances + c2)


def _blur(images: Tensor) -> Tensor:
    # A weighted sum of shifted copies: on one channel it is quicker than a convolution (its gradient
    # ten times), and neither autocast nor TF32 lowers its precision.
    sizes = images.shape[3:]
    if min(sizes) < LEAST_SIDE:
        raise SchemaError(
            f"image of {' x '.join(map(str, sizes))} pixels: structural similarity needs at least 11 on each "
            "side. Enlarge the images, or leave this metric out."
        )
    for axis, size in enumerate(sizes, 3):
        span = size - 2 * _RADIUS
        shifted = [images.narrow(axis, i, span) for i in range(2 * _RADIUS + 1)]
        images = shifted[0] * _WINDOW[0]
        for image, weight in zip(shifted[1:], _WINDOW[1:], strict=True):
            images = images.add(image, alpha=weight)
    return images


def _gaussian() -> tuple[float, ...]:
    values = [math.exp(-0.5 * (i / _SIGMA) ** 2) for i in range(-_RADIUS, _RADIUS + 1)]
    return tuple(value / sum(values) for value in values)


_WINDOW = _gaussian()


def _weights_that_fit(side: int, weights: Sequence[float]) -> list[float]:
    count = sum(side >> scale > 2 * _RADIUS for scale in range(len(weights))) or 1
    total = sum(weights) / sum(weights[:count])
    return [weight * total for weight in weights[:count]]


def _images(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    _check_shapes(pred, target)
    dtype = torch.promote_types(torch.promote_types(pred.dtype, target.dtype), torch.float32)
    return pred.to(dtype), target.to(dtype)


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.flatten(1).mean(dim=1)
    if mask.dtype != torch.bool:
        raise SchemaError(f"mask of dtype {mask.dtype}: expected torch.bool. Compare with a threshold first.")
    inside = mask.expand(values.shape)
    # where, not a product: a NaN outside the mask must not count
    return torch.where(inside, values, 0).flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1)


def _overlap(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    _check_shapes(pred, target)
    if pred.dtype != torch.bool or target.dtype != torch.bool:
        raise SchemaError(
            f"masks of dtype {pred.dtype} and {target.dtype}: expected torch.bool. "
            "Compare both sides with the same threshold first."
        )
    return (pred & target).flatten(1).sum(dim=1), (pred | target).flatten(1).sum(dim=1)


def _check_shapes(pred: Tensor, target: Tensor) -> None:
    if pred.ndim not in (4, 5) or pred.shape != target.shape:
        raise SchemaError(
            f"prediction of shape {tuple(pred.shape)} and target of shape {tuple(target.shape)}: "
            "expected the same (batch, channels, height, width), or with the depth before the height."
        )


def _positive(data_range: float) -> float:
    if not (data_range > 0 and math.isfinite(data_range)):
        raise ConfigError(
            f"data_range {data_range}: expected a positive number, the largest minus the smallest "
            "possible value of the images."
        )
    return float(data_range)
