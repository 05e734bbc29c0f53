"""Full checkpoints: all of a training run's state in one file of tensors and plain values."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from voxloom.errors import CheckpointError, MissingDataError

__all__ = ["CHECKPOINT_KIND", "read_checkpoint"]

CHECKPOINT_KIND = "voxloom-checkpoint"
"""Value of `kind` in a full checkpoint."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a full checkpoint onto the CPU.

    Raises
    ------
    MissingDataError
        When there is no such file.
    CheckpointError
        When it is not a whole checkpoint of this kind.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(
            f"checkpoint {path} does not exist: expected a file such as RUN/checkpoints/last.pt."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({reason}): expected a file that "
            "voxloom saved. It may be truncated; name another one."
        ) from error
    if not isinstance(state, dict) or state.get("kind") != CHECKPOINT_KIND:
        raise CheckpointError(
            f"{path} holds weights alone: expected a full checkpoint, such as RUN/checkpoints/last.pt. "
            "Weights alone tell neither where training stands nor how images are prepared; to predict with "
            "them, name the configuration that they were trained with (-c)."
        )
    return state
