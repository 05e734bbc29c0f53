"""The places of an epoch: which sample stands where, as pure functions of (seed, epoch)."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from voxloom.loading.weights import Weights
from voxloom.seeding import rng_for

__all__ = ["Indices", "drawn", "shuffled", "shuffled_in_blocks"]

Indices = npt.NDArray[np.int64]


@lru_cache(maxsize=4)  # the steps of an epoch share one; training and its neighbours in tests hold a few
def shuffled(length: int, seed: int, epoch: int) -> Indices:
    """Return a permutation in which each order of the samples is equally likely."""
    return rng_for(seed, "order", epoch).permutation(length)


@lru_cache(maxsize=4)
def shuffled_in_blocks(length: int, seed: int, epoch: int, block_size: int, mixed_blocks: int) -> Indices:
    """Return a permutation of blocks of neighbours, in which the samples of some blocks are mixed.

    Blocks lie at multiples of `block_size` in each epoch, so a block can be what a disk or an object
    store gives in one read. The last one may be smaller; it is mixed as one of the blocks, wherever
    it comes, so no other is torn apart.

    Parameters
    ----------
    length
        Number of samples.
    seed, epoch
        What the permutation derives from.
    block_size
        Neighbouring samples that stay together.
    mixed_blocks
        Blocks whose samples are mixed with each other: those that are read at about the same time.

    Examples
    --------
    >>> shuffled_in_blocks(12, seed=0, epoch=0, block_size=3, mixed_blocks=2).tolist()
    [3, 1, 2, 5, 4, 0, 11, 7, 9, 6, 8, 10]
    """
    rng = rng_for(seed, "blocks", epoch)
    block_size = max(1, min(block_size, length))
    blocks = rng.permutation(-(-length // block_size))
    places = (blocks[:, None] * block_size + np.arange(block_size)).ravel()
    places = places[places < length]
    ends = np.cumsum(np.minimum(block_size, length - blocks * block_size))
    windows = [0, *ends[mixed_blocks - 1 :: mixed_blocks].tolist(), length]
    for begin, end in pairwise(windows):
        rng.shuffle(places[begin:end])
    return places


@lru_cache(maxsize=4)
def drawn(weights: Weights, seed: int, epoch: int) -> Indices:
    """Return as many draws with replacement as there are samples."""
    return weights.draw(len(weights), rng_for(seed, "weighted", epoch))
