"""Indices drawn so that none comes again before all have come."""

from __future__ import annotations

import warnings

import torch

from voxloom.errors import ConfigError

__all__ = ["min_redundant_inds"]

_MOST = 2**24  # numbers that a permutation lists; above, draws are told apart by looking


def min_redundant_inds(size: int, num_samples: int, rng: torch.Generator | None = None) -> torch.Tensor:
    """Return `num_samples` indices below `size`: each as often as any other, give or take one.

    Parameters
    ----------
    size
        How many there are to choose from.
    num_samples
        How many to return.
    rng
        Decides; None for torch's global generator.

    Returns
    -------
    torch.Tensor
        int64.

    Warns
    -----
    UserWarning
        If more are wanted than there are.

    Raises
    ------
    ConfigError
        A ValueError; if there is nothing to choose from.

    Examples
    --------
    >>> sorted(min_redundant_inds(4, 4).tolist())
    [0, 1, 2, 3]
    """
    if size <= 0:
        raise ConfigError(f"{num_samples} samples of {size}: expected at least one to choose from")
    if num_samples > size:
        warnings.warn(
            f"{num_samples} samples of {size}: each is drawn more than once", UserWarning, stacklevel=2
        )
    elif size > _MOST:
        return _few_of_many(size, num_samples, rng)
    rounds = [torch.randperm(size, generator=rng) for _ in range(-(-num_samples // size))]
    return torch.cat(rounds)[:num_samples] if rounds else torch.empty(0, dtype=torch.int64)


def _few_of_many(size: int, number: int, rng: torch.Generator | None) -> torch.Tensor:
    """Return indices that differ, without a list of all."""
    chosen: dict[int, None] = {}
    while len(chosen) < number:
        drawn = torch.randint(size, (number - len(chosen),), generator=rng)
        chosen.update(dict.fromkeys(drawn.tolist()))
    return torch.tensor(list(chosen), dtype=torch.int64)
