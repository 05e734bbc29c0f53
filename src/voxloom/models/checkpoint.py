"""Full checkpoints: all of a training run's state in one file of tensors and plain values."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from voxloom.errors import CheckpointError, MissingDataError

__all__ = ["CHECKPOINT_KIND", "read_checkpoint", "unpickled", "unreadable"]

CHECKPOINT_KIND = "voxloom-checkpoint"
"""Value of `kind` in a full checkpoint."""

_STARTS = (b"PK", *(bytes([0x80, protocol]) for protocol in range(2, 6)))
"""What a file of torch.save begins with: a zip archive, or a pickle in older ones."""
_DAMAGES = (
    *(RuntimeError, UnpicklingError, EOFError, ValueError, LookupError, OSError, TypeError, AttributeError),
    *(AssertionError, ArithmeticError, ImportError, MemoryError, struct.error, zipfile.BadZipFile),
)
"""What torch raises of a file that is damaged, by what stands where something else should."""


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
    state = unpickled(path)
    if not isinstance(state, dict) or state.get("kind") != CHECKPOINT_KIND:
        raise CheckpointError(
            f"{path} holds weights alone: expected a full checkpoint, such as RUN/checkpoints/last.pt. "
            "Weights alone tell neither where training stands nor how images are prepared; to predict with "
            "them, name the configuration that they were trained with (-c)."
        )
    return state


def unpickled(path: Path) -> Any:
    """Return what torch.save wrote: tensors and plain values, and nothing that could run.

    Raises
    ------
    CheckpointError
        When the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(2)
    if start and start not in _STARTS:
        raise CheckpointError(
            f"{path} is no checkpoint: expected a run's folder, or a file such as RUN/checkpoints/best.pt, "
            "which torch.save wrote."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGES as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """Return the error of a file that is cut short, or is something else."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{path} cannot be read as a checkpoint ({reason}): "
        "expected safetensors or a file of torch.save that holds tensors and plain values only. "
        "It may be truncated or cut short: name another, or copy it again."
    )
