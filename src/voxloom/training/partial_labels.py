"""Losses and counts where some classes are unknown in some voxels: these count for nothing.

Shapes: B batch, C classes, S the spatial axes. Each sample is judged by itself, so that the mean over
samples is the same in any batch. `positive` and `known` are bool (B, C, S); a class is absent where it
is known and not positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "binary_cross_entropy",
    "centred",
    "counts",
    "marginal_cross_entropy",
    "soft_dice",
    "weighted_mean",
]


def binary_cross_entropy(
    logits_BCS: Tensor, positive: Tensor, known: Tensor, positive_weights_C: Tensor | None = None
) -> Tensor:
    """Return the mean over the known voxels of each sample and class, (B, C); 0 where there are none.

    A positive voxel counts as often as its class's weight says, one that is not counts once.

    Examples
    --------
    >>> logits = torch.tensor([[[0.0, 50.0]]])
    >>> positive, known = torch.tensor([[[True, False]]]), torch.tensor([[[True, False]]])
    >>> round(binary_cross_entropy(logits, positive, known).item(), 4)  # the second voxel is unknown
    0.6931
    """
    weights = (
        None if positive_weights_C is None else positive_weights_C.view(-1, *(1,) * (logits_BCS.ndim - 2))
    )
    losses = F.binary_cross_entropy_with_logits(
        logits_BCS.float(), positive.float(), reduction="none", pos_weight=weights
    )
    counted = known.flatten(2).sum(2)
    mean: Tensor = torch.where(known, losses, 0.0).flatten(2).sum(2) / counted.clamp_min(1)
    return mean


def marginal_cross_entropy(logits_BCS: Tensor, positive: Tensor, known: Tensor, weights_C: Tensor) -> Tensor:
    """Return the cross entropy of classes that exclude each other, (B,): a mean over informed voxels.

    The first logit is the background, which is what belongs to no class. In a voxel where a class is
    present that class alone is right; where none is known to be present, the background and each class
    that is not known to be absent are right together: their probabilities are added up. So a voxel of
    which nothing is known costs nothing, and one where only some classes are absent still tells that.

    Parameters
    ----------
    logits_BCS
        (B, 1 + C, S).
    positive, known
        (B, C, S).
    weights_C
        How much a voxel of each class counts; background counts 1.

    Examples
    --------
    >>> logits = torch.zeros(1, 3, 1)  # background, mito, er
    >>> positive = torch.tensor([[[False], [False]]])
    >>> one = torch.ones(2)
    >>> marginal_cross_entropy(logits, positive, torch.tensor([[[True], [True]]]), one).exp().tolist()
    [3.0]
    >>> marginal_cross_entropy(logits, positive, torch.tensor([[[True], [False]]]), one).exp().tolist()
    [1.5]
    >>> marginal_cross_entropy(logits, positive, torch.tensor([[[False], [False]]]), one).tolist()
    [0.0]
    """
    logits, some = logits_BCS.float(), positive.any(1, keepdim=True)
    allowed = torch.cat([~some, torch.where(some, positive, ~known)], dim=1)
    losses = logits.logsumexp(1) - torch.where(allowed, logits, -torch.inf).logsumexp(1)
    weights = torch.where(some, positive * weights_C.view(-1, *(1,) * (logits.ndim - 2)), 0.0).amax(1)
    weights = torch.where(some[:, 0], weights, 1.0) * ~allowed.all(1)
    total: Tensor = weights.flatten(1).sum(1)
    return (losses * weights).flatten(1).sum(1) / torch.where(total > 0, total, 1.0)


def soft_dice(probability_BCS: Tensor, positive: Tensor, known: Tensor, *, smooth: float) -> Tensor:
    """Return 1 - Dice of each sample and class over its known voxels, (B, C) (Milletari et al. 2016).

    Parameters
    ----------
    probability_BCS
        Of each class.
    positive, known
        (B, C, S).
    smooth
        Voxels added to the overlap and to what is compared. Of a class that is absent this is all of
        the overlap: it costs ``1 - smooth / (smooth + sum of p)``.

    Examples
    --------
    >>> known = torch.ones(1, 1, 4, dtype=torch.bool)
    >>> present = torch.tensor([[[True, True, False, False]]])
    >>> soft_dice(present.float(), present, known, smooth=1.0).item()
    0.0

    A class that is absent costs nothing where nothing at all is predicted, and soon nearly 1, where
    hardly a gradient is left: here at a probability of 0.001 in each of 64 x 64 x 64 voxels. Cross
    entropy is what such a patch teaches.

    >>> known = torch.ones(1, 1, 64**3, dtype=torch.bool)
    >>> absent = soft_dice(torch.full((1, 1, 64**3), 0.001), ~known, known, smooth=1.0)
    >>> round(absent.item(), 3)
    0.996
    """
    p = torch.where(known, probability_BCS.float(), 0.0).flatten(2)
    t = (positive & known).float().flatten(2)
    dice: Tensor = (2 * (p * t).sum(2) + smooth) / (p.sum(2) + t.sum(2) + smooth)
    return 1 - dice


def weighted_mean(values_BC: Tensor, counted_BC: Tensor, weights_C: Tensor) -> Tensor:
    """Return the mean over the classes that count in each sample, (B,); 0 where none does.

    Examples
    --------
    >>> values = torch.tensor([[1.0, 4.0], [1.0, 4.0]])
    >>> counted = torch.tensor([[True, True], [False, True]])
    >>> weighted_mean(values, counted, torch.tensor([2.0, 1.0])).tolist()
    [2.0, 4.0]
    """
    weights = counted_BC * weights_C
    total = weights.sum(1)
    mean: Tensor = (values_BC * weights).sum(1) / torch.where(total > 0, total, 1.0)
    return mean


def counts(predicted: Tensor, positive: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Return how many known voxels are predicted, present, and both, each (B, C) float64.

    Examples
    --------
    >>> predicted, positive = torch.tensor([[[True, True, True]]]), torch.tensor([[[True, False, True]]])
    >>> known = torch.tensor([[[True, True, False]]])
    >>> {name: int(value) for name, value in counts(predicted, positive, known).items()}
    {'predicted': 2, 'present': 1, 'both': 1}
    """
    masks = {"predicted": predicted & known, "present": positive & known}
    masks["both"] = masks["predicted"] & positive
    return {name: mask.flatten(2).sum(2).double() for name, mask in masks.items()}


def centred(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return the middle of the last axes, for a target that is smaller than the image.

    Examples
    --------
    >>> centred(torch.arange(6), (2,)).tolist()
    [2, 3]
    """
    for axis, length in zip(range(-len(size), 0), size, strict=True):
        x = x.narrow(axis, (x.shape[axis] - length) // 2, length)
    return x
