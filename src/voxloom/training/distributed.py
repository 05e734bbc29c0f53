"""Several processes that train one model: the process group, and the few sums that they share.

A lone process needs no group; every function here then does nothing, so that the loop has one form.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from voxloom.errors import DistributedError, VoxloomError
from voxloom.ranks import Rank

__all__ = [
    "any_rank",
    "from_main",
    "mean_over_ranks",
    "process_group",
    "sum_over_ranks",
    "total_over_ranks",
    "wait_for_all",
    "wrap",
]

_LOST = ("gloo", "Gloo", "NCCL", "closed by peer", "reset by peer")
"""What the backends say when a rank is gone."""

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others before it gives up."""


@contextmanager
def process_group(rank: Rank, device: torch.device) -> Iterator[None]:
    """Join the group that torchrun describes in the environment, and leave it at the end.

    NCCL between GPUs, Gloo between CPUs.

    Raises
    ------
    DistributedError
        When the ranks cannot find each other (the port is in use, or variables are missing), or
        when another one has ended while this one waits for it.
    """
    if rank.world == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, rank=rank.index, world_size=rank.world, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise DistributedError(
            f"rank {rank.index} of {rank.world} could not join the others: {str(error).splitlines()[0]}. "
            "Expected MASTER_ADDR and a free MASTER_PORT, as torchrun sets them. If the port is in use by "
            "another job, start with torchrun --standalone, or with another --master_port."
        ) from error
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, VoxloomError) or not any(word in str(error) for word in _LOST):
            raise
        raise DistributedError(
            f"rank {rank.index} of {rank.world} lost the others ({str(error).splitlines()[0]}): one of them "
            "has ended. Its own message, beside this one or in its log, says why."
        ) from error
    # Only after success: taking a group apart can wait for ranks that are waiting for this one. After
    # an error the process ends as it is, and torchrun ends the others.
    # A DistributedDataParallel is a cycle; one that still held the group when Python ends would abort it.
    gc.collect()
    dist.destroy_process_group()


def wrap(module: nn.Module, rank: Rank, device: torch.device) -> nn.Module:
    """Return the module such that its forward averages gradients over the ranks."""
    if rank.world == 1:
        return module
    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=devices)


def sum_over_ranks(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """Return the sum of each value over the ranks; all ranks name the same values.

    A rank whose share is empty may pass none: it takes part with zeros for the names of rank 0.
    """
    if not dist.is_initialized():
        return values
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, sorted(values))
    union = sorted({name for share in gathered for name in share})
    total = torch.tensor([values.get(name, 0.0) for name in union], dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return dict(zip(union, total.tolist(), strict=True))


def mean_over_ranks(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """Return the mean of each value over the ranks; all ranks name the same values."""
    if not dist.is_initialized():
        return values
    return {name: v / dist.get_world_size() for name, v in sum_over_ranks(values, device).items()}


def total_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of a tensor over the ranks, on its device; a lone process waits for nothing."""
    if dist.is_initialized():
        value = value.clone()
        dist.all_reduce(value)
    return value


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any rank; every rank gets the same answer."""
    if not dist.is_initialized():
        return flag
    raised: Tensor = torch.tensor([float(flag)], device=device)
    dist.all_reduce(raised)
    return bool(raised.item() > 0)


def from_main(value: Any) -> Any:
    """Return the main rank's value on every rank."""
    if not dist.is_initialized():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def wait_for_all() -> None:
    """Return when every rank has come here."""
    if dist.is_initialized():
        dist.barrier()
