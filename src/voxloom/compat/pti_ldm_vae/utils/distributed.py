"""The older entry into a group of processes."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

import torch
import torch.distributed

from voxloom.errors import DistributedError
from voxloom.ranks import Rank

__all__ = ["setup_ddp"]

TIMEOUT = timedelta(seconds=36_000)
"""How long a rank waits for the others: the older system's ten hours."""


def setup_ddp(rank: int, world_size: int) -> tuple[ModuleType, torch.device]:
    """Join the processes that a launcher such as torchrun has started, and wait for all of them.

    What the launcher says in the environment beats the arguments: older scripts pass the rank on
    the machine as if it were the global one, which holds on a single machine only.

    Parameters
    ----------
    rank
        This process, where no launcher says it.
    world_size
        Number of processes, where no launcher says it.

    Returns
    -------
    tuple
        The module ``torch.distributed``, and the device of this process: its GPU, or the CPU where
        there is none (then over gloo in place of nccl).

    Raises
    ------
    DistributedError
        When the processes cannot find each other.
    """
    me = Rank.from_environment()
    if me.world == 1:
        me = Rank(rank, world_size, rank)
    device = torch.device("cuda", me.local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        torch.distributed.init_process_group(backend, rank=me.index, world_size=me.world, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise DistributedError(
            f"rank {me.index} of {me.world} could not join the others: {str(error).splitlines()[0]}. "
            "Expected MASTER_ADDR and a free MASTER_PORT in the environment: torchrun sets them."
        ) from error
    torch.distributed.barrier()
    return torch.distributed, device
