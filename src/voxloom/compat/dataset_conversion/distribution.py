"""Which process converts which files: whole files, evenly, with no process group."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sized
from typing import Any, TypeVar

import torch.distributed
from torch.utils.data import Sampler

from voxloom.errors import ConfigError
from voxloom.ranks import Rank, even_split

__all__ = ["CustomDistributedSampler", "distributedConverter", "rank_of"]

Class = TypeVar("Class", bound=type)


def rank_of(rank: int | None, num_replicas: int | None) -> Rank:
    """Return who this process is: as told, else as its process group says, else as its launcher does.

    Raises
    ------
    ConfigError
        If one of the two is told alone.
    DistributedError
        If the rank does not lie below the number of replicas.

    Examples
    --------
    >>> rank_of(2, 4).index
    2
    """
    if (rank is None) != (num_replicas is None):
        raise ConfigError(
            f"rank={rank}, num_replicas={num_replicas}: expected both, or neither to ask the launcher "
            "(torchrun, srun, mpirun)"
        )
    if rank is not None and num_replicas is not None:
        return Rank(rank, num_replicas)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return Rank(torch.distributed.get_rank(), torch.distributed.get_world_size())
    return Rank.from_environment()


class CustomDistributedSampler(Sampler[int]):
    """The samples of one process: those of whole files, shared out evenly.

    Parameters
    ----------
    dataset
        Anything with a length.
    images_per_array
        Samples of a file.
    num_replicas, rank
        As for `rank_of`.

    Attributes
    ----------
    files
        Numbers of the files of this process; there may be none.

    Examples
    --------
    >>> [list(CustomDistributedSampler(range(7), 3, num_replicas=2, rank=r)) for r in range(2)]
    [[0, 1, 2], [3, 4, 5, 6]]
    """

    def __init__(
        self,
        dataset: Sized,
        images_per_array: int,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        me = rank_of(rank, num_replicas)
        self.rank, self.num_replicas, self.epoch = me.index, me.world, 0
        self.files = even_split(-(-len(dataset) // images_per_array), me)
        stop = min(self.files.stop * images_per_array, len(dataset))
        self.samples = range(min(self.files.start * images_per_array, stop), stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __bool__(self) -> bool:
        # scripts ask `if self.sampler`: one without samples must not pass for none at all
        return True

    def set_epoch(self, epoch: int) -> None:
        """Note the epoch; the order does not depend on it."""
        self.epoch = epoch


def distributedConverter(cls: Class) -> Class:  # noqa: N802 - the older name
    """Let a subclass of the converters take ``dist``, ``rank`` and ``num_replicas``: a class decorator.

    The class stays itself; its constructor takes the three besides its own arguments.
    """
    build: Any = getattr(cls, "__init__")  # noqa: B009 - a dot would mean an instance to mypy

    @functools.wraps(build)
    def __init__(  # noqa: N807
        self: Any,
        *args: Any,
        dist: bool = False,
        rank: int | None = None,
        num_replicas: int | None = None,
        **kwargs: Any,
    ) -> None:
        build(self, *args, **kwargs)
        self.distribute(dist, rank, num_replicas)

    setattr(cls, "__init__", __init__)  # noqa: B010
    return cls
