"""Who am I among the processes of one job: read from the environment, with no process group."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from voxloom.errors import DistributedError

__all__ = ["Rank", "even_split"]

# (rank, world size, rank on this node, a variable that is there besides), as each launcher names them.
# A batch script has SLURM's other variables too, but is one process: only srun starts the steps.
_LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "RANK"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_STEP_ID"),
    "Open MPI": (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_RANK",
    ),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "PMI_RANK"),
}


@dataclass(frozen=True)
class Rank:
    """One process among `world`.

    Attributes
    ----------
    index
        Global rank in [0, world): it decides which share of the data is mine and who writes.
    world
        Number of processes of the job, over all nodes.
    local
        Rank on this node: it decides which GPU is mine.
    """

    index: int = 0
    world: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.world:
            raise DistributedError(
                f"rank {self.index} of {self.world} processes: expected a rank in [0, {self.world}). "
                "Check the variables that the launcher sets (RANK, WORLD_SIZE or SLURM_PROCID, SLURM_NTASKS)."
            )

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.index == 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Rank:
        """Read what torchrun, srun or an MPI launcher has set; a lone process is rank 0 of 1.

        Raises
        ------
        DistributedError
            When one of these variables is no number, or they do not fit together.

        Examples
        --------
        >>> Rank.from_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
        Rank(index=5, world=8, local=1)
        >>> Rank.from_environment({})
        Rank(index=0, world=1, local=0)
        """
        for index, world, local, proof in _LAUNCHERS.values():
            if index in environment and world in environment and proof in environment:
                numbers = [_number(name, environment.get(name, "0")) for name in (index, world, local)]
                return cls(*numbers)
        return cls()


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise DistributedError(
            f"{name}={value!r} in the environment: expected a whole number, as a launcher sets it. "
            f"Start with torchrun, srun or mpirun, or unset {name}."
        ) from error


def even_split(total: int, rank: Rank) -> range:
    """Return this rank's contiguous share of `total` items: shares differ by at most one.

    Examples
    --------
    >>> [len(even_split(10, Rank(i, 4))) for i in range(4)]
    [2, 3, 2, 3]
    """
    return range(total * rank.index // rank.world, total * (rank.index + 1) // rank.world)
