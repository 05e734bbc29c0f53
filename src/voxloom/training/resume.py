"""Back from a checkpoint: into the networks, and to the place in the data where it stood."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from voxloom.errors import CheckpointError

__all__ = ["load_tensors", "position_of", "tensors_of"]


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors by name, without their gradients."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def load_tensors(name: str, model: nn.Module, state: dict[str, Tensor] | None) -> None:
    """Load what `tensors_of` returned.

    Raises
    ------
    CheckpointError
        When a tensor is missing, left over, or of another shape.
    """
    own = model.state_dict()
    state = state or {}
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
    wrong += [k for k in state if k not in own]
    if wrong:
        raise CheckpointError(
            f"the checkpoint's {name} is of another architecture: {len(wrong)} of {len(own)} tensors differ, "
            f"first {wrong[0]!r}. Use the configuration that the checkpoint was trained with (its run's "
            "config.json), or start anew in another run_dir."
        )
    model.load_state_dict(state)


def position_of(state: dict[str, Any], batches_per_epoch: int, accumulate: int) -> tuple[int, int]:
    """Return the optimizer steps and the batches after which a checkpoint stands.

    At the end of an epoch the epochs may be of another length now: with another batch size, number
    of processes, or number of images.

    Raises
    ------
    CheckpointError
        When they are, and the checkpoint stands within an epoch.

    Examples
    --------
    >>> state = {"step": 20, "loader": {"step": 40}, "batches_per_epoch": 20, "accumulate": 2}
    >>> position_of(state, 20, 2), position_of(state, 10, 1)
    ((20, 40), (20, 20))
    """
    step, batches = state["step"], state["loader"]["step"]
    length, group = state["batches_per_epoch"], state["accumulate"]
    if (length, group) == (batches_per_epoch, accumulate):
        return step, batches
    epochs, rest = divmod(batches, length)
    if rest:
        raise CheckpointError(
            f"the checkpoint stands within epoch {epochs}, of {length} batches in groups of {group}: now "
            f"there are {batches_per_epoch} in groups of {accumulate}. Resume with the same batch_size, "
            "accumulate and number of processes, or from the checkpoint of a finished epoch."
        )
    return epochs * math.ceil(batches_per_epoch / accumulate), epochs * batches_per_epoch
