"""A distance between two sets of images that needs no weights: of their patches, at several scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

SEED = 42
PATCH, PATCHES, DIRECTIONS, LEVELS = 7, 16384, 256, 3


def sliced_wasserstein(images: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> float:
    """Return 100 times the sliced Wasserstein distance of the patches of two sets of images, (N, H, W).

    After Karras et al. 2018, section 5 (Rabin et al. 2012 for the slices): 7 x 7 patches of each level
    of a Laplacian pyramid, projected on random directions, whose sorted values are compared; the mean
    over levels. It needs no weights and does not care which image belongs to which. Unlike there, both
    sets are divided by the deviation of `others` (the real images), so that blur, which weakens the
    fine levels, counts.
    """
    distances = []
    for level, (a, b) in enumerate(zip(_pyramid(images), _pyramid(others), strict=True)):
        scale = max(float(b.std()), 1e-12)
        rng = np.random.default_rng((SEED, level))
        directions = rng.standard_normal((PATCH * PATCH, DIRECTIONS), np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        sliced = [np.sort(_patches(x / scale, level) @ directions, axis=0) for x in (a, b)]
        distances.append(float(np.abs(sliced[0] - sliced[1]).mean()))
    return 100 * float(np.mean(distances))


def _pyramid(images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Return band-pass images from fine to coarse, and what remains, each (N, h, w)."""
    x = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    levels = []
    for _ in range(LEVELS - 1):
        smaller = F.avg_pool2d(x, 2)
        back = F.interpolate(smaller, size=x.shape[-2:], mode="bilinear", align_corners=False)
        levels.append((x - back)[:, 0].numpy())
        x = smaller
    return [*levels, x[:, 0].numpy()]


def _patches(images: np.ndarray[Any, Any], level: int) -> np.ndarray[Any, Any]:
    """Return random patches, (PATCHES, 49); at the same places in sets of the same shape."""
    rng = np.random.default_rng((SEED, level, 1))
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    where = (rng.integers(count, size=PATCHES) for count in windows.shape[:3])
    return windows[tuple(where)].reshape(PATCHES, -1)
