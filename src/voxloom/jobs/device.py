"""The device that a process computes on."""

from __future__ import annotations

import torch

from voxloom.errors import ConfigError
from voxloom.ranks import Rank

__all__ = ["device_name", "device_of"]


def device_of(name: str | None, rank: Rank | None = None) -> torch.device:
    """Return the device of this name, or a GPU where there is one; each rank takes one of its own.

    Raises
    ------
    ConfigError
        When there is no such device, or not one for each process.

    Examples
    --------
    >>> device_of("cpu")
    device(type='cpu')
    """
    rank = rank or Rank()
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r}: expected cpu, cuda, or one GPU such as cuda:1.") from None
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    index = rank.local if device.index is None else device.index
    if index >= count:
        raise ConfigError(
            f"device {name!r} for process {rank.local} of this machine: there are {count} usable GPUs, "
            f"none of number {index}. Use no more processes than GPUs (--gpus, --nproc_per_node), or the cpu."
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def device_name(device: torch.device) -> str:
    """Return what a person calls the device.

    Examples
    --------
    >>> device_name(torch.device("cpu")).startswith("cpu (")
    True
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
